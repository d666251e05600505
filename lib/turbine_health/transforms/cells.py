"""Readings → cells: one mergeable row per turbine and step of the absolute UTC grid.

Readings are brought together by turbine and time slice and summarised in numpy after a sort on
`event_time`, the key. Spark's own partial sums would depend, in their last bits, on how the readings lie
in files and partitions; see docs/decisions/cells-from-sorted-readings.md for what that costs and buys.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from turbine_health.feature_tables import cell_column
from turbine_health.transforms.flags import is_flagged_at_once
from turbine_health.transforms.kernels import Booleans, Floats, Integers
from turbine_health.transforms.slicing import Kernel, Slicing

SECONDS_PER_DAY = 86_400
MICROSECONDS = 1_000_000


def cell_slices(
    readings: DataFrame, signals: Sequence[str], step_minutes: int, sampling_minutes: Mapping[str, float], slicing: Slicing
) -> tuple[DataFrame, Kernel]:
    """Readings brought together slice by slice, and what summarises those of each turbine and cell.

    Grain of what the kernel makes: one row per `asset_id` and `cell_start` that has a reading.

    Args:
        readings: silver.sensor_readings; `asset_id` and `event_time` are its key.
        signals: Columns to summarise.
        step_minutes: Length of a cell; cells start at multiples of it since 1970 (UTC).
        sampling_minutes: Source → nominal time between two readings of one turbine.
        slicing: How much a worker holds.

    Returns:
        Rows for `DataFrame.mapInArrow`, and its kernel for columns of `gold.signal_cells`. Means and sums of squares
        (`m2`, centred on the mean) are the same to the last bit whatever the order and partitions of `readings`. Null
        where a cell has no value.
    """
    sampling = F.create_map(*[F.lit(part) for pair in sampling_minutes.items() for part in pair]) if sampling_minutes else None
    expected = F.lit(float(step_minutes)) / sampling[F.col("_source")] if sampling is not None else F.lit(None).cast("double")
    seconds = F.unix_seconds("event_time")
    rows = readings.select(
        "asset_id",
        F.unix_micros("event_time").alias("at"),
        is_flagged_at_once("quality_flags").alias("is_flagged"),
        expected.alias("expected_readings"),
        *signals,
        slicing.partition_of(F.col("asset_id"), F.floor(seconds / slicing.chunk_seconds)).alias("partition"),
    )
    kernel = _cell_kernel(tuple(signals), step_minutes * 60 * MICROSECONDS)
    return rows.repartitionById(slicing.partitions, "partition").drop("partition"), kernel


def _cell_kernel(signals: tuple[str, ...], step: int) -> Kernel:
    def summarise(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        received = list(batches)
        if received:
            yield summarised(pa.Table.from_batches(received), signals, step)

    return summarise


def summarised(readings: pa.Table, signals: tuple[str, ...], step: int) -> pa.RecordBatch:
    codes, names = sorted_codes(readings["asset_id"])
    at = readings["at"].to_numpy()
    order = np.lexsort((at, codes))
    codes, at = codes[order], at[order]
    cell = at // step
    starts = np.flatnonzero(np.diff(codes, prepend=-1) | np.diff(cell, prepend=cell[:1] - 1))
    values = np.stack([floats(readings[signal])[order] for signal in signals])
    is_flagged = readings["is_flagged"].to_numpy()[order]
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
        "expected_readings": nullable(floats(readings["expected_readings"])[order][starts]),
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


def sorted_codes(names: pa.ChunkedArray) -> tuple[Integers, pa.Array]:
    """Text as numbers whose order is that of the text, and the texts by number."""
    encoded = names.combine_chunks().dictionary_encode()
    order = pc.array_sort_indices(encoded.dictionary)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order.to_numpy()] = np.arange(len(order))
    return rank[encoded.indices.to_numpy()], encoded.dictionary.take(order)


def floats(column: pa.ChunkedArray) -> Floats:
    """A numeric column as numpy, null as NaN."""
    values: Floats = column.combine_chunks().to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
    return values


def nullable(values: Floats) -> pa.Array:
    """numpy as a column, NaN as null."""
    return pa.array(values, from_pandas=True)
