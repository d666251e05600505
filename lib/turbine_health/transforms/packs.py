"""Rows of a turbine and a block of time as one value: what goes through an exchange is a few packs, not every row."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql.types import BinaryType, LongType, StringType, StructField, StructType

from turbine_health.transforms.kernels import Integers
from turbine_health.transforms.slicing import Kernel, group_starts, order_by, sorted_codes

# Grain: one row per `asset_id` and `block` of each part of a table that a worker packs at a time.
PACKS = StructType([
    StructField("asset_id", StringType()),
    StructField("block", LongType()),
    StructField("pack", BinaryType()),
])  # fmt: skip
_PACKS = pa.schema([("asset_id", pa.string()), ("block", pa.int64()), ("pack", pa.binary())])
# What a worker gathers before it packs it, what a pack holds at most, and what goes to the JVM at once.
GATHERED_BYTES = 32 * 2**20
PACK_ROWS = 2**12
SENT_BYTES = 8 * 2**20

Prepare = Callable[[pa.RecordBatch], tuple[pa.RecordBatch, Integers]]


def packing(prepare: Prepare) -> Kernel:
    """A kernel that packs what `prepare` makes of its batches.

    Args:
        prepare: Batch → the rows to pack, with `asset_id` among their columns, and the number of the block that each lies in.

    Returns:
        Makes columns of `PACKS`; packs hold the columns without `asset_id`, in no order.
    """

    def pack(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for rows, blocks in _gathered(prepare(batch) for batch in batches if len(batch)):
            yield from _sent(_packed(rows, blocks))

    return pack


def unpacked(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    """The rows of packs.

    Args:
        batches: `pack`, and columns that all rows of a pack share; rows without a pack are left out.
        schema: Of the packs.

    Returns:
        The columns of `schema`, and those shared; `asset_id` as a dictionary.
    """
    shared = pa.Table.from_batches(batches)
    shared = shared.filter(shared["pack"].is_valid())
    # As a rule the rows then are in order, so nobody has to put them in order.
    shared = shared.sort_by([(name, "ascending") for name in shared.schema.names if name != "pack"])
    rows = [pa.ipc.read_record_batch(pack.as_buffer(), schema) for pack in shared["pack"]]
    of_pack = np.repeat(np.arange(len(rows)), [len(each) for each in rows])
    table = pa.Table.from_batches(rows, schema)
    for name in shared.drop_columns("pack").schema.names:
        column = shared[name].combine_chunks()
        table = table.append_column(
            name, (column.dictionary_encode() if name == "asset_id" else column).take(pa.array(of_pack))
        )
    return table


def _gathered(prepared: Iterator[tuple[pa.RecordBatch, Integers]]) -> Iterator[tuple[pa.RecordBatch, Integers]]:
    """Small batches put together."""
    waiting: list[tuple[pa.RecordBatch, Integers]] = []
    waiting_bytes = 0
    for rows, blocks in prepared:
        if len(rows):
            waiting.append((rows, blocks))
        waiting_bytes += rows.nbytes
        if waiting_bytes >= GATHERED_BYTES:
            yield _joined(waiting)
            waiting, waiting_bytes = [], 0
    if waiting:
        yield _joined(waiting)


def _joined(parts: list[tuple[pa.RecordBatch, Integers]]) -> tuple[pa.RecordBatch, Integers]:
    rows = pa.Table.from_batches([rows for rows, _ in parts]).unify_dictionaries().combine_chunks()
    return rows.to_batches()[0], np.concatenate([blocks for _, blocks in parts])


def _packed(rows: pa.RecordBatch, blocks: Integers) -> Iterator[tuple[str, int, pa.Buffer]]:
    codes, asset_ids = sorted_codes(rows["asset_id"])
    order = order_by(blocks, codes)
    columns = rows.drop_columns("asset_id")
    if order is not None:
        columns, codes, blocks = columns.take(pa.array(order)), codes[order], blocks[order]
    starts = group_starts(codes, blocks)
    for start, stop in zip(starts, np.append(starts[1:], len(codes)), strict=True):
        for first in range(start, stop, PACK_ROWS):
            pack = columns.slice(first, min(PACK_ROWS, stop - first)).serialize()
            yield asset_ids[int(codes[start])].as_py(), int(blocks[start]), pack


def _sent(packs: Iterator[tuple[str, int, pa.Buffer]]) -> Iterator[pa.RecordBatch]:
    waiting: list[tuple[str, int, pa.Buffer]] = []
    waiting_bytes = 0
    for each in packs:
        waiting.append(each)
        waiting_bytes += each[2].size
        if waiting_bytes >= SENT_BYTES:
            yield _as_columns(waiting)
            waiting, waiting_bytes = [], 0
    if waiting:
        yield _as_columns(waiting)


def _as_columns(packs: list[tuple[str, int, pa.Buffer]]) -> pa.RecordBatch:
    asset_ids, blocks, buffers = zip(*packs, strict=True)
    ends = np.cumsum([0, *(pack.size for pack in buffers)], dtype=np.int32)
    # Copied once.
    pack = pa.Array.from_buffers(pa.binary(), len(packs), [None, pa.py_buffer(ends), pa.py_buffer(b"".join(buffers))])
    return pa.RecordBatch.from_arrays([pa.array(asset_ids), pa.array(blocks, pa.int64()), pack], schema=_PACKS)
