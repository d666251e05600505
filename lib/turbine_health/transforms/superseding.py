"""One row per turbine and time: the one received last. The others are superseded."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from turbine_health.transforms.kernels import Integers
from turbine_health.transforms.reading_packs import HOUR
from turbine_health.transforms.slicing import in_chunks

# Received later, in a later file of the same batch, further down in the same file: each beats the one before.
LATEST_FIRST = ("_ingested_at", "_file_order", "_source_row")


def suspected_hours(parts: pd.DataFrame) -> pd.DataFrame:
    """Hours in which a turbine's readings may have one time twice; in all others no key comes twice.

    Grain: one row per `asset_id` and `hour`.

    Args:
        parts: Columns of `reading_packs.DAY_PARTS`; of a day there may be several rows.

    Returns:
        `asset_id`; `hour`, since 1970.
    """
    hours = np.arange(24)
    of_part, repeated = np.nonzero(parts["repeated_hours"].to_numpy()[:, None] >> hours & 1)
    within = parts.iloc[of_part][["asset_id", "day"]]
    found = pd.DataFrame({"asset_id": within["asset_id"].array, "hour": within["day"].to_numpy() * 24 + repeated})
    # Parts of one day that overlap: from where the later one begins to where the first of the two ends.
    key = ["asset_id", "day"]
    in_order = parts[parts.duplicated(key, keep=False)].sort_values([*key, "first_time"])
    latest = in_order.groupby(key)["last_time"].cummax()
    earlier = latest.groupby([in_order[name] for name in key]).shift()
    overlaps = in_order[in_order["first_time"] <= earlier]
    spans = pd.DataFrame({
        "asset_id": overlaps["asset_id"], "first": overlaps["first_time"] // HOUR,
        "last": np.minimum(overlaps["last_time"], earlier[overlaps.index]).astype("int64") // HOUR,
    })  # fmt: skip
    shared = in_chunks(spans, "first", "last", 1)[["asset_id", "chunk"]].rename(columns={"chunk": "hour"})
    suspected: pd.DataFrame = pd.concat([found, shared]).drop_duplicates(ignore_index=True)
    return suspected


def hours_within(parts: pd.DataFrame, earlier: timedelta, later: timedelta) -> dict[str, Integers]:
    """Hours of each turbine from so much before the days of which there are readings to so much after them.

    Args:
        parts: Columns of `reading_packs.DAY_PARTS`.
        earlier: Before the first hour of a day; whole hours.
        later: After its last one; whole hours.

    Returns:
        `asset_id` → numbers of hours since 1970, ascending.
    """
    near = np.arange(-(earlier // timedelta(hours=1)), 24 + later // timedelta(hours=1))
    return {str(name): np.unique(days.to_numpy()[:, None] * 24 + near) for name, days in parts.groupby("asset_id")["day"]}


def with_rank(readings: DataFrame) -> DataFrame:
    """Add `rank`, 1 for the reading received last of its turbine and time, and `_winner_file`, its file.

    Grain: that of `readings`.

    Args:
        readings: Needs `asset_id`, `event_time`, `_source_file` and the columns of `LATEST_FIRST`.
    """
    latest_first = Window.partitionBy("asset_id", "event_time").orderBy(*[F.col(name).desc() for name in LATEST_FIRST])
    whole_key = latest_first.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    return readings.withColumns({
        "rank": F.row_number().over(latest_first),
        "_winner_file": F.first("_source_file", ignorenulls=False).over(whole_key),
    })  # fmt: skip


def superseded_reasons(winner_file: Column) -> Column:
    """The reasons of a superseded row: only this one, it was good otherwise."""
    name = F.element_at(F.split(winner_file, "/"), -1)
    return F.array(F.concat(F.lit("superseded: a later reading of this turbine and time came in "), name))
