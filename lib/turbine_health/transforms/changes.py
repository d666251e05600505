"""What changed since the last build, as ranges of cells."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from turbine_health.transforms.slicing import MICROSECONDS
from turbine_health.transforms.spans import cell_index

SECONDS_PER_HOUR = 3_600


def to_changed_cells(hours: DataFrame, step_seconds: int) -> DataFrame:
    """Cells that overlap a changed hour.

    Grain: one row per `asset_id` and `cell`.

    Args:
        hours: ops.changed_hours; an hour may be named more than once.
        step_seconds: Length of a cell.

    Returns:
        `asset_id`, `cell` (absolute index).
    """
    last_second = F.timestamp_seconds(F.unix_seconds("hour_start") + (SECONDS_PER_HOUR - 1))
    overlapped = F.sequence(cell_index(F.col("hour_start"), step_seconds), cell_index(last_second, step_seconds))
    return hours.select("asset_id", F.explode(overlapped).alias("cell")).dropDuplicates(["asset_id", "cell"])


def to_cell_ranges(cells: DataFrame, reach: int) -> DataFrame:
    """Join cells that lie so near that some window sees both.

    Grain: one row per turbine and run of changed cells at most `reach` apart.

    Args:
        cells: `asset_id`, `cell`, each pair once.
        reach: Longest look-back, in cells.

    Returns:
        `asset_id`, `first_cell`, `last_cell` (both included).
    """
    in_order = Window.partitionBy("asset_id").orderBy("cell")
    starts_run = F.coalesce(F.col("cell") - F.lag("cell").over(in_order) > reach, F.lit(True))
    run = F.sum(starts_run.cast("int")).over(in_order.rowsBetween(Window.unboundedPreceding, Window.currentRow))
    return (
        cells.withColumn("run", run)
        .groupBy("asset_id", "run")
        .agg(F.min("cell").alias("first_cell"), F.max("cell").alias("last_cell"))
        .drop("run")
    )


def to_life_spans(changed_lives: DataFrame, known: DataFrame, step_seconds: int) -> DataFrame:
    """Window ends that a changed life, or a changed event, may touch: all from its change on.

    Grain: one row per row of `changed_lives` that has windows.

    Args:
        changed_lives: `asset_id`, `changed_from`.
        known: `asset_id`, `last_cell`; unique by `asset_id`.
        step_seconds: Length of a cell.

    Returns:
        `asset_id`, `first_end`, `last_end` (absolute indices, both included).
    """
    first_end = F.greatest(cell_index(F.col("changed_from"), step_seconds), F.col("first_cell") + 1)
    return (
        changed_lives.join(known, on="asset_id", how="inner")
        .select("asset_id", first_end.alias("first_end"), (F.col("last_cell") + 1).alias("last_end"))
        .where("first_end <= last_end")
    )


def to_changed_events(before: DataFrame, now: DataFrame, event_types: Sequence[str]) -> DataFrame:
    """From when on the counts of a turbine's events changed.

    Grain: one row per `asset_id` with an event of these types that is new, gone or moved.

    Args:
        before: silver.asset_events as they were.
        now: As they are.
        event_types: Those that are counted.

    Returns:
        `asset_id`, `changed_from`.
    """
    columns = ("asset_id", "event_type", "started_at")
    then, since = (frame.where(F.col("event_type").isin(*event_types)).select(*columns) for frame in (before, now))
    changed = then.exceptAll(since).unionByName(since.exceptAll(then))
    return changed.groupBy("asset_id").agg(F.min("started_at").alias("changed_from"))


def to_baseline_spans(
    ranges: DataFrame, lives: DataFrame, known: DataFrame, step_seconds: int, baseline_cells: int
) -> DataFrame:
    """Window ends of lives in whose baseline a cell changed: all after it.

    Grain: one row per changed range and life with a baseline in it.

    Args:
        ranges: Changed cells: `asset_id`, `first_cell`, `last_cell`.
        lives: silver.asset_lives.
        known: `asset_id`, `last_cell` of all cells; unique by `asset_id`.
        step_seconds: Length of a cell.
        baseline_cells: Length of a baseline, from the life's start.

    Returns:
        `asset_id`, `first_end`, `last_end` (absolute indices, both included).
    """
    born = cell_index(F.col("life.life_start"), step_seconds)
    # A life that starts within a cell has its baseline from the next one on (`window_values`).
    first_whole_cell = F.ceil(F.unix_micros("life.life_start") / (step_seconds * MICROSECONDS))
    is_in_baseline = (
        (F.col("life.asset_id") == F.col("range.asset_id"))
        & (F.col("range.last_cell") >= born)
        & (F.col("range.first_cell") < first_whole_cell + baseline_cells)
    )
    first_changed = F.greatest(F.col("range.first_cell"), born)
    return (
        ranges.alias("range")
        .join(lives.alias("life"), on=is_in_baseline, how="inner")
        .select("range.asset_id", (first_changed + 1).alias("first_end"))
        .join(known, on="asset_id", how="inner")
        .select("asset_id", "first_end", (F.col("last_cell") + 1).alias("last_end"))
        .where("first_end <= last_end")
    )
