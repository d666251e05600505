"""What changed since the last build, as ranges of cells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from turbine_health.transforms.slicing import MICROSECONDS
from turbine_health.transforms.spans import ENDLESS, cell_index

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


def to_changed_events(before: DataFrame, now: DataFrame, event_types: Sequence[str]) -> DataFrame:
    """From when on the counts of a turbine's events changed; microseconds since 1970.

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
    return changed.groupBy("asset_id").agg(F.unix_micros(F.min("started_at")).alias("changed_from"))


def life_spans(changed: pd.DataFrame, step_seconds: int) -> pd.DataFrame:
    """Window ends that a changed life, or a changed event, may touch.

    Grain: as `changed`.

    Args:
        changed: `asset_id`, `changed_from`, `changed_until`: microseconds since 1970, or `ENDLESS`.
        step_seconds: Length of a cell.

    Returns:
        `asset_id`, `first_end`, `last_end` (absolute indices, both included; `ENDLESS` as above).
    """
    step = step_seconds * MICROSECONDS
    until = changed["changed_until"]
    ends = {"first_end": changed["changed_from"] // step, "last_end": until.where(until == ENDLESS, until // step)}
    spans: pd.DataFrame = changed[["asset_id"]].assign(**ends)
    return spans


def baseline_spans(ranges: pd.DataFrame, lives: pd.DataFrame, step_seconds: int, baseline_cells: int) -> pd.DataFrame:
    """Window ends of lives in whose baseline a cell changed: all after it.

    Grain: one row per changed range and life with a baseline in it.

    Args:
        ranges: Changed cells: `asset_id`, `first_cell`, `last_cell`.
        lives: By `labels.to_life_rows`.
        step_seconds: Length of a cell.
        baseline_cells: Length of a baseline, from the life's start.

    Returns:
        `asset_id`, `first_end`, `last_end` (`ENDLESS`).
    """
    step = step_seconds * MICROSECONDS
    both = ranges.merge(lives[["asset_id", "life_start"]], on="asset_id", how="inner")
    born = both["life_start"] // step
    # A life that starts within a cell has its baseline from the next one on (`window_values`).
    first_whole_cell = -(-both["life_start"] // step)
    is_inside = (both["last_cell"] >= born) & (both["first_cell"] < first_whole_cell + baseline_cells)
    spans = both[["asset_id"]].assign(first_end=np.maximum(both["first_cell"], born) + 1, last_end=ENDLESS)
    found: pd.DataFrame = spans[is_inside]
    return found
