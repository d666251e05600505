"""Which windows are to be built, as spans of cells and of window ends: a few rows a turbine, in pandas.

A window's end is written as the absolute index of the first cell after it: end 10 covers cells up to 9.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from turbine_health.transforms.slicing import MICROSECONDS

# The last end of a span that has none: all windows from its first on.
ENDLESS = int(np.iinfo(np.int64).max)


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


def seeing(cells: pd.DataFrame, longest_lookback: int) -> pd.DataFrame:
    """Window ends that can see one of some cells.

    Grain: as `cells`.

    Args:
        cells: Ranges of cells: `asset_id`, `first_cell`, `last_cell` (both included).
        longest_lookback: In cells.

    Returns:
        `asset_id`, `first_end`, `last_end` (absolute indices, both included).
    """
    ends = {"first_end": cells["first_cell"] + 1, "last_end": cells["last_cell"] + longest_lookback}
    spans: pd.DataFrame = cells[["asset_id"]].assign(**ends)
    return spans


def ahead(cells: pd.DataFrame, lives: pd.DataFrame, step_seconds: int, reading_seconds: float) -> pd.DataFrame:
    """Window ends between a turbine's last reading so far and its last new one, also where nothing came for a while.

    Grain: one row per `asset_id` of `cells` that has such.

    Args:
        cells: Cells with new readings: `asset_id`, `first_cell`, `last_cell` (both included).
        lives: By `labels.to_life_rows`, as they were before those came. A turbine that was down is taken from the end of its
            last life on.
        step_seconds: Length of a cell.
        reading_seconds: How long before the end of a life its last reading is, at most.

    Returns:
        `asset_id`, `first_end`, `last_end` (absolute indices, both included).
    """
    reading, step = round(reading_seconds * MICROSECONDS), step_seconds * MICROSECONDS
    new = cells.groupby("asset_id").agg(first_cell=("first_cell", "min"), last_cell=("last_cell", "max")).reset_index()
    ended = (lives.groupby("asset_id")["life_end"].max() - reading) // step
    first = new["asset_id"].map(ended).fillna(new["first_cell"]).astype("int64") + 1
    spans = new[["asset_id"]].assign(first_end=first, last_end=new["last_cell"] + 1)
    found: pd.DataFrame = spans[spans["first_end"] <= spans["last_end"]]
    return found


def within_known(spans: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """What of spans lies between a turbine's first window and its last, which ends when its last cell does.

    Grain: one row per row of `spans` of which something does.

    Args:
        spans: `asset_id`, `first_end`, `last_end`, and whatever else.
        known: By `to_cell_spans`, of all cells; unique by `asset_id`.

    Returns:
        The columns of `spans`.
    """
    both = spans.merge(known, on="asset_id", how="inner")
    first, last = np.maximum(both["first_end"], both["first_cell"] + 1), np.minimum(both["last_end"], both["last_cell"] + 1)
    inside = both.assign(first_end=first, last_end=last)
    found: pd.DataFrame = inside.loc[inside["first_end"] <= inside["last_end"], spans.columns].reset_index(drop=True)
    return found


def all_windows(known: pd.DataFrame) -> pd.DataFrame:
    """Every window of every turbine.

    Grain: one row per `asset_id`.

    Args:
        known: By `to_cell_spans`, of all cells.

    Returns:
        `asset_id`, `first_end`, `last_end` (absolute indices, both included).
    """
    spans: pd.DataFrame = known[["asset_id"]].assign(first_end=known["first_cell"] + 1, last_end=known["last_cell"] + 1)
    return spans
