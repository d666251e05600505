"""What the fleet report shows, brought to a size that fits a page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from turbine_health.feature_tables import cell_column
from turbine_health.settings import CostSettings
from turbine_health.transforms.served import served, to_newest
from turbine_health.transforms.worklist import expected_cost_avoided


def to_newest_predictions(failures: DataFrame, lives_left: DataFrame, costs: CostSettings) -> DataFrame:
    """What the served models say of each turbine now, with the cost a visit is expected to avoid.

    Grain: one row per `asset_id`, its newest served `window_end`.

    Args:
        failures: gold.failure_predictions.
        lives_left: gold.time_to_failure_predictions.
        costs: What a missed and a caught failure and a needless visit cost.

    Returns:
        Columns of both tables that a planner needs; `reasons`, the words of those that raise the risk; and
        `cost_at_stake` (negative: a visit would cost more than it saves; null where there is no probability).
    """
    left = served(lives_left).select("asset_id", "window_end", "predicted_time_to_failure_days", "lower_days", "upper_days")
    return (
        to_newest(served(failures))
        .join(left, on=["asset_id", "window_end"], how="left")
        .select(
            "asset_id",
            "window_end",
            "horizon_days",
            "failure_probability",
            "alert_threshold",
            "is_alert",
            F.transform(F.filter("reasons", _is_raising), lambda reason: reason["words"]).alias("reasons"),
            "predicted_time_to_failure_days",
            "lower_days",
            "upper_days",
            "data_age_hours",
            "coverage",
            "quality_status",
            "model_version",
            expected_cost_avoided(F.col("failure_probability"), costs).alias("cost_at_stake"),
        )
    )


def to_prediction_history(failures: DataFrame, lives_left: DataFrame, assets: Sequence[str], since: datetime) -> DataFrame:
    """Predictions of some turbines over time.

    Grain: one row per `asset_id` and `window_end` that was served to people.
    """

    def shown(predictions: DataFrame) -> DataFrame:
        return served(predictions.filter(F.col("asset_id").isin(*assets) & (F.col("window_end") >= F.lit(since))))

    risk = shown(failures).select("asset_id", "window_end", "failure_probability", "alert_threshold", "is_alert")
    left = shown(lives_left).select("asset_id", "window_end", "predicted_time_to_failure_days", "lower_days", "upper_days")
    return risk.join(left, on=["asset_id", "window_end"], how="left").orderBy("asset_id", "window_end")


def to_daily_signals(cells: DataFrame, signals: Sequence[str], since: datetime) -> DataFrame:
    """Mean, lowest and highest value of each signal per turbine and day.

    Grain: one row per `asset_id` and `day` (midnight, UTC).

    Args:
        cells: gold.signal_cells.
        signals: Signals to keep.
        since: Earlier cells are left out.

    Returns:
        `asset_id`, `day` and for each signal `<signal>` (mean), `<signal>_low`, `<signal>_high`; null without a reading.
    """
    return (
        cells.filter(F.col("cell_start") >= F.lit(since))
        .groupBy("asset_id", F.date_trunc("day", "cell_start").alias("day"))
        .agg(*[summary for signal in signals for summary in _daily(signal)])
    )


def to_fleet_medians(daily: DataFrame, signals: Sequence[str]) -> DataFrame:
    """The median turbine of each day, to see one against its peers. Grain: one row per `day`."""
    medians = [F.percentile_approx(signal, 0.5).alias(signal) for signal in signals]
    return daily.groupBy("day").agg(*medians).orderBy("day")


def to_events(events: DataFrame, lives: DataFrame) -> DataFrame:
    """What happened to the turbines.

    Grain: one row per `asset_id`, `kind` and `started_at`. Failures come from the lives, which know them for
    every kind of source; maintenance and stops from the event log.

    Args:
        events: silver.asset_events.
        lives: silver.asset_lives.

    Returns:
        `asset_id`, `kind` (failure, maintenance, stop), `started_at`, `ended_at`, `component`; the last two null
        where not known.
    """
    failures = lives.filter("ended_in_failure").select(
        "asset_id",
        F.lit("failure").alias("kind"),
        F.col("life_end").alias("started_at"),
        F.col("down_until").alias("ended_at"),
        F.col("failure_mode").alias("component"),
    )
    others = events.filter(F.col("event_type") != "failure").select(
        "asset_id", F.col("event_type").alias("kind"), "started_at", "ended_at", "component"
    )
    return failures.unionByName(others)


def to_flag_days(readings: DataFrame, since: datetime) -> DataFrame:
    """How many readings carry which flag, by day.

    Grain: one row per `day` and `flag` (`<signal>:<flag>`; null: the day's readings, flagged or not).
    """
    return (
        readings.filter(F.col("event_time") >= F.lit(since))
        .select(
            F.date_trunc("day", "event_time").alias("day"),
            F.explode(F.concat(F.array(F.lit(None).cast("string")), F.coalesce("quality_flags", F.array()))).alias("flag"),
        )
        .groupBy("day", "flag")
        .agg(F.count(F.lit(1)).alias("readings"))
        .orderBy("day", "flag")
    )


def to_quarantine_counts(quarantine: DataFrame) -> DataFrame:
    """How many rows were set aside for which kind of reason, ever. Grain: one row per `code`."""
    code = F.explode(F.array_distinct(F.transform("reasons", lambda reason: F.split_part(reason, F.lit(":"), F.lit(1)))))
    return (
        quarantine.select(code.alias("code"), "event_time")
        .groupBy("code")
        .agg(F.count(F.lit(1)).alias("rows"), F.max("event_time").alias("newest"))
        .orderBy(F.col("rows").desc(), "code")
    )


def _is_raising(reason: Column) -> Column:
    return reason["contribution"] > 0


def _daily(signal: str) -> list[Column]:
    count, mean = F.col(cell_column(signal, "count")), F.col(cell_column(signal, "mean"))
    readings = F.sum(F.when(mean.isNotNull(), count))
    return [
        F.try_divide(F.sum(count * mean), readings).alias(signal),
        F.min(cell_column(signal, "min")).alias(f"{signal}_low"),
        F.max(cell_column(signal, "max")).alias(f"{signal}_high"),
    ]
