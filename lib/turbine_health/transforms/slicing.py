"""How turbines' series are cut into slices that one worker holds at a time."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StringType, StructField, StructType

from turbine_health.transforms.kernels import Integers

# Makes rows of the slice that a worker holds.
Kernel = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


def of_turbine(*numbers: str) -> StructType:
    """`asset_id`, and columns of whole numbers."""
    return StructType([StructField("asset_id", StringType()), *(StructField(name, LongType()) for name in numbers)])


# What a turbine has in a chunk; `first` and `last` are absolute indices of cells or window ends.
PIECES = of_turbine("chunk", "rows", "first", "last")
# Numbers of shares that are tried; with the last, a slice is a turbine or two of ten thousand.
POSSIBLE_SHARES = tuple(2**power for power in range(14))


MICROSECONDS = 1_000_000


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

    def exchanged(self, rows: DataFrame) -> DataFrame:
        """Rows with `asset_id` and `chunk`, each slice in a partition of its own."""
        partition = self.partition_of(F.col("asset_id"), F.col("chunk"))
        return rows.withColumn("partition", partition).repartitionById(self.partitions, "partition").drop("partition")

    def partition_of(self, asset_id: Column, chunk: Column) -> Column:
        """Of consecutive chunk numbers, each with its own partitions."""
        share = _share_of(asset_id, self.turbine_shares)
        return F.pmod(chunk * self.turbine_shares + share, F.lit(self.partitions)).cast("int")

    def partitions_of(self, asset_ids: pa.Array, chunks: Integers) -> Integers:
        """The same, of columns in a worker."""
        encoded = asset_ids.dictionary_encode()
        hashes = np.array([zlib.crc32(name.encode()) for name in encoded.dictionary.to_pylist()], dtype=np.int64)
        share = hashes[encoded.indices.to_numpy()] % self.turbine_shares
        partitions: Integers = (chunks * self.turbine_shares + share) % self.partitions
        return partitions


def counting(time: str, step_seconds: int, chunk_cells: int) -> Kernel:
    """What counts the rows that turbines have in their chunks.

    Args:
        time: Column of times, rounded down to cells.
        step_seconds: Length of a cell.
        chunk_cells: Length of a chunk.

    Returns:
        Kernel from `asset_id` and `time` to `PIECES`; of one turbine and chunk there may be several.
    """

    def count(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            codes, asset_ids = sorted_codes(batch["asset_id"])
            cell = batch[time].cast(pa.int64()).to_numpy() // (step_seconds * MICROSECONDS)
            order = np.lexsort((cell // chunk_cells, codes))
            codes, cell = codes[order], cell[order]
            starts = group_starts(codes, cell // chunk_cells)
            columns = {
                "asset_id": asset_ids.take(pa.array(codes[starts])),
                "chunk": pa.array(cell[starts] // chunk_cells),
                "rows": pa.array(np.diff(starts, append=len(cell))),
                "first": pa.array(np.minimum.reduceat(cell, starts) if len(cell) else cell),
                "last": pa.array(np.maximum.reduceat(cell, starts) if len(cell) else cell),
            }
            yield pa.RecordBatch.from_pydict(columns)

    return count


def in_chunks(spans: pd.DataFrame, first: str, last: str, length: int) -> pd.DataFrame:
    """Cut spans at the borders of chunks.

    Grain: one row per row of `spans` and chunk that it touches.

    Args:
        spans: Spans of cells or window ends, with their turbine and whatever else.
        first: Column with the first absolute index.
        last: Column with the last one, included.
        length: Of a chunk, in cells.

    Returns:
        `spans` plus `chunk`, with what of `first` and `last` lies in it.
    """
    before, through = spans[first] // length, spans[last] // length
    copies = (through - before + 1).to_numpy()
    cut = spans.loc[spans.index.repeat(copies)].reset_index(drop=True)
    of_span = np.arange(len(cut)) - np.repeat(np.cumsum(copies) - copies, copies)
    chunk = np.repeat(before.to_numpy(), copies) + of_span
    start = chunk * length
    bounds = {first: np.maximum(cut[first], start), last: np.minimum(cut[last], start + (length - 1))}
    pieces: pd.DataFrame = cut.assign(chunk=chunk, **bounds)
    return pieces


def one_a_chunk(spans: pd.DataFrame, first: str, last: str, length: int) -> pd.DataFrame:
    """Cut spans at the borders of chunks, and join those of a turbine in one chunk; what lies between them goes along.

    Grain: one row per `asset_id` and `chunk`.

    Args:
        spans: `asset_id`, `first` and `last`.
        first: See `in_chunks`, as for the others.
        last: See there.
        length: See there.

    Returns:
        `asset_id`, `chunk`, `first`, `last`.
    """
    pieces = in_chunks(spans, first, last, length).groupby(["asset_id", "chunk"])
    joined: pd.DataFrame = pieces.agg({first: "min", last: "max"}).reset_index()
    return joined


def slice_sizes(pieces: pd.DataFrame) -> dict[int, int]:
    """Rows of the fullest slice, for every possible number of turbine shares.

    Turbines fall into shares by a hash and into chunks by when they ran, so an average says little.

    Args:
        pieces: `asset_id`, `chunk`, `rows`.
    """
    hashes = pieces["asset_id"].map(lambda asset_id: zlib.crc32(asset_id.encode()))
    return {shares: int(pieces["rows"].groupby([pieces["chunk"], hashes % shares]).sum().max()) for shares in POSSIBLE_SHARES}


def fewest_shares(sizes: Mapping[int, int], rows_per_slice: int) -> int:
    """The fewest turbine shares with which no slice holds more than `rows_per_slice` rows.

    Where one turbine's chunk alone has more, those with which no slice holds more than that one.

    Args:
        sizes: Turbine shares → rows of the fullest slice.
        rows_per_slice: How much a worker is to hold.
    """
    bound = max(rows_per_slice, min(sizes.values()))
    return min(shares for shares, rows in sizes.items() if rows <= bound)


def sorted_codes(names: pa.Array) -> tuple[Integers, pa.Array]:
    """Text as numbers whose order is that of the text, and the texts by number."""
    encoded = names.dictionary_encode()
    order = pc.array_sort_indices(encoded.dictionary)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order.to_numpy()] = np.arange(len(order))
    return rank[encoded.indices.to_numpy()], encoded.dictionary.take(order)


def in_order(rows: pa.Table, *keys: str) -> tuple[pa.Table, Integers, pa.Array]:
    """Rows by `asset_id` and then by `keys`, whole numbers; with `sorted_codes` of them."""
    codes, asset_ids = sorted_codes(rows["asset_id"].combine_chunks())
    order = order_by(*(rows[key].to_numpy() for key in reversed(keys)), codes)
    if order is None:
        return rows, codes, asset_ids
    return rows.combine_chunks().take(pa.array(order)), codes[order], asset_ids


def order_by(*keys: Integers) -> Integers | None:
    """`numpy.lexsort`, the last key first; None where the rows are in order already."""
    order = np.lexsort(keys)
    return None if np.all(order[1:] > order[:-1]) else order


def group_starts(*keys: Integers) -> Integers:
    """Places where rows begin that are equal in all of `keys`, by which they are sorted."""
    is_first = np.ones(len(keys[0]), dtype=bool)
    is_first[1:] = np.any([key[1:] != key[:-1] for key in keys], axis=0)
    return np.flatnonzero(is_first)


def _share_of(asset_id: Column, shares: int) -> Column:
    """As `slice_sizes` has it."""
    return F.crc32(asset_id) % shares
