"""Whether frames hold the same rows, found out in one job and without bringing a row to the driver."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def fingerprints(*frames: DataFrame) -> list[tuple[int, int]]:
    """Of each frame the number of rows, and what is equal for equal rows in any order; in one job."""
    tagged = [_hashes(frame).withColumn("side", F.lit(side)) for side, frame in enumerate(frames)]
    sums = reduce(DataFrame.unionByName, tagged).groupBy("side").agg(F.count("*"), F.sum("hash")).collect()
    found = {int(side): (int(rows), int(hashes)) for side, rows, hashes in sums}
    return [found.get(side, (0, 0)) for side in range(len(frames))]


def rows_where_same(new: Sequence[DataFrame], old: Sequence[DataFrame | None]) -> list[int | None]:
    """How many rows two frames have that hold the same ones, pair by pair; None where they differ, or `old` has none."""
    pairs = {place: (new[place], theirs) for place, theirs in enumerate(old) if theirs is not None}
    found = fingerprints(*(frame for pair in pairs.values() for frame in pair)) if pairs else []
    same = {place: mine[0] for place, mine, theirs in zip(pairs, found[::2], found[1::2], strict=True) if mine == theirs}
    return [same.get(place) for place in range(len(old))]


def _hashes(frame: DataFrame) -> DataFrame:
    # A null adds nothing to a hash: without saying which are null, a value could move to its neighbour unseen.
    # As SQL, because a column of Python's costs a dozen calls of the JVM each.
    names = [f"`{name.replace('`', '``')}`" for name in frame.columns]
    nulls = ", ".join(f"if({name} IS NULL, '1', '0')" for name in names)
    return frame.selectExpr(f"CAST(xxhash64({', '.join(names)}, concat({nulls})) AS DECIMAL(38, 0)) AS hash")
