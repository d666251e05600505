"""Cells → trailing windows, slice by slice. Which windows are to be built: `spans`."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, LongType, StructField, StructType

from turbine_health.feature_tables import cell_column
from turbine_health.transforms.cells import floats, nullable
from turbine_health.transforms.features import (
    EVENTS,
    SECONDS_PER_HOUR,
    FeaturePlan,
    Slice,
    event_counts,
    stretches,
    window_values,
)
from turbine_health.transforms.kernels import Cells, Floats, Integers
from turbine_health.transforms.packs import packing, unpacked
from turbine_health.transforms.slicing import MICROSECONDS, Kernel, group_starts, in_chunks, in_order, of_turbine


def life_starts(lives: pd.DataFrame) -> dict[str, list[int]]:
    """Turbine → when its lives began, which cuts its windows: ascending, microseconds since 1970.

    Args:
        lives: By `labels.to_life_rows`.
    """
    return {str(asset_id): sorted(starts) for asset_id, starts in lives.groupby("asset_id")["life_start"]}


def event_times(events: pd.DataFrame, plan: FeaturePlan) -> dict[str, dict[str, list[int]]]:
    """Event that features count → turbine → when each began: ascending, microseconds since 1970.

    Args:
        events: `asset_id`, `event_type`, `began` of silver.asset_events.
        plan: Says which to count.
    """
    found = {}
    for event in plan.events:
        began = events[events["event_type"] == EVENTS[event]].groupby("asset_id")["began"]
        found[event] = {str(asset_id): sorted(times) for asset_id, times in began}
    return found


def cell_columns(plan: FeaturePlan) -> list[str]:
    """Columns of gold.signal_cells that windows are made of."""
    return ["asset_id", "cell_start", "last_usable_at", *_numbers(plan)]


def cell_packs(plan: FeaturePlan, first_cell: int, last_cell: int) -> Kernel:
    """What packs cells for `window_slices`: kernel from `cell_columns` to `PACKS`.

    Args:
        plan: What to compute.
        first_cell: Absolute index; cells before it are left out.
        last_cell: The same, included; cells after it are left out.
    """

    def prepare(cells: pa.RecordBatch) -> tuple[pa.RecordBatch, Integers]:
        cell = cells["cell_start"].cast(pa.int64()).to_numpy() // (plan.step_seconds * MICROSECONDS)
        is_seen = (first_cell <= cell) & (cell <= last_cell)
        if not is_seen.all():
            cells, cell = cells.filter(pa.array(is_seen)), cell[is_seen]
        columns = {
            "asset_id": cells["asset_id"],
            "cell": pa.array(cell),
            "last_usable": cells["last_usable_at"].cast(pa.int64()),
            **{name: cells[name].cast(pa.float64()) for name in _numbers(plan)},
        }
        return pa.RecordBatch.from_pydict(columns), cell // plan.block_cells

    return packing(prepare)


def window_slices(packs: DataFrame, needed: DataFrame, pieces: DataFrame, plan: FeaturePlan) -> tuple[DataFrame, Kernel]:
    """Cells slice by slice, and what makes every window of them that `pieces` ask for.

    Grain of what the kernel makes: one row per `asset_id` and `window_end`; windows end at multiples of `plan.every_cells`
    cells.

    Args:
        packs: By `cell_packs`, of gold.signal_cells, at least those of the blocks in `needed`.
        needed: By `needed_cells`.
        pieces: By `with_times`.
        plan: What to compute.

    Returns:
        Rows with `asset_id` and `chunk` for `Slicing.exchanged`, and for what that gives the kernel, which makes columns of
        `gold.window_features`: the same bytes whatever the spans, slices and partitions.
    """
    # Each pack once for every piece that needs one of its cells.
    carried = packs.join(F.broadcast(needed), on=["asset_id", "block"], how="inner")
    return carried.unionByName(pieces, allowMissingColumns=True), _window_kernel(plan)


def with_times(
    pieces: pd.DataFrame, starts: Mapping[str, list[int]], began: Mapping[str, Mapping[str, list[int]]], plan: FeaturePlan
) -> pd.DataFrame:
    """Add what else decides the windows of a piece: columns of `piece_columns`.

    Grain: as `pieces`.

    Args:
        pieces: Columns of `WANTED_ENDS`, a row a turbine and chunk.
        starts: By `life_starts`.
        began: By `event_times`; a piece gets the events that one of its windows can count.
        plan: What to compute.
    """
    timed: pd.DataFrame = pieces.assign(life_starts=pieces["asset_id"].map(starts.get))
    step = plan.step_seconds * MICROSECONDS
    reach = plan.longest_count_hours * SECONDS_PER_HOUR * MICROSECONDS
    first, last = (pieces["first_end"] * step - reach).tolist(), (pieces["last_end"] * step).tolist()
    for event, name in _began_columns(plan).items():
        known = [began[event].get(asset_id, []) for asset_id in pieces["asset_id"]]
        counted = [
            times[bisect_left(times, since) : bisect_left(times, until)]
            for times, since, until in zip(known, first, last, strict=True)
        ]
        timed[name] = pd.Series(counted, index=timed.index, dtype=object)
    return timed


def piece_columns(plan: FeaturePlan) -> StructType:
    """Of `with_times`."""
    times = ("life_starts", *_began_columns(plan).values())
    return StructType([*WANTED_ENDS, *(StructField(name, ArrayType(LongType())) for name in times)])


def needed_cells(pieces: pd.DataFrame, plan: FeaturePlan) -> pd.DataFrame:
    """Ranges of cells that each piece has to hold, for each block of cells that they touch: columns of `NEEDED`.

    Args:
        pieces: By `with_times`.
        plan: What to compute.
    """
    step = plan.step_seconds * MICROSECONDS
    keys = pieces[["asset_id", "chunk"]]
    first_seen = pieces["first_end"] - plan.longest_lookback
    ranges = [keys.assign(first_cell=first_seen, last_cell=pieces["last_end"] - 1)]
    if plan.baseline_cells:
        lived = zip(pieces["life_starts"], pieces["first_end"] * step, strict=True)
        born = pd.Series([max((start for start in starts or [] if start <= end), default=None) for starts, end in lived])
        is_born = born.notna().to_numpy()
        born = born[is_born].astype("int64")
        # A life that starts within a cell has its baseline from the next one on (`window_values`).
        last = np.minimum(-(-born // step) + (plan.baseline_cells - 1), first_seen[is_born].to_numpy() - 1)
        ranges.append(keys[is_born].assign(first_cell=(born // step).to_numpy(), last_cell=last.to_numpy()))
    whole = pd.concat(ranges, ignore_index=True).query("first_cell <= last_cell").rename(columns={"chunk": "of_chunk"})
    cut = in_chunks(whole.assign(first=whole["first_cell"], last=whole["last_cell"]), "first", "last", plan.block_cells)
    needed: pd.DataFrame = cut.rename(columns={"chunk": "block", "of_chunk": "chunk"})[NEEDED.names]
    return needed


def _began_columns(plan: FeaturePlan) -> dict[str, str]:
    """Event → column of the times at which it began."""
    return {event: f"{event}_began" for event in plan.events}


def _window_kernel(plan: FeaturePlan) -> Kernel:
    held = pa.schema([("cell", pa.int64()), ("last_usable", pa.int64()), *((name, pa.float64()) for name in _numbers(plan))])

    def build(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        received = list(batches)
        if received:
            cells = unpacked([batch.select(_OF_PACK) for batch in received], held)
            rows = pa.Table.from_batches(received)
            wishes = rows.filter(rows["pack"].is_null())
            yield from built_windows(_needed(cells), wishes, plan)

    return build


def _needed(cells: pa.Table) -> pa.Table:
    """Without those of a pack that the piece does not need."""
    first, cell, last = (cells[name].to_numpy() for name in ("first_cell", "cell", "last_cell"))
    is_needed = (first <= cell) & (cell <= last)
    return cells if is_needed.all() else cells.filter(pa.array(is_needed))


def built_windows(cells: pa.Table, wishes: pa.Table, plan: FeaturePlan) -> Iterator[pa.RecordBatch]:
    """Batches of some thousand windows; those of a turbine and chunk lie in one.

    Args:
        cells: `asset_id`, `chunk`, `cell` and the numbers of the cells that a chunk needs.
        wishes: `asset_id`, `chunk`, the ends wanted in it, `life_starts`, and times of events.
        plan: What to compute.
    """
    held = _rows_by_piece(cells, plan)
    made: list[_Made] = []
    for pieces in _alike(wishes, plan):
        rows = [held.get((piece.asset_id, piece.chunk), _Rows.none(plan)) for piece in pieces]
        values = window_values(rows, pieces[0].ends, [piece.life_starts for piece in pieces], plan)
        counts = [event_counts(piece.ends, piece.began, plan) for piece in pieces]
        of_events = {name: np.stack([each[name] for each in counts]) for name in counts[0]}
        made.append(([piece.asset_id for piece in pieces], pieces[0].ends, {**values, **of_events}))
        if sum(len(asset_ids) * len(ends) for asset_ids, ends, _ in made) >= ROWS_PER_BATCH:
            yield _batch(made, plan)
            made = []
    if made:
        yield _batch(made, plan)


@dataclass(frozen=True)
class _Piece:
    """Windows that are wanted of a turbine in a chunk, and what decides them beside cells."""

    asset_id: str
    chunk: int
    ends: Integers
    life_starts: Floats
    began: dict[str, Integers]


def _alike(wishes: pa.Table, plan: FeaturePlan) -> Iterator[list[_Piece]]:
    """Pieces that can be computed together, as many as fit into `VALUES_AT_ONCE`; by turbine and chunk."""
    began = _began_columns(plan)

    def piece(wish: dict[str, Any]) -> _Piece:
        ends = _on_grid(wish["first_end"], wish["last_end"], plan.every_cells)
        starts = np.array(wish["life_starts"] or [], dtype=np.float64) / MICROSECONDS
        times = {event: np.array(wish[name] or [], dtype=np.int64) for event, name in began.items()}
        return _Piece(wish["asset_id"], wish["chunk"], ends, starts, times)

    def shape(piece: _Piece) -> tuple[int, ...]:
        cut = stretches(piece.ends, piece.life_starts, plan).values()
        return (int(piece.ends[0]), len(piece.ends), *(of for each in cut for of in (each.windows.start, each.first_cell)))

    pieces = map(piece, sorted(wishes.to_pylist(), key=lambda wish: (wish["asset_id"], wish["chunk"])))
    for _, group in groupby((each for each in pieces if each.ends.size), shape):
        alike = list(group)
        seen = int(alike[0].ends[-1] - alike[0].ends[0]) + plan.longest_lookback
        most = max(VALUES_AT_ONCE // (seen * len(plan.signals)), 1)
        yield from (alike[first : first + most] for first in range(0, len(alike), most))


def _rows_by_piece(cells: pa.Table, plan: FeaturePlan) -> dict[tuple[str, int], _Rows]:
    cells, codes, asset_ids = in_order(cells, "chunk", "cell")
    chunk, cell = cells["chunk"].to_numpy(), cells["cell"].to_numpy()
    starts = group_starts(codes, chunk)
    groups = zip(asset_ids.take(pa.array(codes[starts])).to_pylist(), chunk[starts].tolist(), strict=True)
    of_asset = {name: floats(cells[name])[np.newaxis] for name in _OF_ASSET}
    of_signals = {
        part: np.stack([floats(cells[cell_column(signal, part)]) for signal in plan.signals])
        for part in ("count", *plan.cell_parts)
    }

    def rows(own: slice) -> _Rows:
        of_one = ({name: values[:, own] for name, values in each.items()} for each in (of_asset, of_signals))
        return _Rows(cell[own], *of_one)

    return dict(zip(groups, map(rows, map(slice, starts, np.append(starts[1:], len(cell)))), strict=True))


@dataclass(frozen=True)
class _Rows:
    """Cells of one turbine, ascending; absent ones have no column."""

    cell: Integers
    of_asset: dict[str, Floats]
    of_signals: dict[str, Floats]

    @classmethod
    def none(cls, plan: FeaturePlan) -> _Rows:
        """No cell at all."""
        parts = ("count", *plan.cell_parts)
        of_asset = {name: np.empty((1, 0)) for name in _OF_ASSET}
        return cls(np.empty(0, dtype=np.int64), of_asset, {part: np.empty((len(plan.signals), 0)) for part in parts})

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


# Turbines, their window ends, and by column the values: turbines × windows.
_Made = tuple[list[str], Integers, dict[str, Floats]]
# Of many turbines with a few windows each, numpy and Arrow would take longer to begin with each than for its numbers; a part
# of cells that are computed together stays within half a megabyte, near the processor.
VALUES_AT_ONCE = 2**16
ROWS_PER_BATCH = 4_096
# Windows that are wanted of a turbine in a chunk.
WANTED_ENDS = of_turbine("chunk", "first_end", "last_end")
# Cells that a piece has to hold, block by block.
NEEDED = of_turbine("chunk", "block", "first_cell", "last_cell")
_OF_PACK = [*NEEDED.names, "pack"]
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


def _numbers(plan: FeaturePlan) -> list[str]:
    """Columns of cells that are numbers, as packs hold them."""
    summaries = [cell_column(signal, part) for signal in plan.signals for part in ("count", *plan.cell_parts)]
    return [*(name for name in _OF_ASSET if name != "last_usable"), *summaries]


def _on_grid(first_end: int, last_end: int, every: int) -> Integers:
    """Multiples of `every` in [first_end, last_end]."""
    return np.arange(-(-first_end // every) * every, last_end + 1, every, dtype=np.int64)


def _batch(made: list[_Made], plan: FeaturePlan) -> pa.RecordBatch:
    asset_ids = [asset_id for names, ends, _ in made for asset_id in names for _ in ends]
    times = np.concatenate([np.tile(ends, len(names)) for names, ends, _ in made]) * (plan.step_seconds * MICROSECONDS)
    columns = {"asset_id": pa.array(asset_ids), "window_end": pa.array(times, type=pa.timestamp("us", tz="UTC"))}
    names = ["coverage", "data_age_hours", *plan.names]
    values = {name: np.concatenate([values[name].ravel() for _, _, values in made]) for name in names}
    return pa.RecordBatch.from_pydict({**columns, **{name: nullable(each) for name, each in values.items()}})
