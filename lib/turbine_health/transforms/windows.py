"""Cells → trailing windows, slice by slice. Which windows are to be built: `spans`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from turbine_health.feature_tables import cell_column
from turbine_health.transforms.cells import MICROSECONDS, floats, nullable, sorted_codes
from turbine_health.transforms.features import EVENTS, FeaturePlan, Slice, event_counts, window_values
from turbine_health.transforms.kernels import Cells, Floats, Integers
from turbine_health.transforms.slicing import Kernel, Slicing
from turbine_health.transforms.spans import cell_index


def with_life_starts(spans: DataFrame, lives: DataFrame) -> DataFrame:
    """Add the starts of a turbine's lives, which cut its windows.

    Grain: as `spans`.

    Args:
        spans: Needs `asset_id`.
        lives: silver.asset_lives.

    Returns:
        `spans` plus `life_starts`: ascending microseconds since 1970; null where no life is known.
    """
    starts = lives.groupBy("asset_id").agg(F.sort_array(F.collect_list(F.unix_micros("life_start"))).alias("life_starts"))
    return spans.join(starts, on="asset_id", how="left")


def with_event_times(spans: DataFrame, events: DataFrame, plan: FeaturePlan) -> DataFrame:
    """Add when each event began that features count.

    Grain: as `spans`.

    Args:
        spans: Needs `asset_id`.
        events: silver.asset_events.
        plan: Says which to count.

    Returns:
        `spans` plus `<event>_began` of each of `plan.events`: ascending microseconds since 1970; null where none is known.
    """
    began = [
        F.sort_array(F.collect_list(F.when(F.col("event_type") == EVENTS[event], F.unix_micros("started_at")))).alias(name)
        for event, name in _began_columns(plan).items()
    ]
    return spans.join(events.groupBy("asset_id").agg(*began), on="asset_id", how="left") if began else spans


def window_slices(cells: DataFrame, spans: DataFrame, plan: FeaturePlan, slicing: Slicing) -> tuple[DataFrame, Kernel]:
    """Cells brought together slice by slice, and what makes every window of them that `spans` asks for.

    Grain of what the kernel makes: one row per `asset_id` and `window_end`; windows end at multiples of `plan.every_cells`
    cells.

    Args:
        cells: gold.signal_cells, at least those from the longest look-back before each span's start.
        spans: `asset_id`, `first_end`, `last_end`, `life_starts`, and what `with_event_times` adds; a window asked for
            twice is built once.
        plan: What to compute.
        slicing: How much a worker holds; its chunks are those of `plan`.

    Returns:
        Rows for `DataFrame.mapInArrow`, and its kernel for columns of `gold.window_features`: the same bytes whatever
        the spans, slices and partitions.
    """
    pieces = _cut_into_chunks(spans, plan)
    carried = _with_chunks_that_see_it(cells, pieces, plan)
    rows = carried.unionByName(pieces, allowMissingColumns=True)
    partition = slicing.partition_of(F.col("asset_id"), F.col("chunk"))
    slices = rows.withColumn("partition", partition).repartitionById(slicing.partitions, "partition").drop("partition")
    return slices, _window_kernel(plan)


def to_window_pieces(spans: DataFrame, plan: FeaturePlan) -> DataFrame:
    """What a worker has to hold for the windows of each turbine and chunk.

    Grain: one row per `asset_id` and `chunk`.

    Args:
        spans: `asset_id`, `first_end`, `last_end`; they may overlap.
        plan: What to compute.

    Returns:
        `asset_id`, `chunk`, `first` and `last` window end, and `rows`: cells that those can see, gaps among them.
    """
    first_end, last_end = _ends_in_chunk(plan.chunk_cells)
    pieces = _with_chunk(spans, plan.chunk_cells).groupBy("asset_id", "chunk")
    seen_before = plan.longest_lookback + plan.baseline_cells
    return pieces.agg(F.min(first_end).alias("first"), F.max(last_end).alias("last")).withColumn(
        "rows", F.col("last") - F.col("first") + (1 + seen_before)
    )


def _cut_into_chunks(spans: DataFrame, plan: FeaturePlan) -> DataFrame:
    """One row per `asset_id` and `chunk`, with the ends wanted in it."""
    first_end, last_end = _ends_in_chunk(plan.chunk_cells)
    return (
        _with_chunk(spans, plan.chunk_cells)
        .groupBy("asset_id", "chunk")
        .agg(
            F.min(first_end).alias("first_end"),
            F.max(last_end).alias("last_end"),
            *(F.first(name, ignorenulls=True).alias(name) for name in ("life_starts", *_began_columns(plan).values())),
        )
    )


def _began_columns(plan: FeaturePlan) -> dict[str, str]:
    """Event → column of the times at which it began."""
    return {event: f"{event}_began" for event in plan.events}


def _with_chunk(spans: DataFrame, length: int) -> DataFrame:
    chunks = F.sequence(F.floor(F.col("first_end") / length), F.floor(F.col("last_end") / length))
    return spans.withColumn("chunk", F.explode(chunks))


def _ends_in_chunk(length: int) -> tuple[Column, Column]:
    first_end = F.greatest(F.col("first_end"), F.col("chunk") * length)
    return first_end, F.least(F.col("last_end"), (F.col("chunk") + 1) * length - 1)


def _needed_cells(pieces: DataFrame, plan: FeaturePlan) -> DataFrame:
    """Ranges of cells that each piece has to hold, cut into blocks of a chunk's length to be joined on."""
    length, step = plan.chunk_cells, plan.step_seconds * MICROSECONDS
    first_seen = F.col("first_end") - plan.longest_lookback
    look_back = F.struct(first_seen.alias("first_cell"), (F.col("last_end") - 1).alias("last_cell"))
    ranges = [look_back]
    if plan.baseline_cells:
        born_before = F.filter("life_starts", lambda start: start <= F.col("first_end") * step)
        born = F.array_max(born_before) / step
        # A life that starts within a cell has its baseline from the next one on (`window_values`).
        before_look_back = F.least(F.ceil(born) + (plan.baseline_cells - 1), first_seen - 1)
        ranges.append(F.struct(F.floor(born).alias("first_cell"), before_look_back.alias("last_cell")))
    blocks = F.sequence(F.floor(F.col("first_cell") / length), F.floor(F.col("last_cell") / length))
    return (
        pieces.select("asset_id", "chunk", F.explode(F.array(*ranges)).alias("range"))
        .select("asset_id", "chunk", "range.*")
        .where("first_cell <= last_cell")
        .withColumn("block", F.explode(blocks))
    )


def _with_chunks_that_see_it(cells: DataFrame, pieces: DataFrame, plan: FeaturePlan) -> DataFrame:
    """Each cell once for every piece that needs it."""
    summaries = [cell_column(signal, part) for signal in plan.signals for part in ("count", *plan.cell_parts)]
    return (
        cells.select(
            "asset_id",
            cell_index(F.col("cell_start"), plan.step_seconds).alias("cell"),
            F.unix_micros("last_usable_at").alias("last_usable"),
            *(name for name in _OF_ASSET if name != "last_usable"),
            *summaries,
        )
        .withColumn("block", F.floor(F.col("cell") / plan.chunk_cells))
        .join(F.broadcast(_needed_cells(pieces, plan)), on=["asset_id", "block"], how="inner")
        .where(F.col("cell").between(F.col("first_cell"), F.col("last_cell")))
        .drop("block", "first_cell", "last_cell")
    )


def _window_kernel(plan: FeaturePlan) -> Kernel:
    def build(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        received = list(batches)
        if received:
            yield from built_windows(pa.Table.from_batches(received), plan)

    return build


def built_windows(rows: pa.Table, plan: FeaturePlan) -> Iterator[pa.RecordBatch]:
    """One batch per turbine and chunk. Of each pair, the row with the ends wanted has no cell and sorts first."""
    codes, asset_ids = sorted_codes(rows["asset_id"])
    chunk = rows["chunk"].to_numpy()
    cell = rows["cell"].combine_chunks().fill_null(_BEFORE_ALL).to_numpy(zero_copy_only=False)
    order = np.lexsort((cell, chunk, codes))
    codes, chunk, cell = codes[order], chunk[order], cell[order]
    starts = np.flatnonzero(np.diff(codes, prepend=-1).astype(bool) | np.diff(chunk, prepend=_BEFORE_ALL).astype(bool))
    began = _began_columns(plan)
    wishes = rows.select(["first_end", "last_end", "life_starts", *began.values()]).take(order[starts]).to_pylist()
    of_asset = {name: floats(rows[name])[np.newaxis, order] for name in _OF_ASSET}
    of_signals = {
        part: np.stack([floats(rows[cell_column(signal, part)])[order] for signal in plan.signals])
        for part in ("count", *plan.cell_parts)
    }
    for start, stop, wish in zip(starts, np.append(starts[1:], len(cell)), wishes, strict=True):
        ends = _on_grid(wish["first_end"], wish["last_end"], plan.every_cells)
        if ends.size:
            own = slice(start + 1, stop)
            held = _Rows(
                cell[own],
                {name: values[:, own] for name, values in of_asset.items()},
                {part: values[:, own] for part, values in of_signals.items()},
            )
            life_starts = np.array(wish["life_starts"] or [], dtype=np.float64) / MICROSECONDS
            values = window_values(held, ends, life_starts, plan)
            times = {event: np.array(wish[name] or [], dtype=np.int64) for event, name in began.items()}
            yield _batch(asset_ids[int(codes[start])], ends, {**values, **event_counts(ends, times, plan)}, plan)


@dataclass(frozen=True)
class _Rows:
    """Cells of one turbine, ascending; absent ones have no column."""

    cell: Integers
    of_asset: dict[str, Floats]
    of_signals: dict[str, Floats]

    def laid_out(self, first: int, stop: int) -> Slice:
        """The cells with absolute index in [first, stop); empty where there is no row."""
        rows = slice(*np.searchsorted(self.cell, (first, stop)))
        columns = self.cell[rows] - first

        def dense(values: Floats, empty: float) -> Floats:
            laid = np.full((values.shape[0], stop - first), empty, dtype=np.float64)
            laid[:, columns] = values[:, rows]
            return laid

        count = dense(self.of_signals["count"], 0)
        filled = {
            field: np.where(count > 0, dense(self.of_signals[part], empty), empty)
            for part, (field, empty) in _OF_SIGNALS.items()
            if part in self.of_signals
        }
        unused = {field: count for field, _ in _OF_SIGNALS.values() if field not in filled}
        own = {field: dense(self.of_asset[name], 0) for name, field in _OF_ASSET.items()}
        own["last_usable"] = own["last_usable"] / MICROSECONDS
        return Slice(cells=Cells(first=first, count=count, **filled, **unused), **own)


_BEFORE_ALL = -(2**62)
# Part of a cell → field of `Cells`, and what an empty cell holds there.
_OF_SIGNALS = {
    "mean": ("mean", 0.0),
    "m2": ("m2", 0.0),
    "min": ("low", np.inf),
    "max": ("high", -np.inf),
    "last": ("last", np.nan),
}
# Column → field of `Slice`.
_OF_ASSET = {
    "readings": "readings",
    "usable_readings": "usable",
    "flagged_readings": "flagged",
    "expected_readings": "expected",
    "last_usable": "last_usable",
}


def _on_grid(first_end: int, last_end: int, every: int) -> Integers:
    """Multiples of `every` in [first_end, last_end]."""
    return np.arange(-(-first_end // every) * every, last_end + 1, every, dtype=np.int64)


def _batch(asset_id: pa.StringScalar, ends: Integers, values: dict[str, Floats], plan: FeaturePlan) -> pa.RecordBatch:
    columns = {
        "asset_id": pa.repeat(asset_id, len(ends)),
        "window_end": pa.array(ends * plan.step_seconds * MICROSECONDS, type=pa.timestamp("us", tz="UTC")),
    }
    names = ["coverage", "data_age_hours", *plan.names]
    return pa.RecordBatch.from_pydict({**columns, **{name: nullable(values[name]) for name in names}})
