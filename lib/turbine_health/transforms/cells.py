"""Readings → cells: one mergeable row per turbine and step of the absolute UTC grid.

Readings are brought together by turbine and time slice and summarised in numpy after a sort on
`event_time`, the key. Spark's own partial sums would depend, in their last bits, on how the readings lie
in files and partitions; see docs/decisions/cells-from-sorted-readings.md for what that costs and buys.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from turbine_health.feature_tables import cell_column
from turbine_health.transforms.flags import flagged_at_once
from turbine_health.transforms.kernels import Booleans, Floats, Integers
from turbine_health.transforms.packs import packing, unpacked
from turbine_health.transforms.slicing import MICROSECONDS, Kernel, group_starts, in_order, of_turbine


def reading_columns(signals: Sequence[str]) -> list[str]:
    """Columns of silver.sensor_readings that cells are made of."""
    return ["asset_id", "event_time", "quality_flags", "_source", *signals]


def reading_packs(
    signals: Sequence[str], step_minutes: int, sampling_minutes: Mapping[str, float], block_seconds: int
) -> Kernel:
    """What packs readings for `cell_slices`.

    Args:
        signals: Columns to summarise.
        step_minutes: Length of a cell.
        sampling_minutes: Source → nominal time between two readings of one turbine.
        block_seconds: What one pack spans at most: a time chunk of the slices.

    Returns:
        Kernel from `reading_columns` to `PACKS`.
    """

    def prepare(readings: pa.RecordBatch) -> tuple[pa.RecordBatch, Integers]:
        at = readings["event_time"].cast(pa.int64())
        columns = {
            "asset_id": readings["asset_id"],
            "at": at,
            "is_flagged": flagged_at_once(readings["quality_flags"]),
            "expected_readings": _expected_readings(readings["_source"], step_minutes, sampling_minutes),
            **{signal: readings[signal] for signal in signals},
        }
        return pa.RecordBatch.from_pydict(columns), at.to_numpy() // (block_seconds * MICROSECONDS)

    return packing(prepare)


def cell_slices(
    packs: DataFrame, signals: Sequence[str], step_minutes: int, wanted: DataFrame | None = None
) -> tuple[DataFrame, Kernel]:
    """Readings slice by slice, and what summarises those of each turbine and cell.

    Grain of what the kernel makes: one row per `asset_id` and `cell_start` that has a reading.

    Args:
        packs: By `reading_packs`; `asset_id` and `event_time` are the key of readings.
        signals: Columns to summarise.
        step_minutes: Length of a cell; cells start at multiples of it since 1970 (UTC).
        wanted: Columns of `WANTED` (absolute indices, both included), a row a turbine and chunk: of other cells nothing is
            made. None: all cells.

    Returns:
        Rows with `asset_id` and `chunk` for `Slicing.exchanged`, and for what that gives the kernel, which makes columns of
        `gold.signal_cells`. Means and sums of squares (`m2`, centred on the mean) are the same to the last bit whatever the
        order and partitions of the readings. Null where a cell has no value.
    """
    rows = packs.withColumnRenamed("block", "chunk")
    of_pack = ["asset_id", "chunk", "pack"]
    if wanted is not None:
        of_pack += ["first_cell", "last_cell"]
        rows = rows.join(F.broadcast(wanted), on=["asset_id", "chunk"], how="inner").select(*of_pack)
    step, held = step_minutes * 60 * MICROSECONDS, pa.schema([*_OF_READING, *((name, pa.float64()) for name in signals)])

    def summarise(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        received = [batch.select(of_pack) for batch in batches]
        if received:
            readings = _wanted(unpacked(received, held), step)
            if len(readings):
                yield summarised(readings, tuple(signals), step)

    return rows, summarise


def _wanted(readings: pa.Table, step: int) -> pa.Table:
    """Those in the cells that their slice is to make."""
    if "first_cell" not in readings.schema.names:
        return readings
    first, at, last = (readings[name].to_numpy() for name in ("first_cell", "at", "last_cell"))
    is_wanted = (first * step <= at) & (at < (last + 1) * step)
    return readings if is_wanted.all() else readings.filter(pa.array(is_wanted))


# Cells that are to be made, slice by slice.
WANTED = of_turbine("chunk", "first_cell", "last_cell")
_OF_READING = (("at", pa.int64()), ("is_flagged", pa.bool_()), ("expected_readings", pa.float64()))


def _expected_readings(sources: pa.Array, step_minutes: int, sampling_minutes: Mapping[str, float]) -> pa.Array:
    """Readings of a full cell; null where the sampling is not known."""
    encoded = sources.dictionary_encode()
    expected = [
        step_minutes / sampling_minutes[name] if name in sampling_minutes else None for name in encoded.dictionary.to_pylist()
    ]
    return pa.array(expected, pa.float64()).take(encoded.indices)


def summarised(readings: pa.Table, signals: tuple[str, ...], step: int) -> pa.RecordBatch:
    readings, codes, names = in_order(readings, "at")
    at = readings["at"].to_numpy()
    cell = at // step
    starts = group_starts(codes, cell)
    values = np.stack([floats(readings[signal]) for signal in signals])
    is_flagged = readings["is_flagged"].to_numpy()
    is_usable = np.isfinite(values).any(axis=0)
    last_usable = np.maximum.reduceat(np.where(is_usable, at, np.iinfo(np.int64).min), starts)
    usable = np.add.reduceat(is_usable.astype(np.int64), starts)
    instant = pa.timestamp("us", tz="UTC")
    columns = {
        "asset_id": names.take(pa.array(codes[starts])),
        "cell_start": pa.array(cell[starts] * step, type=instant),
        "readings": pa.array(np.diff(starts, append=len(codes))),
        "usable_readings": pa.array(usable),
        "flagged_readings": pa.array(np.add.reduceat(is_flagged.astype(np.int64), starts)),
        "expected_readings": nullable(floats(readings["expected_readings"])[starts]),
        "last_usable_at": pa.array(last_usable, type=instant, mask=usable == 0),
    }
    parts = _cell_parts(values, starts)
    for row, signal in enumerate(signals):
        columns[cell_column(signal, "count")] = pa.array(parts["count"][row].astype(np.int64))
        for part in ("mean", "m2", "min", "max", "first", "last"):
            columns[cell_column(signal, part)] = nullable(parts[part][row])
    return pa.RecordBatch.from_pydict(columns)


def _cell_parts(values: Floats, starts: Integers) -> dict[str, Floats]:
    """Summary of signals × readings, sorted by time, cut at `starts` → part → signals × cells.

    The mean is taken around the first value and the squares around the mean, so that neither loses
    digits to an offset.
    """
    present: Booleans = np.isfinite(values)
    rows = np.arange(values.shape[1])
    sizes = np.diff(starts, append=values.shape[1])
    count = np.add.reduceat(present.astype(np.float64), starts, axis=1)
    is_empty = count == 0
    first_at = np.minimum.reduceat(np.where(present, rows, values.shape[1] - 1), starts, axis=1)
    last_at = np.maximum.reduceat(np.where(present, rows, 0), starts, axis=1)
    first, last = (np.take_along_axis(values, at, axis=1) for at in (first_at, last_at))
    shift = np.where(present, values - np.repeat(first, sizes, axis=1), 0)
    mean_shift = np.add.reduceat(shift, starts, axis=1) / np.maximum(count, 1)
    residual = np.where(present, shift - np.repeat(mean_shift, sizes, axis=1), 0)
    parts = {
        "mean": first + mean_shift,
        "m2": np.add.reduceat(residual * residual, starts, axis=1),
        "min": np.minimum.reduceat(np.where(present, values, np.inf), starts, axis=1),
        "max": np.maximum.reduceat(np.where(present, values, -np.inf), starts, axis=1),
        "first": first,
        "last": last,
    }
    return {"count": count, **{name: np.where(is_empty, np.nan, part) for name, part in parts.items()}}


def floats(column: pa.ChunkedArray) -> Floats:
    """A numeric column as numpy, null as NaN."""
    values: Floats = column.combine_chunks().to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
    return values


def nullable(values: Floats) -> pa.Array:
    """numpy as a column, NaN as null."""
    return pa.array(values, from_pandas=True)
