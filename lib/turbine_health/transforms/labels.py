"""What happened after each window: the labels, and why some windows have none."""

from __future__ import annotations

from collections.abc import Collection

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from turbine_health.settings import LabelSettings
from turbine_health.tables import ASSET_LIVES

SECONDS_PER_DAY = 86_400
MICROSECONDS_PER_DAY = SECONDS_PER_DAY * 1_000_000


def days_between(start: Column, end: Column) -> Column:
    """Days from `start` to `end`, with fractions; null when either is."""
    return (F.unix_micros(end) - F.unix_micros(start)) / MICROSECONDS_PER_DAY


def to_training_examples(
    features: DataFrame, lives: DataFrame, labels: LabelSettings, unrecorded: Collection[str] = ()
) -> DataFrame:
    """Add to each window whether, and when, its life ended in failure.

    Grain: one row per `asset_id` and `window_end`, as `features`.

    Args:
        features: gold.window_features.
        lives: silver.asset_lives: runs between repairs, not overlapping.
        labels: Horizon (days) and recovering time (hours).
        unrecorded: Turbines whose failures nobody writes down: that none is known says nothing.

    Returns:
        `features` plus `life_number` (null while down), `label_status`, and for windows whose status is
        `observed` or `horizon_incomplete`: `is_censored`, `time_to_failure_days` (> 0; null when
        censored), `failure_mode` (null when censored). `failure_within_7d` is 1 or 0 where observed,
        else null.
    """
    lived = _with_life(features, lives)
    is_censored = ~F.col("life.ended_in_failure")
    status = _label_status(is_censored, labels, unrecorded)
    is_labelled = status.isin("observed", "horizon_incomplete")
    days_left = days_between(F.col("window_end"), F.col("life.life_end"))
    return lived.select(
        "example.*",
        F.when(status == "observed", (~is_censored & (days_left <= labels.horizon_days)).cast("int")).alias(
            "failure_within_7d"
        ),
        F.when(is_labelled & ~is_censored, days_left).alias("time_to_failure_days"),
        F.when(is_labelled, is_censored).alias("is_censored"),
        status.alias("label_status"),
        F.col("life.life_number").alias("life_number"),
        F.when(is_labelled & ~is_censored, F.col("life.failure_mode")).alias("failure_mode"),
    )


def to_changed_lives(before: DataFrame, after: DataFrame, labels: LabelSettings) -> DataFrame:
    """Lives that are new or other than before, and from when on that matters.

    Grain: one row per `asset_id` and `life_number` that changed.

    Args:
        before: silver.asset_lives as it was.
        after: silver.asset_lives as it is.
        labels: Horizon (days).

    Returns:
        `asset_id`, `changed_from`: windows that end at or after it may be labelled otherwise;
        `is_recut`: their features may differ too, as the life's start moved.
    """
    columns = [name for name in ASSET_LIVES.schema.names if name not in ASSET_LIVES.keys]
    old = before.select(*ASSET_LIVES.keys, F.struct(*columns).alias("old"))
    new = after.select(*ASSET_LIVES.keys, F.struct(*columns).alias("new"))
    is_recut = ~F.col("old.life_start").eqNullSafe(F.col("new.life_start"))
    only_went_on = ~is_recut & F.col("old.is_running") & F.col("new.is_running")
    horizon = F.make_dt_interval(F.lit(0), F.lit(0), F.lit(0), F.lit(labels.horizon_days * SECONDS_PER_DAY))
    return (
        old.join(new, on=list(ASSET_LIVES.keys), how="full")
        .where(~F.col("old").eqNullSafe(F.col("new")))
        .select(
            "asset_id",
            F.when(only_went_on, F.col("old.life_end") - horizon)
            .otherwise(F.least(F.col("old.life_start"), F.col("new.life_start")))
            .alias("changed_from"),
            is_recut.alias("is_recut"),
        )
    )


def _with_life(features: DataFrame, lives: DataFrame) -> DataFrame:
    """`example.*` with the `life.*` it belongs to; a life still running is open-ended."""
    example_end, life_end = F.col("example.window_end"), F.col("life.life_end")
    is_in_life = (
        (F.col("example.asset_id") == F.col("life.asset_id"))
        & (example_end >= F.col("life.life_start"))
        & (F.col("life.is_running") | (example_end < life_end))
    )
    return features.alias("example").join(F.broadcast(lives.alias("life")), on=is_in_life, how="left")


def _label_status(is_censored: Column, labels: LabelSettings, unrecorded: Collection[str]) -> Column:
    window_end = F.col("example.window_end")
    is_down = F.col("life.life_number").isNull()
    is_repaired = F.col("life.life_number") > 1
    is_recovering = is_repaired & (days_between(F.col("life.life_start"), window_end) < labels.recovering_hours / 24)
    is_known = ~is_censored | (days_between(window_end, F.col("life.life_end")) >= labels.horizon_days)
    is_recorded = ~F.col("example.asset_id").isin(*unrecorded) if unrecorded else F.lit(True)
    return (
        F.when(~is_recorded, "no_record")
        .when(is_down, "down")
        .when(is_recovering, "recovering")
        .when(F.coalesce(F.col("example.coverage"), F.lit(1.0)) == 0, "no_data")
        .when(is_known, "observed")
        .otherwise("horizon_incomplete")
    )
