"""Which windows a run judges, and the rows of turbines that have none: silent ones, and those never heard of."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

SECONDS_PER_HOUR = 3_600


@dataclass(frozen=True)
class Ends:
    """Window ends to judge: every `step_seconds` from `first` to `last`, both included, seconds since 1970."""

    first: int
    last: int
    step_seconds: int


@dataclass(frozen=True)
class Freshness:
    """From when on a turbine without a window is silent.

    `shortest_lookback_hours` is what `coverage` looks back: after a longer silence it is 0.
    """

    stale_after_hours: float
    shortest_lookback_hours: float


def to_windows_of_span(
    windows: DataFrame, known: DataFrame, ends: Ends, freshness: Freshness, changed: DataFrame | None = None
) -> DataFrame:
    """All windows that end in a span, and a row without features for each end at which a turbine is silent.

    Grain: one row per `asset_id` and `window_end`.

    Args:
        windows: gold.window_features.
        known: `asset_id` of the plant's turbines, unique.
        ends: The span.
        freshness: What is silent.
        changed: Those of `windows` to take; None: all.
    """
    end = F.unix_seconds("window_end")
    built = (windows if changed is None else changed).where(end.between(ends.first, ends.last))
    return built.unionByName(to_silent_windows(windows, known, ends, freshness), allowMissingColumns=True)


def to_newest_windows(windows: DataFrame, known: DataFrame, ends: Ends, freshness: Freshness) -> DataFrame:
    """Of each turbine the newest row of `to_windows_of_span`, as of the last end.

    Grain: one row per `asset_id`.

    Args:
        windows: gold.window_features.
        known: `asset_id` of the plant's turbines, unique.
        ends: Only the last counts: windows that end after it are left out.
        freshness: What is silent.
    """
    last = Ends(ends.last, ends.last, ends.step_seconds)
    until = windows.where(F.unix_seconds("window_end") <= ends.last)
    newest = until.groupBy("asset_id").agg(F.max("window_end").alias("window_end"))
    silent = to_silent_windows(until, known, last, freshness)
    heard = F.broadcast(newest).join(silent, on="asset_id", how="left_anti")
    built = until.join(heard, on=["asset_id", "window_end"], how="left_semi")
    return built.unionByName(silent, allowMissingColumns=True)


def to_silent_windows(windows: DataFrame, known: DataFrame, ends: Ends, freshness: Freshness) -> DataFrame:
    """A row for each end at which a turbine has no window: its last reading is too old, or it never had one.

    A turbine's windows end with its last cell. While that is fresh enough it has no row here: its last
    window still speaks for it. What a run finds at an end does not depend on the other ends it judges.

    Grain: one row per `asset_id` and `window_end`.

    Args:
        windows: gold.window_features.
        known: `asset_id` of the plant's turbines, unique; one without a window before an end has no data there.
        ends: The ends.
        freshness: What is silent.

    Returns:
        `asset_id`, `window_end`, `coverage` (0; null: not known as the silence is shorter than the look-back) and
        `data_age_hours` (null: no reading).
    """
    end = F.unix_seconds("window_end")
    heard = windows.groupBy("asset_id").agg(
        F.min(end).alias("first_end"), F.max(end).alias("last_end"), F.max_by("data_age_hours", "window_end").alias("last_age")
    )
    turbines = heard.join(known.withColumn("is_known", F.lit(True)), on="asset_id", how="full")
    every = F.sequence(F.lit(ends.first).cast("long"), F.lit(ends.last).cast("long"), F.lit(ends.step_seconds).cast("long"))
    silent = turbines.withColumn("end", F.explode(F.filter(every, lambda at: _is_silent(at, freshness))))
    gap_hours = F.greatest(_hours_since_last(F.col("end")), F.lit(0.0))
    has_begun = F.col("end") > F.col("last_end")
    is_empty = F.coalesce(gap_hours >= freshness.shortest_lookback_hours, F.lit(True)) | ~F.coalesce(has_begun, F.lit(False))
    return silent.select(
        "asset_id",
        F.timestamp_seconds("end").alias("window_end"),
        F.when(is_empty, F.lit(0.0)).alias("coverage"),
        F.when(has_begun, F.col("last_age") + gap_hours).alias("data_age_hours"),
    )


def _is_silent(end: Column, freshness: Freshness) -> Column:
    age = F.col("last_age") + _hours_since_last(end)
    is_stale = (end > F.col("last_end")) & F.coalesce(age > freshness.stale_after_hours, F.lit(True))
    is_before_all = F.col("is_known") & (F.col("last_end").isNull() | (end < F.col("first_end")))
    return F.coalesce(is_stale, F.lit(False)) | F.coalesce(is_before_all, F.lit(False))


def _hours_since_last(end: Column) -> Column:
    return (end - F.col("last_end")) / SECONDS_PER_HOUR
