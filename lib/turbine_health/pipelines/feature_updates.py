"""Writing cells, windows and examples: all of them, or the ones that some spans of time name."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from turbine_health.errors import DataError
from turbine_health.feature_tables import signal_cells
from turbine_health.io.delta import TableStore, WriteResult
from turbine_health.io.local_rows import local_table
from turbine_health.io.merges import MergeByKernel
from turbine_health.io.near import Near
from turbine_health.pipelines.failure_records import unrecorded_turbines
from turbine_health.settings import Settings
from turbine_health.tables import ASSET_EVENTS, ASSET_LIVES, Table, sensor_readings, training_examples, window_features
from turbine_health.transforms.cells import WANTED, cell_slices, reading_columns, reading_packs
from turbine_health.transforms.changed_rows import only_changed, row_packs
from turbine_health.transforms.features import EVENTS, feature_plan
from turbine_health.transforms.label_kernel import labelling, lives_by_turbine
from turbine_health.transforms.labels import example_slices, to_life_rows
from turbine_health.transforms.packs import PACKS
from turbine_health.transforms.slicing import PIECES, Kernel, Slicing, counting, fewest_shares, one_a_chunk, slice_sizes
from turbine_health.transforms.spans import to_cell_spans
from turbine_health.transforms.windows import (
    NEEDED,
    WANTED_ENDS,
    cell_columns,
    cell_packs,
    event_times,
    life_starts,
    needed_cells,
    piece_columns,
    window_slices,
    with_times,
)

logger = logging.getLogger("turbine_health")

# What one worker holds of rows at a time: 40 MB, whatever the size of the fleet and however many signals it has.
VALUES_PER_SLICE = 5_000_000
NOTHING = WriteResult(version=None)
EVER = datetime(2261, 1, 1, tzinfo=timezone.utc)


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
        self.lives = self.lives_at(self.lives_version)
        self.unrecorded = unrecorded_turbines(store, settings, self.lives)
        self.events_version = store.version(ASSET_EVENTS) if self.plan.events else None

    def events(self, version: int | None = None) -> DataFrame:
        """silver.asset_events as this build or an earlier one read them; no rows where no feature needs them."""
        if self.events_version is None:
            return self.store.empty(ASSET_EVENTS)
        return self.store.read(ASSET_EVENTS, self.events_version if version is None else version)

    def lives_at(self, version: int) -> pd.DataFrame:
        """What of silver.asset_lives decides a label: a row a life comes to the driver."""
        return self.store.read(ASSET_LIVES, version).transform(to_life_rows).toPandas()

    def known_cells(self, since: int | None = None) -> pd.DataFrame:
        """First and last cell of each turbine.

        With `since` of turbines alone that have a cell from there on, whose first cell is then told as `since` at the latest:
        older files are not opened.
        """
        count = counting("cell_start", self.plan.step_seconds, self.plan.chunk_cells)
        near = None if since is None else Near("cell_start", [(self._time(since), EVER)])
        pieces = self.store.read_by_kernel(self.cells, ["asset_id", "cell_start"], count, PIECES, near=near)
        known = pieces.transform(to_cell_spans).toPandas()
        return known if since is None else known.assign(first_cell=known["first_cell"].clip(upper=since))

    def cells_with_readings(self, first_cell: int, last_cell: int) -> pd.DataFrame:
        """First and last cell of each turbine's readings in a span of cells, both ends included."""
        pieces = self._counted_readings(self._near("event_time", (first_cell, last_cell)))
        spans = pieces.transform(to_cell_spans).toPandas()
        first, last = spans["first_cell"].clip(lower=first_cell), spans["last_cell"].clip(upper=last_cell)
        inside: pd.DataFrame = spans.assign(first_cell=first, last_cell=last)[first <= last]
        return inside

    def replace_cells(self) -> WriteResult:
        """All cells, in place of what was there."""
        extent = _extent(_by_chunk(self._counted_readings()))
        if extent is None:
            raise DataError("there is not one reading in silver.sensor_readings", hint="run jobs/ingest.py on some logs first")
        return self._replace(self.cells, self._cell_slices(), self._slicing(extent, len(self._reading_columns)))

    def update_cells(self, ranges: pd.DataFrame) -> WriteResult:
        """The cells of `ranges` (`asset_id`, `first_cell`, `last_cell`) that are new or other than before."""
        wanted = one_a_chunk(ranges, "first_cell", "last_cell", self.plan.chunk_cells)
        step = self.settings.features.step_minutes
        most = math.ceil(step / min((source.sampling_minutes for source in self.settings.sources), default=step))
        first, last = wanted["first_cell"], wanted["last_cell"]
        extent = _extent(wanted.assign(rows=(last - first + 1) * most, first=first, last=last))
        if extent is None:
            return NOTHING
        slices = self._cell_slices(self._local(wanted, WANTED), self._near("event_time", (extent.first, extent.last)))
        return self._update(self.cells, slices, wanted, extent, self._slicing(extent, len(self._reading_columns)))

    def replace_windows(self, spans: pd.DataFrame) -> WriteResult:
        """The windows of `spans` (`asset_id`, `first_end`, `last_end`), in place of what was there."""
        pieces, extent = self._window_pieces(spans)
        if extent is None:
            raise DataError(
                "no turbine has a reading, so there is no window to build", hint="run jobs/ingest.py on some logs first"
            )
        timed = self._with_times(pieces)
        slices = self._window_slices(timed, needed_cells(timed, self.plan))
        return self._replace(self.windows, slices, self._slicing(extent, len(cell_columns(self.plan))))

    def update_windows(self, spans: pd.DataFrame) -> WriteResult:
        """The windows of `spans` that are new or other than before."""
        pieces, extent = self._window_pieces(spans)
        if extent is None:
            return NOTHING
        timed = self._with_times(pieces)
        needed = needed_cells(timed, self.plan)
        length = self.plan.block_cells
        blocks = _runs(sorted(needed["block"].unique().tolist()))
        near = self._near("cell_start", *((first * length, (last + 1) * length - 1) for first, last in blocks))
        slices = self._window_slices(timed, needed, near)
        return self._update(self.windows, slices, pieces, extent, self._slicing(extent, len(cell_columns(self.plan))))

    def replace_examples(self) -> WriteResult:
        """All windows with their labels, in place of what was there."""
        rows, kernel = self.store.rows_for_kernel(self.windows, self.windows.schema.names, self._labelling())
        return self._told(self.examples, lambda: self.store.replace_by_kernel(rows, kernel, self.examples))

    def update_examples(self, spans: pd.DataFrame) -> WriteResult:
        """The windows of `spans` with their labels, where either is new or other than before."""
        pieces, extent = self._window_pieces(spans)
        if extent is None:
            return NOTHING
        names, near = self.windows.schema.names, self._near("window_end", (extent.first, extent.last))
        own = self._row_packs(self.windows, pieces, extent)
        packs = self.store.read_by_kernel(self.windows, names, own, PACKS, near=near)
        columns = to_arrow_schema(self.windows.schema, timezone="UTC")
        wanted = self._local(pieces, WANTED_ENDS)
        slices = example_slices(packs, wanted, columns, self.plan.step_seconds, self._labelling())
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

    def _window_slices(self, pieces: pd.DataFrame, needed: pd.DataFrame, near: Near | None = None) -> tuple[DataFrame, Kernel]:
        columns = cell_columns(self.plan)
        seen = int(needed["first_cell"].min()), int(needed["last_cell"].max())
        packs = self.store.read_by_kernel(self.cells, columns, cell_packs(self.plan, *seen), PACKS, near=near)
        wishes = self._local(pieces, piece_columns(self.plan))
        return window_slices(packs, self._local(needed, NEEDED), wishes, self.plan)

    def _row_packs(self, table: Table, pieces: pd.DataFrame, extent: _Extent) -> Kernel:
        times = (cell * self.plan.step_seconds for cell in (extent.first, extent.last))
        return row_packs(table.keys[1], self._chunk_seconds, pieces["asset_id"].unique().tolist(), *times)

    def _window_pieces(self, spans: pd.DataFrame) -> tuple[pd.DataFrame, _Extent | None]:
        pieces = one_a_chunk(spans, "first_end", "last_end", self.plan.chunk_cells)
        seen_before = self.plan.longest_lookback + self.plan.baseline_cells
        first, last = pieces["first_end"], pieces["last_end"]
        return pieces, _extent(pieces.assign(rows=last - first + (1 + seen_before), first=first, last=last))

    def _with_times(self, pieces: pd.DataFrame) -> pd.DataFrame:
        """A row an event that is counted comes to the driver."""
        kinds = [EVENTS[event] for event in self.plan.events]
        counted = self.events().where(F.col("event_type").isin(*kinds))
        began = counted.select("asset_id", "event_type", F.unix_micros("started_at").alias("began"))
        times = event_times(began.toPandas(), self.plan) if kinds else {}
        return with_times(pieces, life_starts(self.lives), times, self.plan)

    def _labelling(self) -> Kernel:
        lives = lives_by_turbine(self.lives.to_dict("records"))
        return labelling(lives, self.settings.labels, self.unrecorded)

    def _local(self, rows: pd.DataFrame, schema: StructType) -> DataFrame:
        return local_table(self.store.spark, rows, schema)

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
        self, table: Table, slices: tuple[DataFrame, Kernel], pieces: pd.DataFrame, extent: _Extent, slicing: Slicing
    ) -> WriteResult:
        """Write the rows of `slices` that are new or other than before; a file without such a row stays as it is."""
        rows, kernel = slices
        merge = MergeByKernel(self.store, table, self._near(table.keys[1], (extent.first, extent.last)))
        names = table.schema.names
        before = merge.before(names, self._row_packs(table, pieces, extent), PACKS)
        if before is not None:
            own = before.withColumnsRenamed({"block": "chunk", "pack": "before"})
            rows = rows.unionByName(own, allowMissingColumns=True)
            kernel = only_changed(kernel, to_arrow_schema(merge.columns(names), timezone="UTC"), table.keys)
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


def _extent(pieces: pd.DataFrame) -> _Extent | None:
    """None where there are no rows. `pieces` has the columns of `PIECES`."""
    if pieces.empty:
        return None
    return _Extent(int(pieces["first"].min()), int(pieces["last"].max()), slice_sizes(pieces))


def _by_chunk(pieces: DataFrame) -> pd.DataFrame:
    """A row a turbine and chunk comes to the driver."""
    reach = F.min("first").alias("first"), F.max("last").alias("last")
    return pieces.groupBy("asset_id", "chunk").agg(F.sum("rows").alias("rows"), *reach).toPandas()


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of consecutive numbers; `numbers` ascend."""
    first = 0
    for place, number in enumerate(numbers):
        if place + 1 == len(numbers) or numbers[place + 1] != number + 1:
            yield numbers[first], number
            first = place + 1
