"""Readings and failures brought to the size of a page, before any model.

Everything but the distributions comes from one summary per turbine and day, so that millions of readings
are read once for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

Period = Literal["day", "week", "month"]

# Ends of what a distribution shows: all but the wildest hundredth of the days at each end.
_LOW_END, _HIGH_END = 0.01, 0.99
_QUARTILES = (0.25, 0.5, 0.75)


def to_daily_summary(readings: DataFrame, signals: Sequence[str]) -> DataFrame:
    """How many readings each turbine sent a day, and the count, mean and extremes of each signal.

    Grain: one row per `_source`, `asset_id` and `day` (midnight, UTC) that has a reading.

    Args:
        readings: silver.sensor_readings.
        signals: Columns to summarise.

    Returns:
        `readings`, and per signal `<signal>__count`, `<signal>` (mean), `<signal>__min`, `<signal>__max`; the last
        three null on a day without a value.
    """
    parts = [part for signal in signals for part in _parts(signal)]
    day = F.date_trunc("day", "event_time").alias("day")
    return readings.groupBy("_source", "asset_id", day).agg(F.count(F.lit(1)).alias("readings"), *parts)


def to_source_facts(daily: DataFrame, signals: Sequence[str]) -> DataFrame:
    """What there is of each source.

    Grain: one row per `_source`.

    Returns:
        `readings`, `turbines`, `first_day`, `last_day`, and per signal `<signal>__count`, `<signal>__low` and
        `<signal>__high` (ends of a sensible axis; null for a signal without values).
    """
    counts = [F.sum(f"{signal}__count").alias(f"{signal}__count") for signal in signals]
    lows = [F.percentile_approx(f"{signal}__min", _LOW_END).alias(f"{signal}__low") for signal in signals]
    highs = [F.percentile_approx(f"{signal}__max", _HIGH_END).alias(f"{signal}__high") for signal in signals]
    return daily.groupBy("_source").agg(
        F.sum("readings").alias("readings"),
        F.countDistinct("asset_id").alias("turbines"),
        F.min("day").alias("first_day"),
        F.max("day").alias("last_day"),
        *counts,
        *lows,
        *highs,
    )


def to_missing_shares(daily: DataFrame, signals: Sequence[str], period: Period) -> DataFrame:
    """Share of readings without a usable value. Grain: one row per `period_start`; columns named like the signals, 0 to 1."""
    shares = [missing_share(signal) for signal in signals]
    return daily.groupBy(F.date_trunc(period, "day").alias("period_start")).agg(*shares).orderBy("period_start")


def to_coverage(daily: DataFrame, period: Period, expected_per_day: float) -> DataFrame:
    """Readings present over readings expected.

    Grain: one row per `asset_id` and `period_start` with a reading.

    Args:
        daily: Of one source, as made by `to_daily_summary`.
        period: `day`, `week` or `month`.
        expected_per_day: Readings of a turbine that misses none.

    Returns:
        `coverage`, 0 to 1 (duplicates in time do not exist in silver).
    """
    start = F.date_trunc(period, "day")
    days_in_period = {"day": F.lit(1), "week": F.lit(7), "month": F.dayofmonth(F.last_day(start))}[period]
    covered = F.sum("readings") / (F.first(days_in_period, ignorenulls=True) * F.lit(expected_per_day))
    return (
        daily.groupBy("asset_id", start.alias("period_start"))
        .agg(F.least(covered, F.lit(1.0)).alias("coverage"))
        .orderBy("asset_id", "period_start")
    )


def to_sensor_health(daily: DataFrame, signals: Sequence[str]) -> DataFrame:
    """Share of a turbine's readings without a usable value, per signal.

    Grain: one row per `asset_id`, the one that lacks most first. Columns named like the signals, 0 to 1, and `worst`.
    """
    by_turbine = daily.groupBy("asset_id").agg(*[missing_share(signal) for signal in signals])
    worst = F.greatest(*signals) if len(signals) > 1 else F.col(signals[0])
    return by_turbine.withColumn("worst", worst).orderBy(F.col("worst").desc(), "asset_id")


def to_flag_counts(readings: DataFrame) -> DataFrame:
    """How many readings carry which flag.

    Grain: one row per `signal` (`asset` for the turbine as a whole) and `flag`. Returns also `readings`.
    """
    return (
        readings.filter(F.size("quality_flags") > 0)
        .select(F.explode("quality_flags").alias("flag"))
        .groupBy("flag")
        .agg(F.count(F.lit(1)).alias("readings"))
        .select(
            F.split_part("flag", F.lit(":"), F.lit(1)).alias("signal"),
            F.split_part("flag", F.lit(":"), F.lit(2)).alias("flag"),
            "readings",
        )
        .orderBy("signal", "flag")
    )


def to_days_before_failure(daily: DataFrame, lives: DataFrame, signals: Sequence[str], days: int) -> DataFrame:
    """Signals of turbines about to fail, beside those of healthy turbines on the same calendar days.

    The same days, so that season and weather do not look like a symptom. Healthy is a turbine in a life that
    does not end in failure within `days`.

    Grain: one row per `days_before` (0, the day of the failure, to `days`).

    Args:
        daily: Of one source, as made by `to_daily_summary`.
        lives: silver.asset_lives.
        signals: Columns of daily means.
        days: How far back to look.

    Returns:
        `failures` (lives with a reading that day) and per signal `<signal>__failing` and `<signal>__healthy`: arrays of
        lower quartile, median and upper quartile over turbines; null where no turbine has a value.
    """
    life = lives.select("asset_id", "life_number", "life_start", "life_end", "ended_in_failure")
    in_a_life = (F.col("day") >= F.date_trunc("day", "life_start")) & (F.col("day") < F.col("life_end"))
    before = F.when(F.col("ended_in_failure"), F.date_diff("life_end", "day"))
    lived = daily.join(life, on="asset_id", how="inner").filter(in_a_life).withColumn("days_before", before)
    is_about_to_fail = F.col("days_before") <= F.lit(days)
    failing = lived.filter(is_about_to_fail)
    healthy = (
        lived.filter(F.coalesce(~is_about_to_fail, F.lit(True)))
        .groupBy("day")
        .agg(*[_quartiles(signal).alias(f"{signal}__peers") for signal in signals])
    )
    return (
        failing.join(healthy, on="day", how="left")
        .groupBy("days_before")
        .agg(
            F.count_distinct("asset_id", "life_number").alias("failures"),
            *[_quartiles(signal).alias(f"{signal}__failing") for signal in signals],
            *[_mean_of_arrays(f"{signal}__peers").alias(f"{signal}__healthy") for signal in signals],
        )
        .orderBy("days_before")
    )


def missing_share(signal: str) -> Column:
    """Aggregate: share of readings without a usable value of `signal`, 0 to 1."""
    return (F.lit(1.0) - F.sum(f"{signal}__count") / F.sum("readings")).alias(signal)


def _parts(signal: str) -> list[Column]:
    return [
        F.count(signal).alias(f"{signal}__count"),
        F.avg(signal).alias(signal),
        F.min(signal).alias(f"{signal}__min"),
        F.max(signal).alias(f"{signal}__max"),
    ]


def _quartiles(signal: str) -> Column:
    return F.percentile_approx(signal, list(_QUARTILES))


def _mean_of_arrays(name: str) -> Column:
    return F.when(F.count(name) > 0, F.array(*[F.avg(F.get(F.col(name), F.lit(place))) for place in range(len(_QUARTILES))]))
