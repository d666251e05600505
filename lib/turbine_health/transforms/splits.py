"""Which rows train and which test: by time with an embargo, by turbine, or both; and turbine folds for validation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from pyspark.sql import Column, DataFrame, Window, WindowSpec
from pyspark.sql import functions as F

from turbine_health.errors import DataError, SettingsError
from turbine_health.settings import SplitSettings
from turbine_health.transforms.label_kernel import MICROSECONDS_PER_DAY
from turbine_health.transforms.labels import days_between

TRAIN, TEST, LATER, UNUSED = "train", "test", "later", "unused"


@dataclass(frozen=True)
class Border:
    """Where in time training ends and testing starts, UTC. Nothing that became known after `test_from` trains."""

    train_until: datetime
    test_from: datetime


def time_border(first: datetime, last: datetime, split: SplitSettings, horizon_days: float) -> Border | None:
    """The border in time; None when only turbines are split.

    Args:
        first: Earliest window end with a label, UTC.
        last: Latest one.
        split: Test share (of the time covered) and embargo (days).
        horizon_days: How far a label looks ahead.

    Returns:
        `test_from` at midnight; a label of a window that ends by `train_until` looks no further than it.

    Raises:
        SettingsError: The embargo is shorter than the horizon.
        DataError: The records are too short for such a split.
    """
    if split.strategy == "asset":
        return None
    if split.embargo_days < horizon_days:
        raise SettingsError(
            f"an embargo of {split.embargo_days:g} days is shorter than the horizon of {horizon_days:g} days",
            where="split.embargo_days",
            hint="training would see the test's future; make it at least as long",
        )
    border = border_at(last - (last - first) * split.test_share, split.embargo_days)
    if border.train_until <= first:
        raise DataError(
            f"labels from {first:%Y-%m-%d} to {last:%Y-%m-%d} leave nothing to train on before the embargo",
            where="gold.training_examples",
            hint="take in a longer record, or use split.strategy=asset",
        )
    return border


def border_at(moment: datetime, embargo_days: float) -> Border:
    """The border at the last midnight (UTC) by `moment`, with an embargo (days) before it."""
    test_from = moment.astimezone(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    return Border(test_from - timedelta(days=embargo_days), test_from)


def to_turbine_groups(examples: DataFrame, split: SplitSettings) -> DataFrame:
    """Deal the turbines into test turbines and validation folds.

    Grain: one row per `asset_id`.

    Args:
        examples: Needs `asset_id`, `life_number`, `failure_within_7d`.
        split: Strategy, test share (of the turbines), folds, seed.

    Returns:
        `asset_id`, `is_test_turbine` (false throughout when only time is split), `fold` (0 to folds - 1; null for
        test turbines). Turbines with many failures are dealt first, so folds hold about equally many.
    """
    shuffled = F.xxhash64("asset_id", F.lit(split.seed))
    has_failure = F.col("failure_within_7d") == 1
    turbines = examples.groupBy("asset_id").agg(F.countDistinct(F.when(has_failure, F.col("life_number"))).alias("failures"))
    in_random_order = Window.orderBy(shuffled, "asset_id")
    wanted = F.lit(0) if split.strategy == "time" else F.ceil(F.count("*").over(_all_rows()) * split.test_share)
    grouped = turbines.withColumn("is_test_turbine", F.row_number().over(in_random_order) <= wanted)
    by_failures = Window.partitionBy("is_test_turbine").orderBy(F.desc("failures"), shuffled, "asset_id")
    fold = F.when(~F.col("is_test_turbine"), F.pmod(F.row_number().over(by_failures) - 1, F.lit(split.folds)))
    return grouped.withColumn("fold", fold).select("asset_id", "is_test_turbine", "fold")


def with_part(examples: DataFrame, groups: DataFrame, border: Border | None) -> DataFrame:
    """Say what each row is for.

    Grain: as `examples`.

    Args:
        examples: Needs `asset_id`, `window_end` (UTC).
        groups: From `to_turbine_groups`.
        border: From `time_border`.

    Returns:
        `examples` plus `fold` and `part`: `train`; `test`; `later` (a training turbine after the border, when test
        turbines are held out too); `unused` (embargo, and test turbines before the border).
    """
    if border is None:
        part = F.when(F.col("is_test_turbine"), TEST).otherwise(TRAIN)
    else:
        is_before = F.col("window_end") <= F.lit(border.train_until)
        is_after = F.col("window_end") >= F.lit(border.test_from)
        has_test_turbines = F.max("is_test_turbine").over(_all_rows())
        groups = groups.withColumn("has_test_turbines", has_test_turbines)
        part = (
            F.when(is_before & ~F.col("is_test_turbine"), TRAIN)
            .when(is_after & (F.col("is_test_turbine") | ~F.col("has_test_turbines")), TEST)
            .when(is_after, LATER)
            .otherwise(UNUSED)
        )
    marked = examples.join(F.broadcast(groups), on="asset_id", how="inner").withColumn("part", part)
    return marked.select(*examples.columns, "fold", "part")


def with_days_known(examples: DataFrame, border: Border | None, cap_days: float | None) -> DataFrame:
    """Add the time to failure as it was known when training ended, capped.

    Grain: as `examples`.

    Args:
        examples: Needs `asset_id`, `window_end`, `life_number`, `is_censored`, `time_to_failure_days`, `part`.
        border: A training row knows nothing of what happened after `test_from`.
        cap_days: Lives longer than this look alike; None: not capped.

    Returns:
        `examples` plus `days_known` (> 0, at most the cap): days to a failure on record, or the cap where the turbine
        is known to have run at least that long, null where it ran on and nobody knows how long, or it carries no label;
        and `is_followed_up`: knowledge reaches a whole cap beyond the window. Of later windows the failures are known
        and the survivors are not, so a share counted over them is a share among failures. Not capped: true throughout.
    """
    # A join with one row a life spares sorting all the features by life, as a window would.
    lives = examples.groupBy("asset_id", "life_number").agg(F.max("window_end").alias("_last_window"))
    lives = lives.withColumn("_last_of_all", F.max("_last_window").over(_all_rows()))
    marked = examples.join(F.broadcast(lives), on=["asset_id", "life_number"], how="left")
    seen_running = days_between(F.col("window_end"), F.col("_last_window"))
    knowledge = days_between(F.col("window_end"), F.col("_last_of_all"))
    failure_after = F.col("time_to_failure_days")
    if border is not None:
        is_training = F.col("part") == TRAIN
        until_border = days_between(F.col("window_end"), F.lit(border.test_from))
        seen_running = F.when(is_training, F.least(seen_running, until_border)).otherwise(seen_running)
        knowledge = F.when(is_training, until_border).otherwise(knowledge)
        failure_after = F.when(~is_training | (failure_after <= until_border), failure_after)
    # After `least`, which passes over nulls: a turbine that is down has not been seen running.
    seen_running = F.when(F.col("is_censored").isNotNull(), seen_running)
    if cap_days is None:
        return marked.select(*examples.columns, failure_after.alias("days_known"), F.lit(True).alias("is_followed_up"))
    cap = F.lit(float(cap_days))
    days_known = F.when(failure_after.isNotNull(), F.least(failure_after, cap)).when(seen_running >= cap, cap)
    is_followed_up = F.coalesce(knowledge >= cap, F.lit(False))
    return marked.select(*examples.columns, days_known.alias("days_known"), is_followed_up.alias("is_followed_up"))


def failure_time() -> Column:
    """When the life of a window ended in failure (UTC); null when it did not."""
    days = F.round(F.col("time_to_failure_days") * MICROSECONDS_PER_DAY).cast("long")
    return F.timestamp_micros(F.unix_micros("window_end") + days)


def _all_rows() -> WindowSpec:
    """Every row of a small table: one a turbine or life."""
    return Window.partitionBy(F.lit(1)).rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
