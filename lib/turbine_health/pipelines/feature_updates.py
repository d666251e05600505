"""Writing cells, windows and examples: all of them, or the ones that some spans of time name."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema

from turbine_health.errors import DataError
from turbine_health.feature_tables import signal_cells
from turbine_health.io.delta import TableStore, WriteResult
from turbine_health.io.local_rows import local_rows
from turbine_health.io.merges import MergeByKernel
from turbine_health.io.near import Near
from turbine_health.pipelines.failure_records import unrecorded_turbines
from turbine_health.settings import Settings
from turbine_health.tables import ASSET_EVENTS, ASSET_LIVES, Table, sensor_readings, training_examples, window_features
from turbine_health.transforms.cells import cell_slices, reading_columns, reading_packs, to_wanted_cells
from turbine_health.transforms.changed_rows import only_changed, row_packs
from turbine_health.transforms.features import feature_plan
from turbine_health.transforms.label_kernel import labelling, lives_by_turbine
from turbine_health.transforms.labels import example_slices, to_life_rows
from turbine_health.transforms.packs import PACKS
from turbine_health.transforms.slicing import PIECES, Kernel, Slicing, counting, fewest_shares, to_slice_sizes
from turbine_health.transforms.spans import to_cell_spans
from turbine_health.transforms.windows import (
    cell_columns,
    cell_packs,
    to_seen_blocks,
    to_window_pieces,
    window_slices,
    with_event_times,
    with_life_starts,
)

logger = logging.getLogger("turbine_health")

# What one worker holds of rows at a time: 40 MB, whatever the size of the fleet and however many signals it has.
VALUES_PER_SLICE = 5_000_000
NOTHING = WriteResult(version=None)


class FeatureUpdates:
    """The three tables of one build; the versions of what it reads are held fast."""

    def __init__(self, store: TableStore, settings: Settings) -> None:
        self.store = store
        self.settings = settings
        self.plan = feature_plan(settings.features, settings.feature_signals)
        self.cells = signal_cells(settings.feature_signals)
        self.windows = window_features(self.plan.names)
        self.examples = training_examples(self.plan.names)
        self.silver = sensor_readings(settings.signal_names)
        self.readings_version, self.lives_version = store.version(self.silver), store.version(ASSET_LIVES)
        self.lives = store.read(ASSET_LIVES, self.lives_version)
        self.unrecorded = unrecorded_turbines(store, settings)
        self.events_version = store.version(ASSET_EVENTS) if self.plan.events else None

    def events(self, version: int | None = None) -> DataFrame:
        """silver.asset_events as this build or an earlier one read them; no rows where no feature needs them."""
        if self.events_version is None:
            return self.store.empty(ASSET_EVENTS)
        return self.store.read(ASSET_EVENTS, self.events_version if version is None else version)

    def known_cells(self) -> DataFrame:
        """First and last cell of each turbine."""
        count = counting("cell_start", self.plan.step_seconds, self.plan.chunk_cells)
        spans = self.store.read_by_kernel(self.cells, ["asset_id", "cell_start"], count, PIECES)
        return self.settled(spans.transform(to_cell_spans))

    def settled(self, rows: DataFrame) -> DataFrame:
        """A few rows a turbine that are asked for again and again: as part of the plans, they are computed once."""
        return local_rows(self.store.spark, rows.collect(), rows.schema)

    def cells_with_readings(self, first_cell: int, last_cell: int) -> DataFrame:
        """First and last cell of each turbine's readings in a span of cells, both ends included."""
        spans = self._counted_readings(self._near("event_time", (first_cell, last_cell))).transform(to_cell_spans)
        first, last = F.greatest("first_cell", F.lit(first_cell)), F.least("last_cell", F.lit(last_cell))
        ranges = spans.select("asset_id", first.alias("first_cell"), last.alias("last_cell"))
        return self.settled(ranges.where("first_cell <= last_cell"))

    def replace_cells(self) -> WriteResult:
        """All cells, in place of what was there."""
        extent = _extent(self._counted_readings())
        if extent is None:
            raise DataError("there is not one reading in silver.sensor_readings", hint="run jobs/ingest.py on some logs first")
        return self._replace(self.cells, self._cell_slices(), self._slicing(extent, len(self._reading_columns)))

    def update_cells(self, ranges: DataFrame) -> WriteResult:
        """The cells of `ranges` (`asset_id`, `first_cell`, `last_cell`) that are new or other than before."""
        wanted = ranges.transform(to_wanted_cells, self.plan.chunk_cells)
        step = self.settings.features.step_minutes
        most = math.ceil(step / min((source.sampling_minutes for source in self.settings.sources), default=step))
        extent = _extent(_sized(wanted, "first_cell", "last_cell", (F.col("last_cell") - F.col("first_cell") + 1) * most))
        if extent is None:
            return NOTHING
        slices = self._cell_slices(wanted, self._near("event_time", extent.span))
        return self._update(self.cells, slices, wanted, extent, self._slicing(extent, len(self._reading_columns)))

    def replace_windows(self, spans: DataFrame) -> WriteResult:
        """The windows of `spans` (`asset_id`, `first_end`, `last_end`), in place of what was there."""
        pieces, extent = self._window_pieces(spans)
        if extent is None:
            raise DataError(
                "no turbine has a reading, so there is no window to build", hint="run jobs/ingest.py on some logs first"
            )
        slices = window_slices(self._cell_packs(), pieces, self.plan)
        return self._replace(self.windows, slices, self._slicing(extent, len(cell_columns(self.plan))))

    def update_windows(self, spans: DataFrame) -> WriteResult:
        """The windows of `spans` that are new or other than before."""
        pieces, extent = self._window_pieces(spans)
        if extent is None:
            return NOTHING
        seen = _runs(sorted(row["block"] for row in pieces.transform(to_seen_blocks, self.plan).collect()))
        length = self.plan.block_cells
        near = self._near("cell_start", *((first * length, (last + 1) * length - 1) for first, last in seen))
        slices = window_slices(self._cell_packs(near), pieces, self.plan)
        return self._update(self.windows, slices, pieces, extent, self._slicing(extent, len(cell_columns(self.plan))))

    def replace_examples(self) -> WriteResult:
        """All windows with their labels, in place of what was there."""
        rows, kernel = self.store.rows_for_kernel(self.windows, self.windows.schema.names, self._labelling())
        return self._told(self.examples, lambda: self.store.replace_by_kernel(rows, kernel, self.examples))

    def update_examples(self, spans: DataFrame) -> WriteResult:
        """The windows of `spans` with their labels, where either is new or other than before."""
        pieces, extent = self._window_pieces(spans)
        if extent is None:
            return NOTHING
        names, near = self.windows.schema.names, self._near("window_end", extent.span)
        packs = self.store.read_by_kernel(self.windows, names, self._row_packs(self.windows, extent), PACKS, near=near)
        columns = to_arrow_schema(self.windows.schema, timezone="UTC")
        slices = example_slices(packs, pieces, columns, self.plan.step_seconds, self._labelling())
        return self._update(self.examples, slices, pieces, extent, self._slicing(extent, len(names)))

    @property
    def _reading_columns(self) -> list[str]:
        return reading_columns(self.settings.feature_signals)

    def _counted_readings(self, near: Near | None = None) -> DataFrame:
        """Columns of `PIECES`; `near` spares files."""
        count = counting("event_time", self.plan.step_seconds, self.plan.chunk_cells)
        columns, version = ["asset_id", "event_time"], self.readings_version
        return self.store.read_by_kernel(self.silver, columns, count, PIECES, version, near)

    def _cell_slices(self, wanted: DataFrame | None = None, near: Near | None = None) -> tuple[DataFrame, Kernel]:
        sampling = {source.name: source.sampling_minutes for source in self.settings.sources}
        signals, step = self.settings.feature_signals, self.settings.features.step_minutes
        pack = reading_packs(signals, step, sampling, self._chunk_seconds)
        packs = self.store.read_by_kernel(self.silver, self._reading_columns, pack, PACKS, self.readings_version, near)
        return cell_slices(packs, signals, step, wanted)

    def _cell_packs(self, near: Near | None = None) -> DataFrame:
        return self.store.read_by_kernel(self.cells, cell_columns(self.plan), cell_packs(self.plan), PACKS, near=near)

    def _row_packs(self, table: Table, extent: _Extent) -> Kernel:
        length = self.plan.chunk_cells
        return row_packs(table.keys[1], self._chunk_seconds, extent.first // length, extent.last // length)

    def _window_pieces(self, spans: DataFrame) -> tuple[DataFrame, _Extent | None]:
        timed = spans.transform(with_life_starts, self.lives).transform(with_event_times, self.events(), self.plan)
        pieces = timed.transform(to_window_pieces, self.plan)
        seen_before = self.plan.longest_lookback + self.plan.baseline_cells
        rows = F.col("last_end") - F.col("first_end") + (1 + seen_before)
        return pieces, _extent(_sized(pieces, "first_end", "last_end", rows))

    def _labelling(self) -> Kernel:
        # A row a life, and a turbine has a few.
        lives = lives_by_turbine(row.asDict() for row in self.lives.transform(to_life_rows).collect())
        return labelling(lives, self.settings.labels, self.unrecorded)

    @property
    def _chunk_seconds(self) -> int:
        return self.plan.chunk_cells * self.plan.step_seconds

    def _slicing(self, extent: _Extent, columns: int) -> Slicing:
        chunks = extent.last // self.plan.chunk_cells - extent.first // self.plan.chunk_cells + 1
        return Slicing(self._chunk_seconds, chunks, fewest_shares(extent.slice_sizes, VALUES_PER_SLICE // columns))

    def _near(self, column: str, *spans: tuple[int, int]) -> Near:
        """Times of cells or window ends, first and last."""
        return Near(column, [(self._time(first), self._time(last + 1)) for first, last in spans])

    def _time(self, cell: int) -> datetime:
        return datetime.fromtimestamp(cell * self.plan.step_seconds, timezone.utc)

    def _replace(self, table: Table, slices: tuple[DataFrame, Kernel], slicing: Slicing) -> WriteResult:
        rows, kernel = slices
        return self._told(table, lambda: self.store.replace_by_kernel(slicing.exchanged(rows), kernel, table))

    def _update(
        self, table: Table, slices: tuple[DataFrame, Kernel], pieces: DataFrame, extent: _Extent, slicing: Slicing
    ) -> WriteResult:
        """Write the rows of `slices` that are new or other than before; a file without such a row stays as it is."""
        rows, kernel = slices
        merge = MergeByKernel(self.store, table, self._near(table.keys[1], extent.span))
        before = merge.before(self._row_packs(table, extent), PACKS)
        if before is not None:
            before = before.withColumnsRenamed({"block": "chunk", "pack": "before"})
            own = before.join(F.broadcast(pieces.select("asset_id", "chunk")), on=["asset_id", "chunk"], how="left_semi")
            rows = rows.unionByName(own, allowMissingColumns=True)
            kernel = only_changed(kernel, to_arrow_schema(merge.columns, timezone="UTC"), table.keys)
        return self._told(table, lambda: merge.write(slicing.exchanged(rows), kernel))

    def _told(self, table: Table, write: Callable[[], WriteResult]) -> WriteResult:
        began = time.monotonic()
        result = write()
        rows = result.rows_inserted + result.rows_updated
        logger.info("%s: %s rows written in %.1f s", table.identifier, f"{rows:,}", time.monotonic() - began)
        return result


@dataclass(frozen=True)
class _Extent:
    """First and last cell (or window end) of a piece of work, and the rows of its fullest slice by turbine shares."""

    first: int
    last: int
    slice_sizes: Mapping[int, int]

    @property
    def span(self) -> tuple[int, int]:
        return self.first, self.last


def _extent(pieces: DataFrame) -> _Extent | None:
    """None where there are no rows. `pieces` as for `to_slice_sizes`; a dozen rows come to the driver."""
    found = pieces.transform(to_slice_sizes).collect()
    if not found:
        return None
    return _Extent(found[0]["first"], found[0]["last"], {row["turbine_shares"]: row["rows"] for row in found})


def _sized(pieces: DataFrame, first: str, last: str, rows: Column) -> DataFrame:
    """Columns of `PIECES`."""
    return pieces.select("asset_id", "chunk", rows.alias("rows"), F.col(first).alias("first"), F.col(last).alias("last"))


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of consecutive numbers; `numbers` ascend."""
    first = 0
    for place, number in enumerate(numbers):
        if place + 1 == len(numbers) or numbers[place + 1] != number + 1:
            yield numbers[first], number
            first = place + 1
