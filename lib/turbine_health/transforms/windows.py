"""Cells → trailing windows: which windows are to be built, and building them slice by slice.

A window's end is written as the absolute index of the first cell after it: end 10 covers cells up to 9.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from turbine_health.feature_tables import cell_column
from turbine_health.tables import window_features
from turbine_health.transforms.cells import MICROSECONDS, floats, nullable, sorted_codes
from turbine_health.transforms.features import FeaturePlan, Slice, window_values
from turbine_health.transforms.kernels import Cells, Floats, Integers
from turbine_health.transforms.slicing import Slicing


def cell_index(time: Column, step_seconds: int) -> Column:
    """Absolute index of the cell that holds `time`."""
    return F.floor(F.unix_micros(time) / (step_seconds * MICROSECONDS)).cast("long")


def to_cell_spans(cells: DataFrame, step_seconds: int) -> DataFrame:
    """First and last cell of each turbine.

    Grain: one row per `asset_id`.

    Args:
        cells: Needs `asset_id`, `cell_start`.
        step_seconds: Length of a cell.

    Returns:
        `asset_id`, `first_cell`, `last_cell` (absolute indices, both included).
    """
    index = cell_index(F.col("cell_start"), step_seconds)
    return cells.groupBy("asset_id").agg(F.min(index).alias("first_cell"), F.max(index).alias("last_cell"))


def to_window_spans(changed: DataFrame, known: DataFrame, longest_lookback: int) -> DataFrame:
    """Window ends that can see a changed cell.

    Grain: one row per row of `changed` that some window can see.

    Args:
        changed: Ranges of cells: `asset_id`, `first_cell`, `last_cell`.
        known: The same of all cells; a turbine's windows end when its last cell does. Unique by `asset_id`.
        longest_lookback: In cells.

    Returns:
        `asset_id`, `first_end`, `last_end` (absolute indices, both included).
    """
    last_cell = F.least(F.col("change.last_cell") + (longest_lookback - 1), F.col("all.last_cell"))
    return (
        changed.alias("change")
        .join(known.alias("all"), on="asset_id", how="inner")
        .select("asset_id", (F.col("change.first_cell") + 1).alias("first_end"), (last_cell + 1).alias("last_end"))
        .where("first_end <= last_end")
    )


def to_spans_between(known: DataFrame, first_end: int, last_end: int) -> DataFrame:
    """Window ends of every turbine in a span of time.

    Grain: one row per `asset_id` that has windows in it.

    Args:
        known: `asset_id`, `first_cell`, `last_cell`; unique by `asset_id`.
        first_end: Absolute index, included.
        last_end: Absolute index, included.

    Returns:
        `asset_id`, `first_end`, `last_end` (both included).
    """
    first, last = F.greatest(F.col("first_cell") + 1, F.lit(first_end)), F.least(F.col("last_cell") + 1, F.lit(last_end))
    return known.select("asset_id", first.alias("first_end"), last.alias("last_end")).where("first_end <= last_end")


def filter_to_cells(readings: DataFrame, cells: DataFrame, step_seconds: int) -> DataFrame:
    """Keep the readings that lie in some cells.

    Grain: as `readings`.

    Args:
        readings: Needs `asset_id`, `event_time`.
        cells: `asset_id`, `cell` (absolute index).
        step_seconds: Length of a cell.
    """
    is_same_cell = (F.col("reading.asset_id") == F.col("cell.asset_id")) & (
        cell_index(F.col("reading.event_time"), step_seconds) == F.col("cell.cell")
    )
    return readings.alias("reading").join(cells.alias("cell"), on=is_same_cell, how="left_semi")


def filter_to_spans(features: DataFrame, spans: DataFrame, step_seconds: int) -> DataFrame:
    """Keep the windows that end in some spans.

    Grain: as `features`.

    Args:
        features: Needs `asset_id`, `window_end`.
        spans: `asset_id`, `first_end`, `last_end` (absolute indices, both included).
        step_seconds: Length of a cell.
    """
    end = cell_index(F.col("window.window_end"), step_seconds)
    is_inside = (F.col("window.asset_id") == F.col("span.asset_id")) & end.between(
        F.col("span.first_end"), F.col("span.last_end")
    )
    return features.alias("window").join(F.broadcast(spans.alias("span")), on=is_inside, how="left_semi")


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


def to_window_features(cells: DataFrame, spans: DataFrame, plan: FeaturePlan, slicing: Slicing) -> DataFrame:
    """Trailing statistics of every window that `spans` asks for.

    Grain: one row per `asset_id` and `window_end`; windows end at multiples of `plan.every_cells` cells.

    Args:
        cells: gold.signal_cells, at least those from the longest look-back before each span's start.
        spans: `asset_id`, `first_end`, `last_end`, `life_starts`; a window asked for twice is built once.
        plan: What to compute.
        slicing: How much a worker holds; its chunks are those of `plan`.

    Returns:
        Columns of `gold.window_features`, the same bytes whatever the spans, slices and partitions.
    """
    pieces = _cut_into_chunks(spans, plan)
    carried = _with_chunks_that_see_it(cells, pieces, plan)
    rows = carried.unionByName(pieces, allowMissingColumns=True)
    partition = slicing.partition_of(F.col("asset_id"), F.col("chunk"))
    return (
        rows.withColumn("partition", partition)
        .repartitionById(slicing.partitions, "partition")
        .drop("partition")
        .mapInArrow(_window_kernel(plan), window_features(plan.names).schema)
    )


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
            F.first("life_starts", ignorenulls=True).alias("life_starts"),
        )
    )


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


def _window_kernel(plan: FeaturePlan) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
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
    wishes = rows.select(["first_end", "last_end", "life_starts"]).take(order[starts]).to_pylist()
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
            yield _batch(asset_ids[int(codes[start])], ends, window_values(held, ends, life_starts, plan), plan)


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
