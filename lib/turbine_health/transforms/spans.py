"""Which windows are to be built, as spans of cells and of window ends: a row a turbine, in pandas.

A window's end is written as the absolute index of the first cell after it: end 10 covers cells up to 9.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from pyspark.sql import Column
from pyspark.sql import functions as F

from turbine_health.transforms.slicing import MICROSECONDS

# The last end of a span that has none: all windows from its first on.
ENDLESS = int(np.iinfo(np.int64).max)


def cell_index(time: Column, step_seconds: int) -> Column:
    """Absolute index of the cell that holds `time`."""
    return F.floor(F.unix_micros(time) / (step_seconds * MICROSECONDS)).cast("long")


def cell_spans(pieces: pd.DataFrame) -> pd.DataFrame:
    """First and last cell of each turbine.

    Grain: one row per `asset_id`.

    Args:
        pieces: Columns of `slicing.PIECES`.

    Returns:
        `asset_id`, `first_cell`, `last_cell` (absolute indices, both included).
    """
    spans: pd.DataFrame = pieces.groupby("asset_id", as_index=False).agg(first_cell=("first", "min"), last_cell=("last", "max"))
    return spans


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


def within_known(spans: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """What of spans lies between a turbine's first window and its last, which ends when its last cell does.

    Grain: one row per row of `spans` of which something does.

    Args:
        spans: `asset_id`, `first_end`, `last_end`, and whatever else.
        known: By `cell_spans`, of all cells.

    Returns:
        The columns of `spans`.
    """
    both = spans.merge(known, on="asset_id")
    first, last = np.maximum(both["first_end"], both["first_cell"] + 1), np.minimum(both["last_end"], both["last_cell"] + 1)
    inside = both.assign(first_end=first, last_end=last)
    found: pd.DataFrame = inside.loc[inside["first_end"] <= inside["last_end"], spans.columns].reset_index(drop=True)
    return found


def all_windows(known: pd.DataFrame) -> pd.DataFrame:
    """Every window of every turbine.

    Grain: one row per `asset_id`.

    Args:
        known: By `cell_spans`, of all cells.

    Returns:
        `asset_id`, `first_end`, `last_end` (absolute indices, both included).
    """
    spans: pd.DataFrame = known[["asset_id"]].assign(first_end=known["first_cell"] + 1, last_end=known["last_cell"] + 1)
    return spans
