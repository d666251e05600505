"""Rows brought together by partition in packs of Arrow, so that Spark moves bytes and not rows.

Spark's own exchange writes every row, reads it again and turns it into Arrow for the worker. Here a worker packs the columns
that its task read, by partition, and the worker that receives the packs has columns at once. Why: docs/decisions/encoded-files.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql.types import BinaryType, IntegerType, StructField, StructType

# Makes rows of what one partition holds.
Kernel = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]

# What a worker gathers before it packs it.
PACKED_BYTES = 16 * 2**20
_PACKS = pa.schema([("partition", pa.int32()), ("rows", pa.binary())])


def gathered(rows: DataFrame, partition: Column, partitions: int) -> DataFrame:
    """The rows of each partition together, packed; `table_of` unpacks them in its kernel.

    Grain: one row per pack of rows.

    Args:
        rows: Any columns.
        partition: Of a row, from 0.
        partitions: Their number.

    Returns:
        `rows`: an Arrow stream. The order of packs, and of rows in a partition, is not defined.
    """
    schema = StructType([StructField("partition", IntegerType()), StructField("rows", BinaryType())])
    packs = rows.withColumn("_partition", partition).mapInArrow(_pack, schema)
    return packs.repartitionById(partitions, "partition").select("rows")


def table_of(batches: Iterator[pa.RecordBatch]) -> pa.Table | None:
    """All rows of one partition of `gathered`; None where there is none."""
    tables = [pa.ipc.open_stream(pack.as_buffer()).read_all() for batch in batches for pack in batch["rows"]]
    return pa.concat_tables(tables) if tables else None


def _pack(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    waiting: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        waiting.append(batch)
        size += batch.nbytes
        if size >= PACKED_BYTES:
            yield from _packs(waiting)
            waiting, size = [], 0
    if waiting:
        yield from _packs(waiting)


def _packs(batches: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """One pack per partition."""
    rows = pa.Table.from_batches(batches).combine_chunks()
    partition = rows["_partition"].to_numpy()
    rows = rows.drop_columns("_partition")
    if (partition != partition[:1]).any():
        order = np.argsort(partition, kind="stable")
        partition, rows = partition[order], rows.take(order)
    starts = np.flatnonzero(np.diff(partition, prepend=-1))
    for start, stop in zip(starts, [*starts[1:], len(partition)], strict=True):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as stream:
            stream.write_table(rows.slice(start, stop - start))
        pack = pa.array([sink.getvalue().to_pybytes()], pa.binary())
        yield pa.RecordBatch.from_arrays([pa.array(partition[start : start + 1], pa.int32()), pack], schema=_PACKS)
