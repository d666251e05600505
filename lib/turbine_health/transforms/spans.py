"""Which windows are to be built, as spans of cells and of window ends.

A window's end is written as the absolute index of the first cell after it: end 10 covers cells up to 9.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from turbine_health.transforms.slicing import MICROSECONDS


def cell_index(time: Column, step_seconds: int) -> Column:
    """Absolute index of the cell that holds `time`."""
    return F.floor(F.unix_micros(time) / (step_seconds * MICROSECONDS)).cast("long")


def to_cell_spans(pieces: DataFrame) -> DataFrame:
    """First and last cell of each turbine.

    Grain: one row per `asset_id`.

    Args:
        pieces: Columns of `slicing.PIECES`.

    Returns:
        `asset_id`, `first_cell`, `last_cell` (absolute indices, both included).
    """
    return pieces.groupBy("asset_id").agg(F.min("first").alias("first_cell"), F.max("last").alias("last_cell"))


def to_window_spans(changed: DataFrame, known: DataFrame, longest_lookback: int) -> DataFrame:
    """Window ends that can see a changed cell.

    Grain: one row per row of `changed` that some window can see.

    Args:
        changed: Ranges of cells: `asset_id`, `first_cell`, `last_cell`.
        known: The same of all cells; a turbine's windows end when its last cell does. Unique by `asset_id`.
        longest_lookback: In cells.

    Returns:
        `asset_id`, `first_end`, `last_end` (absolute indices, both included).
    """
    last_cell = F.least(F.col("change.last_cell") + (longest_lookback - 1), F.col("all.last_cell"))
    return (
        changed.alias("change")
        .join(known.alias("all"), on="asset_id", how="inner")
        .select("asset_id", (F.col("change.first_cell") + 1).alias("first_end"), (last_cell + 1).alias("last_end"))
        .where("first_end <= last_end")
    )


def to_spans_between(known: DataFrame, first_end: int, last_end: int) -> DataFrame:
    """Window ends of every turbine in a span of time.

    Grain: one row per `asset_id` that has windows in it.

    Args:
        known: `asset_id`, `first_cell`, `last_cell`; unique by `asset_id`.
        first_end: Absolute index, included.
        last_end: Absolute index, included.

    Returns:
        `asset_id`, `first_end`, `last_end` (both included).
    """
    first, last = F.greatest(F.col("first_cell") + 1, F.lit(first_end)), F.least(F.col("last_cell") + 1, F.lit(last_end))
    return known.select("asset_id", first.alias("first_end"), last.alias("last_end")).where("first_end <= last_end")
