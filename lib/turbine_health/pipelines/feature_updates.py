"""Writing cells, windows and examples: all of them, or the ones that some spans of time name."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from turbine_health.errors import DataError
from turbine_health.feature_tables import signal_cells
from turbine_health.io.delta import TableStore, WriteResult
from turbine_health.io.local_rows import local_rows
from turbine_health.io.workers import by_workers
from turbine_health.pipelines.failure_records import unrecorded_turbines
from turbine_health.settings import Settings
from turbine_health.tables import ASSET_EVENTS, ASSET_LIVES, Table, sensor_readings, training_examples, window_features
from turbine_health.transforms.cells import cell_slices, reading_columns, reading_packs
from turbine_health.transforms.changes import filter_changed
from turbine_health.transforms.features import feature_plan
from turbine_health.transforms.labels import to_training_examples
from turbine_health.transforms.packs import PACKS
from turbine_health.transforms.slicing import PIECES, Kernel, Slicing, counting, fewest_shares, to_slice_sizes
from turbine_health.transforms.spans import cell_index, filter_to_cells, filter_to_spans, to_cell_spans
from turbine_health.transforms.windows import (
    cell_columns,
    cell_packs,
    filter_to_seen,
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
        self.readings = store.read(self.silver, self.readings_version)
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
        spans = self.store.read_by_kernel(self.cells, ["asset_id", "cell_start"], count, PIECES).transform(to_cell_spans)
        # A row a turbine, asked for again and again: as part of the plans, the cells are read once.
        return local_rows(self.store.spark, spans.collect(), spans.schema)

    def cells_with_readings(self, first_cell: int, last_cell: int) -> DataFrame:
        """`asset_id`, `cell` of the readings in a span of cells, both ends included."""
        cell = cell_index(F.col("event_time"), self.plan.step_seconds)
        near = self.readings.where(self._within("event_time", first_cell, last_cell))
        return (
            near.select("asset_id", cell.alias("cell")).where(F.col("cell") <= last_cell).dropDuplicates(["asset_id", "cell"])
        )

    def replace_cells(self) -> WriteResult:
        """All cells, in place of what was there."""
        count = counting("event_time", self.plan.step_seconds, self.plan.chunk_cells)
        columns, version = ["asset_id", "event_time"], self.readings_version
        extent = _extent(self.store.read_by_kernel(self.silver, columns, count, PIECES, version))
        if extent is None:
            raise DataError("there is not one reading in silver.sensor_readings", hint="run jobs/ingest.py on some logs first")
        packs = self.store.read_by_kernel(self.silver, self._reading_columns, self._reading_packs, PACKS, version)
        slices = self._cell_slices(packs, extent)
        return self._told(self.cells, lambda: self.store.replace_by_kernel(*slices, self.cells))

    def update_cells(self, changed: DataFrame) -> WriteResult:
        """The cells of `changed` (`asset_id`, `cell`), from all their readings."""
        step = self.settings.features.step_minutes
        most = step / min((source.sampling_minutes for source in self.settings.sources), default=step)
        extent = _extent(self._pieces_of_cells(changed, math.ceil(most)))
        if extent is None:
            return NOTHING
        near = self.readings.where(self._within("event_time", extent.first, extent.last))
        readings = filter_to_cells(near, changed, self.plan.step_seconds)
        packs = by_workers(readings.select(self._reading_columns), self._reading_packs, PACKS)
        rows, kernel = self._cell_slices(packs, extent)
        return self._merge(by_workers(rows, kernel, self.cells.schema), self.cells, "cell_start", extent)

    def replace_windows(self, spans: DataFrame) -> WriteResult:
        """The windows of `spans` (`asset_id`, `first_end`, `last_end`), in place of what was there."""
        extent = _extent(to_window_pieces(spans, self.plan))
        if extent is None:
            raise DataError(
                "no turbine has a reading, so there is no window to build", hint="run jobs/ingest.py on some logs first"
            )
        packs = self.store.read_by_kernel(self.cells, cell_columns(self.plan), cell_packs(self.plan), PACKS)
        slices = self._window_slices(packs, self._with_times(spans), extent)
        return self._told(self.windows, lambda: self.store.replace_by_kernel(*slices, self.windows))

    def update_windows(self, spans: DataFrame) -> WriteResult:
        """The windows of `spans`, where they are new or other than before."""
        extent = _extent(to_window_pieces(spans, self.plan))
        if extent is None:
            return NOTHING
        # A baseline lies at a life's start, however long ago that is.
        first_seen = 0 if self.plan.baseline_cells else extent.first - self.plan.longest_lookback
        near = self.store.read(self.cells).where(self._within("cell_start", first_seen, extent.last))
        timed = self._with_times(spans)
        seen = near.select(cell_columns(self.plan)).transform(filter_to_seen, timed, self.plan)
        packs = by_workers(seen, cell_packs(self.plan), PACKS)
        rows, kernel = self._window_slices(packs, timed, extent)
        return self._merge(by_workers(rows, kernel, self.windows.schema), self.windows, "window_end", extent)

    def replace_examples(self) -> WriteResult:
        """All windows with their labels, in place of what was there."""
        frame = to_training_examples(self.store.read(self.windows), self.lives, self.settings.labels, self.unrecorded)
        return self._told(self.examples, lambda: self.store.replace(frame, self.examples))

    def update_examples(self, spans: DataFrame) -> WriteResult:
        """The windows of `spans` with their labels, where either is new or other than before."""
        extent = _extent(to_window_pieces(spans, self.plan))
        if extent is None:
            return NOTHING
        near = self.store.read(self.windows).where(self._within("window_end", extent.first, extent.last))
        windows = filter_to_spans(near, spans, self.plan.step_seconds)
        frame = to_training_examples(windows, self.lives, self.settings.labels, self.unrecorded)
        return self._merge(frame, self.examples, "window_end", extent)

    @property
    def _reading_columns(self) -> list[str]:
        return reading_columns(self.settings.feature_signals)

    @property
    def _reading_packs(self) -> Kernel:
        sampling = {source.name: source.sampling_minutes for source in self.settings.sources}
        step, block = self.settings.features.step_minutes, self.plan.chunk_cells * self.plan.step_seconds
        return reading_packs(self.settings.feature_signals, step, sampling, block)

    def _cell_slices(self, packs: DataFrame, extent: _Extent) -> tuple[DataFrame, Kernel]:
        slicing = self._slicing(extent, len(self._reading_columns))
        return cell_slices(packs, self.settings.feature_signals, self.settings.features.step_minutes, slicing)

    def _with_times(self, spans: DataFrame) -> DataFrame:
        return spans.transform(with_life_starts, self.lives).transform(with_event_times, self.events(), self.plan)

    def _window_slices(self, packs: DataFrame, spans: DataFrame, extent: _Extent) -> tuple[DataFrame, Kernel]:
        return window_slices(packs, spans, self.plan, self._slicing(extent, len(cell_columns(self.plan))))

    def _pieces_of_cells(self, cells: DataFrame, rows_per_cell: int = 1) -> DataFrame:
        """What of `cells` (`asset_id`, `cell`; one row a reading or a cell) falls into each turbine's chunks."""
        chunk = F.floor(F.col("cell") / self.plan.chunk_cells).alias("chunk")
        rows = (F.count("*") * rows_per_cell).alias("rows")
        return cells.groupBy("asset_id", chunk).agg(rows, F.min("cell").alias("first"), F.max("cell").alias("last"))

    def _slicing(self, extent: _Extent, columns: int) -> Slicing:
        length = self.plan.chunk_cells
        chunks = extent.last // length - extent.first // length + 1
        return Slicing(length * self.plan.step_seconds, chunks, fewest_shares(extent.slice_sizes, VALUES_PER_SLICE // columns))

    def _within(self, column: str, first: int, last: int) -> Column:
        """Spares the files that hold nothing of these cells or window ends, both included."""
        return F.col(column).between(F.lit(self._time(first)), F.lit(self._time(last + 1)))

    def _merge(self, frame: DataFrame, table: Table, time_column: str, extent: _Extent) -> WriteResult:
        """Write the rows that are new or other than before; a file without such a row stays as it is."""
        if self.store.exists(table):
            before = self.store.read(table).where(self._within(time_column, extent.first, extent.last))
            frame = frame.transform(filter_changed, before, table.keys)
        limits = (f"TIMESTAMP '{self._time(cell).isoformat()}'" for cell in (extent.first, extent.last + 1))
        within = f"old.{time_column} BETWEEN {' AND '.join(limits)}"
        return self._told(table, lambda: self.store.merge(frame, table, within=within))

    def _time(self, cell: int) -> datetime:
        return datetime.fromtimestamp(cell * self.plan.step_seconds, timezone.utc)

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


def _extent(pieces: DataFrame) -> _Extent | None:
    """None where there are no rows. `pieces` as for `to_slice_sizes`; a dozen rows come to the driver."""
    found = pieces.transform(to_slice_sizes).collect()
    if not found:
        return None
    return _Extent(found[0]["first"], found[0]["last"], {row["turbine_shares"]: row["rows"] for row in found})
