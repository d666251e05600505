"""Readings of one batch as packs: what goes through the JVM, to be kept or exchanged, is a few large values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
from pyspark.sql.types import (
    BinaryType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
)

from turbine_health.transforms.kernels import Booleans, Integers
from turbine_health.transforms.slicing import (
    MICROSECONDS,
    Kernel,
    Slicing,
    group_starts,
    of_turbine,
    order_by,
    sorted_codes,
)

PACK = StructType([StructField("pack", BinaryType())])
# Of a batch's lines: readings of plain ones, in packs, with their `DAY_PARTS` as a pack; and the others, each as it came.
VERDICTS = StructType([
    *PACK,
    StructField("days", BinaryType()),
    StructField("value", StringType()),
    StructField("_source_file", StringType()),
    StructField("_source_row", LongType()),
])  # fmt: skip
# Grain: a row per turbine and day of what a worker counts at a time. Times in microseconds since 1970, days since then;
# `repeated_hours` has a bit set for each hour in which a key comes twice.
DAY_PARTS = of_turbine("day", "readings", "first_time", "last_time", "repeated_hours")
SLICES = StructType([StructField("partition", IntegerType()), StructField("_slice", LongType()), *PACK])
# Of a pack, before it is compressed to less than half: larger than 512 KB Java clears a value away only with all the rest.
PACK_BYTES = 2**20
# What Spark takes back at a time; the default of its own way out.
ROWS_PER_BATCH = 10_000
# What a worker holds at once where it need not hold more.
GATHERED_BYTES = 32 * 2**20
HOUR, DAY = 3600 * MICROSECONDS, 86_400 * MICROSECONDS


def told(readings: pa.Table) -> Iterator[pa.RecordBatch]:
    """Readings of plain lines as rows of `VERDICTS`: their days, and packs."""
    if not len(readings):
        return
    days = pa.Table.from_batches([day_parts(readings)])
    yield pa.RecordBatch.from_pydict({"days": _value(days), **_nulls("pack")})
    for pack in _packs(readings):
        yield pa.RecordBatch.from_pydict({"pack": pack, **_nulls("days")})


def not_told(lines: pa.RecordBatch) -> pa.RecordBatch:
    """Other lines as rows of `VERDICTS`."""
    nulls = {name: pa.nulls(len(lines), pa.binary()) for name in ("pack", "days")}
    return pa.RecordBatch.from_pydict({**nulls, **{name: lines[name] for name in ("value", "_source_file", "_source_row")}})


def packing() -> Kernel:
    """The kernel that makes `PACK` of rows."""

    def pack(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield from (pa.RecordBatch.from_pydict({"pack": pack}) for pack in _packs(pa.Table.from_batches([batch])))

    return pack


def unpacked(packs: pa.Array | pa.ChunkedArray, columns: pa.Schema) -> pa.Table:
    """The rows of packs; a column of `columns` that a pack does not have is null there."""
    return pa.concat_tables([_with_columns(pa.ipc.open_stream(pack.as_buffer()).read_all(), columns) for pack in packs])


def counting_days(columns: pa.Schema) -> Kernel:
    """The kernel that makes `DAY_PARTS` of packs with these columns."""

    def count(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for readings in _gathered(batches, columns):
            yield day_parts(readings)

    return count


def day_parts(readings: pa.Table) -> pa.RecordBatch:
    """Columns of `DAY_PARTS`, of readings with `asset_id` and `event_time`."""
    codes, asset_ids = sorted_codes(readings["asset_id"].combine_chunks())
    at = _micros(readings)
    order = order_by(at, codes)
    if order is not None:
        codes, at = codes[order], at[order]
    is_again = np.append(False, (codes[1:] == codes[:-1]) & (at[1:] == at[:-1]))
    hours = np.where(is_again, np.left_shift(1, at % DAY // HOUR), 0)
    starts = group_starts(codes, at // DAY)
    stops = np.append(starts[1:], len(at))
    return pa.RecordBatch.from_pydict({
        "asset_id": asset_ids.take(pa.array(codes[starts])),
        "day": pa.array(at[starts] // DAY),
        "readings": pa.array(stops - starts),
        "first_time": pa.array(at[starts]),
        "last_time": pa.array(at[stops - 1]),
        "repeated_hours": pa.array(np.bitwise_or.reduceat(hours, starts)),
    })  # fmt: skip


def choosing(hours: Mapping[str, Integers], columns: pa.Schema) -> Kernel:
    """The kernel that makes rows of packs again, of these columns and of some hours alone.

    Args:
        hours: `asset_id` → numbers of hours since 1970, ascending.
        columns: `asset_id`, `event_time` and others.
    """

    def choose(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for readings in _gathered(batches, columns):
            is_chosen = is_within(hours, readings["asset_id"].combine_chunks(), _micros(readings))
            yield from readings.filter(pa.array(is_chosen)).to_batches(max_chunksize=ROWS_PER_BATCH)

    return choose


def is_within(hours: Mapping[str, Integers], asset_ids: pa.Array, at: Integers) -> Booleans:
    """Whether each reading lies in some hours of its turbine.

    Args:
        hours: `asset_id` → numbers of hours since 1970, ascending.
        asset_ids: Of the readings.
        at: Their times, microseconds since 1970.
    """
    if not at.size:
        return np.zeros(0, dtype=bool)
    encoded, hour = asset_ids.dictionary_encode(), at // HOUR
    names, ends = encoded.dictionary.to_pylist(), (hour.min(), hour.max() + 1)
    # One number a turbine and hour.
    found = encoded.indices.to_numpy() + len(names) * hour
    near = [(code, hours[name][slice(*np.searchsorted(hours[name], ends))]) for code, name in enumerate(names) if name in hours]
    chosen: Booleans = np.isin(
        found, np.concatenate([np.empty(0, np.int64), *(code + len(names) * each for code, each in near)])
    )
    return chosen


def cutting(slicing: Slicing, before: int, after: int, columns: pa.Schema) -> Kernel:
    """The kernel that cuts packs into slices.

    Args:
        slicing: How turbines' series are cut.
        before: A slice also gets copies of the readings so many microseconds before it,
        after: and so many after it.
        columns: Of the packs.

    Returns:
        Makes `SLICES`: of each partition and slice the readings that it gets, `before` and `after` included.
    """
    length = slicing.chunk_seconds * MICROSECONDS

    def cut(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for readings in _gathered(batches, columns):
            at = _micros(readings)
            first, last = (at - after) // length, (at + before) // length
            copies = last - first + 1
            row = np.repeat(np.arange(len(at)), copies)
            of_row = np.arange(len(row)) - np.repeat(np.cumsum(copies) - copies, copies)
            slice_ = first[row] + of_row
            partition = slicing.partitions_of(readings["asset_id"].combine_chunks().take(pa.array(row)), slice_)
            order = np.lexsort((slice_, partition))
            starts = group_starts(partition[order], slice_[order])
            for start, stop in zip(starts, np.append(starts[1:], len(order)), strict=True):
                place = order[start]
                for pack in _packs(readings.take(pa.array(row[order[start:stop]]))):
                    yield pa.RecordBatch.from_pydict({
                        "partition": pa.array([partition[place]], pa.int32()),
                        "_slice": pa.array([slice_[place]], pa.int64()),
                        "pack": pack,
                    })  # fmt: skip

    return cut


def with_slices(batches: Iterator[pa.RecordBatch], columns: pa.Schema) -> pa.Table | None:
    """The rows of `SLICES`, with their `_slice`; None where there is none."""
    parts = []
    for batch in batches:
        for number, pack in zip(batch["_slice"], batch["pack"], strict=True):
            rows = unpacked([pack], columns)
            parts.append(rows.append_column("_slice", pa.repeat(number, len(rows))))
    return pa.concat_tables(parts).combine_chunks() if parts else None


def _micros(readings: pa.Table) -> Integers:
    at: Integers = readings["event_time"].cast(pa.int64()).to_numpy()
    return at


def _gathered(batches: Iterator[pa.RecordBatch], columns: pa.Schema) -> Iterator[pa.Table]:
    waiting: list[pa.Table] = []
    waiting_bytes = 0
    for batch in batches:
        for pack in batch["pack"]:
            waiting.append(unpacked([pack], columns))
            waiting_bytes += waiting[-1].nbytes
            if waiting_bytes >= GATHERED_BYTES:
                yield pa.concat_tables(waiting).combine_chunks()
                waiting, waiting_bytes = [], 0
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()


def _packs(readings: pa.Table) -> Iterator[pa.Array]:
    rows = max(PACK_BYTES * len(readings) // max(readings.nbytes, 1), 1)
    for start in range(0, len(readings), rows):
        yield _value(readings.slice(start, rows).combine_chunks())


def _value(rows: pa.Table) -> pa.Array:
    """Rows, and their columns' names and types, as one value."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(rows)
    data = sink.getvalue()
    # Not copied once more.
    return pa.Array.from_buffers(pa.binary(), 1, [None, pa.array([0, data.size], pa.int32()).buffers()[1], data])


def _nulls(other: str) -> dict[str, pa.Array]:
    return {
        other: pa.nulls(1, pa.binary()), "value": pa.nulls(1, pa.string()), "_source_file": pa.nulls(1, pa.string()),
        "_source_row": pa.nulls(1, pa.int64()),
    }  # fmt: skip


def _with_columns(rows: pa.Table, columns: pa.Schema) -> pa.Table:
    have = set(rows.schema.names)
    arrays = [
        rows[each.name].cast(each.type) if each.name in have else pa.chunked_array([pa.nulls(len(rows), each.type)])
        for each in columns
    ]
    return pa.Table.from_arrays(arrays, schema=columns)
