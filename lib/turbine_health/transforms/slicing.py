"""How turbines' series are cut into slices that one worker holds at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

# Makes rows of the slice that a worker holds.
Kernel = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]
# Numbers of shares that are tried; with the last, a slice is a turbine or two of ten thousand.
POSSIBLE_SHARES = tuple(2**power for power in range(14))


@dataclass(frozen=True)
class Slicing:
    """How turbines' series are cut into slices that one worker holds at a time.

    A partition holds one time chunk of a share of the turbines, so files follow time and a new day
    touches only the newest ones.
    """

    chunk_seconds: int
    chunks: int
    turbine_shares: int

    @property
    def partitions(self) -> int:
        """Number of partitions."""
        return self.chunks * self.turbine_shares

    def partition_of(self, asset_id: Column, chunk: Column) -> Column:
        """Of consecutive chunk numbers, each with its own partitions."""
        share = _share_of(asset_id, F.lit(self.turbine_shares))
        return F.pmod(chunk * self.turbine_shares + share, F.lit(self.partitions)).cast("int")


def to_slice_sizes(pieces: DataFrame) -> DataFrame:
    """Rows of the fullest slice, for every possible number of turbine shares.

    Turbines fall into shares by a hash and into chunks by when they ran, so an average says little.

    Grain: one row per `turbine_shares`; none where there is no piece.

    Args:
        pieces: What a turbine has in a chunk: `asset_id`, `chunk`, `rows`, and `first` and `last`, absolute
            indices of cells or window ends.

    Returns:
        `turbine_shares`, `rows`, and `first` and `last` of all pieces.
    """
    shares = F.explode(F.array(*[F.lit(shares) for shares in POSSIBLE_SHARES]))
    reach = F.min("first").alias("first"), F.max("last").alias("last")
    return (
        pieces.groupBy("asset_id", "chunk")
        .agg(F.sum("rows").alias("rows"), *reach)
        .withColumn("turbine_shares", shares)
        .groupBy("turbine_shares", "chunk", _share_of(F.col("asset_id"), F.col("turbine_shares")).alias("share"))
        .agg(F.sum("rows").alias("rows"), *reach)
        .groupBy("turbine_shares")
        .agg(F.max("rows").alias("rows"), *reach)
    )


def fewest_shares(sizes: Mapping[int, int], rows_per_slice: int) -> int:
    """The fewest turbine shares with which no slice holds more than `rows_per_slice` rows.

    Where one turbine's chunk alone has more, those with which no slice holds more than that one.

    Args:
        sizes: Turbine shares → rows of the fullest slice.
        rows_per_slice: How much a worker is to hold.
    """
    bound = max(rows_per_slice, min(sizes.values()))
    return min(shares for shares, rows in sizes.items() if rows <= bound)


def _share_of(asset_id: Column, shares: Column) -> Column:
    return F.pmod(F.xxhash64(asset_id), shares)
