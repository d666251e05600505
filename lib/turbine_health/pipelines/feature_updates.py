"""Writing cells, windows and examples: all of them, or the ones that some spans of time name."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from turbine_health.errors import DataError
from turbine_health.feature_tables import signal_cells
from turbine_health.io.delta import TableStore, WriteResult
from turbine_health.pipelines.failure_records import unrecorded_turbines
from turbine_health.settings import Settings
from turbine_health.tables import ASSET_LIVES, Table, sensor_readings, training_examples, window_features
from turbine_health.transforms.cells import Slicing, to_signal_cells
from turbine_health.transforms.changes import filter_changed
from turbine_health.transforms.features import feature_plan
from turbine_health.transforms.labels import to_training_examples
from turbine_health.transforms.windows import (
    cell_index,
    filter_to_cells,
    filter_to_spans,
    to_cell_spans,
    to_window_features,
    with_life_starts,
)

logger = logging.getLogger("turbine_health")

# Rows that one worker holds at a time: some tens of megabytes, whatever the size of the fleet.
READINGS_PER_SLICE = 250_000
CELLS_PER_SLICE = 100_000
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
        readings = sensor_readings(settings.signal_names)
        self.readings_version, self.lives_version = store.version(readings), store.version(ASSET_LIVES)
        self.readings = store.read(readings, self.readings_version)
        self.lives = store.read(ASSET_LIVES, self.lives_version)
        self.unrecorded = unrecorded_turbines(store, settings)

    def known_cells(self) -> DataFrame:
        """First and last cell of each turbine."""
        return to_cell_spans(self.store.read(self.cells), self.plan.step_seconds)

    def cells_with_readings(self, first_cell: int, last_cell: int) -> DataFrame:
        """`asset_id`, `cell` of the readings in a span of cells, both ends included."""
        cell = cell_index(F.col("event_time"), self.plan.step_seconds)
        near = self.readings.where(self._within("event_time", _Extent(first_cell, last_cell, 0)))
        return (
            near.select("asset_id", cell.alias("cell")).where(F.col("cell") <= last_cell).dropDuplicates(["asset_id", "cell"])
        )

    def replace_cells(self) -> WriteResult:
        """All cells, in place of what was there."""
        cell = cell_index(F.col("event_time"), self.plan.step_seconds)
        extent = _extent(self.readings, cell, cell, F.count("*"))
        if extent is None:
            raise DataError("there is not one reading in silver.sensor_readings", hint="run jobs/ingest.py on some logs first")
        frame = self._to_cells(self.readings, self._slicing(extent, READINGS_PER_SLICE))
        return self._told(self.cells, lambda: self.store.replace(frame, self.cells))

    def update_cells(self, changed: DataFrame) -> WriteResult:
        """The cells of `changed` (`asset_id`, `cell`), from all their readings."""
        extent = _extent(changed, F.col("cell"), F.col("cell"), F.count("*"))
        if extent is None:
            return NOTHING
        readings = filter_to_cells(self.readings.where(self._within("event_time", extent)), changed, self.plan.step_seconds)
        frame = self._to_cells(readings, self._slicing(extent, CELLS_PER_SLICE))
        return self._merge(frame, self.cells, "cell_start", extent)

    def replace_windows(self, spans: DataFrame) -> WriteResult:
        """The windows of `spans` (`asset_id`, `first_end`, `last_end`), in place of what was there."""
        extent = _extent_of_spans(spans)
        if extent is None:
            raise DataError(
                "no turbine has a reading, so there is no window to build", hint="run jobs/ingest.py on some logs first"
            )
        frame = self._to_windows(spans, extent)
        return self._told(self.windows, lambda: self.store.replace(frame, self.windows))

    def update_windows(self, spans: DataFrame) -> WriteResult:
        """The windows of `spans`, where they are new or other than before."""
        extent = _extent_of_spans(spans)
        return self._merge(self._to_windows(spans, extent), self.windows, "window_end", extent) if extent else NOTHING

    def replace_examples(self) -> WriteResult:
        """All windows with their labels, in place of what was there."""
        frame = to_training_examples(self.store.read(self.windows), self.lives, self.settings.labels, self.unrecorded)
        return self._told(self.examples, lambda: self.store.replace(frame, self.examples))

    def update_examples(self, spans: DataFrame) -> WriteResult:
        """The windows of `spans` with their labels, where either is new or other than before."""
        extent = _extent_of_spans(spans)
        if extent is None:
            return NOTHING
        near = self.store.read(self.windows).where(self._within("window_end", extent))
        windows = filter_to_spans(near, spans, self.plan.step_seconds)
        frame = to_training_examples(windows, self.lives, self.settings.labels, self.unrecorded)
        return self._merge(frame, self.examples, "window_end", extent)

    def _to_cells(self, readings: DataFrame, slicing: Slicing) -> DataFrame:
        sampling = {source.name: source.sampling_minutes for source in self.settings.sources}
        return to_signal_cells(readings, self.settings.feature_signals, self.settings.features.step_minutes, sampling, slicing)

    def _to_windows(self, spans: DataFrame, extent: _Extent) -> DataFrame:
        # A baseline lies at a life's start, however long ago that is.
        first_seen = 0 if self.plan.baseline_cells else extent.first - self.plan.longest_lookback
        seen = _Extent(first_seen, extent.last, extent.rows)
        cells = self.store.read(self.cells).where(self._within("cell_start", seen))
        slicing = self._slicing(extent, CELLS_PER_SLICE)
        return to_window_features(cells, with_life_starts(spans, self.lives), self.plan, slicing)

    def _slicing(self, extent: _Extent, rows_per_slice: int) -> Slicing:
        length = self.plan.chunk_cells
        chunks = extent.last // length - extent.first // length + 1
        shares = math.ceil(extent.rows / chunks / rows_per_slice)
        return Slicing(chunk_seconds=length * self.plan.step_seconds, chunks=chunks, turbine_shares=shares)

    def _within(self, column: str, extent: _Extent) -> Column:
        """Spares the files that hold nothing of the extent."""
        return F.col(column).between(F.lit(self._time(extent.first)), F.lit(self._time(extent.last + 1)))

    def _merge(self, frame: DataFrame, table: Table, time_column: str, extent: _Extent) -> WriteResult:
        """Write the rows that are new or other than before; a file without such a row stays as it is."""
        if self.store.exists(table):
            before = self.store.read(table).where(self._within(time_column, extent))
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
    """First and last cell (or window end) of a piece of work, and how many rows it has."""

    first: int
    last: int
    rows: int


def _extent(rows: DataFrame, first: Column, last: Column, count: Column) -> _Extent | None:
    """None where there are no rows. One row comes to the driver."""
    found = rows.agg(F.min(first), F.max(last), count).head()
    return _Extent(*found) if found and found[0] is not None else None


def _extent_of_spans(spans: DataFrame) -> _Extent | None:
    windows = F.sum(F.col("last_end") - F.col("first_end") + 1)
    return _extent(spans, F.col("first_end"), F.col("last_end"), windows)
