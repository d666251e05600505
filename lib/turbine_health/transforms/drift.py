"""Which sensors have moved since training, apart from what season and weather explain.

A signal of one turbine is compared after the fleet's movement of the same day is taken off: wind and
winter move all turbines alike, so they cancel. The fleet's median itself (turbine `all`) and a plant of fewer
than three turbines are compared with the same season; where the records hold none, nothing is said. On a day on
which fewer than three of a larger plant's turbines read, nothing is compared either, but the day counts as read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from turbine_health.feature_tables import cell_column
from turbine_health.monitor_tables import FEATURE_DRIFT, MEAN_DIGITS, WHOLE_FLEET
from turbine_health.settings import DriftSettings

# A median of fewer turbines is moved by the very one that is compared with it.
FEWEST_PEERS = 3
# Days of the very same value, by which a signal that used to move is called frozen.
FROZEN_DAYS = 3
DAYS_OF_YEAR = 366
# Quartiles of a normal distribution lie this many standard deviations apart.
QUARTILES_APART = 1.349
# A spread below this share of the level is rounding, not movement.
SMALLEST_SPREAD = 0.005


@dataclass(frozen=True)
class Spans:
    """The recent days (end excluded) and where the days end that they are compared with. UTC midnights."""

    reference_to: datetime
    recent_from: datetime
    recent_to: datetime


def to_signal_days(cells: DataFrame, signals: Sequence[str]) -> DataFrame:
    """Daily summary of each signal.

    Grain: one row per `asset_id`, `signal` and `day` (UTC) with at least one reading.

    Args:
        cells: gold.signal_cells.
        signals: Signals to summarise.

    Returns:
        `asset_id`, `signal`, `day`, `mean`, `lowest`, `highest`.
    """
    parts = F.array(
        *(
            F.struct(
                F.lit(name).alias("signal"),
                *(F.col(cell_column(name, part)).alias(part) for part in ("count", "mean", "min", "max")),
            )
            for name in signals
        )
    )
    return (
        cells.select("asset_id", F.date_trunc("day", "cell_start").alias("day"), F.explode(parts).alias("cell"))
        .where("cell.count > 0")
        .groupBy("asset_id", "cell.signal", "day")
        .agg(
            (F.sum(F.col("cell.mean") * F.col("cell.count")) / F.sum("cell.count")).alias("mean"),
            F.min("cell.min").alias("lowest"),
            F.max("cell.max").alias("highest"),
        )
    )


def to_drift(days: DataFrame, spans: Spans, settings: DriftSettings) -> DataFrame:
    """Compare the recent days of each signal with the days before.

    Grain: one row per `asset_id` (`all`: the fleet's median) and `signal`.

    Args:
        days: From `to_signal_days`.
        spans: Which days are recent and which to compare with.
        settings: Same season (days), fewest days, alarm score.

    Returns:
        gold.feature_drift.
    """
    is_recent = (F.col("day") >= F.lit(spans.recent_from)) & (F.col("day") < F.lit(spans.recent_to))
    is_before = F.col("day") < F.lit(spans.reference_to)
    is_same_season = _days_apart_in_year(F.col("day"), F.lit(spans.recent_from)) <= settings.season_days
    is_reference = is_before & (F.col("has_peers") | is_same_season) & F.col("distance").isNotNull()
    newest_first = F.reverse(F.array_sort(F.collect_list(F.when(is_recent, F.struct("day", "lowest", "highest")))))
    summary = (
        _with_distance(days, is_before)
        .groupBy("asset_id", "signal", "has_peers")
        .agg(
            F.count_if(is_recent).alias("recent_days"),
            F.count_if(is_reference).alias("reference_days"),
            F.count_if(is_before).alias("days_before"),
            F.max("day").alias("last_day"),
            F.avg(F.when(is_recent, F.col("mean"))).alias("recent_mean"),
            F.avg(F.when(is_recent, F.col("distance"))).alias("recent_distance"),
            F.percentile(F.when(is_reference, F.col("distance")), [0.25, 0.5, 0.75]).alias("usual"),
            F.slice(newest_first, 1, FROZEN_DAYS).alias("last_days"),
            (F.max(F.when(is_before, F.col("highest"))) > F.min(F.when(is_before, F.col("lowest")))).alias("used_to_move"),
        )
    )
    return _judged(summary, spans, settings)


def _with_distance(days: DataFrame, is_before: Column) -> DataFrame:
    """Each day with its `distance` from what moves all turbines, and the fleet's median as turbine `all`.

    The fleet's movement is the median of how far each turbine is from its own usual level: so the
    day on which one turbine falls silent moves nobody else.
    """
    levels = days.groupBy("asset_id", "signal").agg(F.median(F.when(is_before, F.col("mean"))).alias("level"))
    levelled = days.join(F.broadcast(levels), on=["asset_id", "signal"], how="inner")
    fleet = levelled.groupBy("signal", "day").agg(
        F.median("mean").alias("fleet_mean"),
        F.median(F.col("mean") - F.col("level")).alias("movement"),
        F.count("level").alias("peers"),
        F.min("lowest").alias("fleet_lowest"),
        F.max("highest").alias("fleet_highest"),
    )
    sizes = fleet.groupBy("signal").agg((F.max("peers") >= FEWEST_PEERS).alias("has_peers"))
    is_enough = F.col("peers") >= FEWEST_PEERS
    compared = fleet.join(F.broadcast(sizes), on="signal", how="inner")
    from_peers = F.when(is_enough, F.col("mean") - F.col("movement"))
    own = levelled.join(compared, on=["signal", "day"], how="inner").select(
        "asset_id", "signal", "day", "mean", "lowest", "highest", "has_peers",
        F.when(F.col("has_peers"), from_peers).otherwise(F.col("mean")).alias("distance"),
    )  # fmt: skip
    whole = compared.where("has_peers").select(
        F.lit(WHOLE_FLEET).alias("asset_id"), "signal", "day", F.col("fleet_mean").alias("mean"),
        F.col("fleet_lowest").alias("lowest"), F.col("fleet_highest").alias("highest"),
        F.lit(False).alias("has_peers"), F.when(is_enough, F.col("fleet_mean")).alias("distance"),
    )  # fmt: skip
    return own.unionByName(whole)


def _judged(summary: DataFrame, spans: Spans, settings: DriftSettings) -> DataFrame:
    quarter, middle, three_quarters = (F.col("usual")[position] for position in range(3))
    can_compare = (F.col("reference_days") >= settings.min_reference_days) & F.col("recent_distance").isNotNull()
    spread = F.greatest(
        (three_quarters - quarter) / QUARTILES_APART, F.abs("recent_mean") * SMALLEST_SPREAD, F.lit(1e-9)
    )  # fmt: skip
    expected = F.col("recent_mean") - F.col("recent_distance") + middle
    stands_still = (F.size("last_days") == FROZEN_DAYS) & (
        F.array_max(F.col("last_days.highest")) == F.array_min(F.col("last_days.lowest"))
    )
    status = (
        F.when((F.col("recent_days") == 0) & (F.col("days_before") > 0), "vanished")
        .when((F.col("recent_days") > 0) & (F.col("days_before") == 0), "new")
        .when(stands_still & F.col("used_to_move"), "frozen")
        .when(F.col("drift_score") >= settings.alarm_score, "shifted")
        .otherwise("steady")
    )
    return (
        summary.where("recent_days > 0 OR days_before > 0")
        .withColumns({
            "drift_score": F.when(can_compare, F.round(F.abs(F.col("recent_distance") - middle) / spread, MEAN_DIGITS)),
            "recent_mean": F.round("recent_mean", MEAN_DIGITS),
            "expected_mean": F.when(can_compare, F.round(expected, MEAN_DIGITS)),
            "compared_with": F.when(can_compare, F.when(F.col("has_peers"), "peers").otherwise("same_season")),
            "recent_from": F.lit(spans.recent_from),
            "recent_to": F.lit(spans.recent_to),
        })
        .withColumn("status", status)
        .withColumn("words", _words())
        .select(*FEATURE_DRIFT.schema.names)
    )  # fmt: skip


def _words() -> Column:
    signal = F.translate("signal", "_", " ")
    side = F.when(F.col("recent_mean") > F.col("expected_mean"), "above").otherwise("below")
    away = F.abs(F.col("recent_mean") - F.col("expected_mean"))
    against = F.when(F.col("compared_with") == "peers", "the other turbines lead to expect").otherwise(
        "this season's earlier days"
    )
    sentence = {
        "vanished": F.format_string("%s: no reading since %s", signal, F.date_format("last_day", "yyyy-MM-dd")),
        "new": F.format_string("%s: no reading before the recent days", signal),
        "frozen": F.format_string(
            f"%s: the very same value for the last {FROZEN_DAYS} days, %.4g", signal, F.col("recent_mean")
        ),
    }
    spoken = F.when(F.col("compared_with").isNull(), F.format_string("%s: too few days to compare with", signal)).otherwise(
        F.format_string("%s: %.3g %s what %s (%.4g)", signal, away, side, against, F.col("expected_mean"))
    )
    for name, words in sentence.items():
        spoken = F.when(F.col("status") == name, words).otherwise(spoken)
    return spoken


def _days_apart_in_year(one: Column, other: Column) -> Column:
    apart = F.abs(F.dayofyear(one) - F.dayofyear(other))
    return F.least(apart, F.lit(DAYS_OF_YEAR) - apart)
