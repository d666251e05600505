"""Judge quarantined rows again, after a rule or a description was mended: what passes moves, what fails stays."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone

from pyspark.sql import Column
from pyspark.sql import functions as F

from turbine_health.io.delta import TableStore
from turbine_health.pipelines.bronze_layouts import layouts_in_bronze
from turbine_health.pipelines.ingest_batch import write_changed_hours
from turbine_health.pipelines.ingest_lives import update_lives
from turbine_health.pipelines.ingest_received import Received, neighbours_of
from turbine_health.pipelines.ingest_silver import write_silver
from turbine_health.pipelines.ingest_superseded import find_superseded
from turbine_health.settings import Settings
from turbine_health.sources import Source
from turbine_health.tables import CHANGED_HOURS, INGEST_RUNS, QUARANTINE, bronze
from turbine_health.transforms.layouts import LAYOUT_SCHEMA, common_positions
from turbine_health.transforms.quality import good_keys, in_place, to_judged_rows, to_verdicts
from turbine_health.transforms.superseding import to_hours

_ROW = ["_source_file", "_source_row"]


@dataclass(frozen=True)
class ReadmitSummary:
    """What became of the rows that were judged again."""

    judged: int
    moved: int
    superseded: int

    def __str__(self) -> str:
        if not self.judged:
            return "nothing in quarantine but superseded rows"
        return (
            f"{self.judged:,} quarantined rows judged again: {self.moved:,} moved to silver, {self.superseded:,} "
            f"superseded by later ones, {self.judged - self.moved - self.superseded:,} stay"
        )


def readmit(store: TableStore, settings: Settings) -> ReadmitSummary:
    """Judge again whatever is in quarantine for another reason than being superseded.

    Killed and run again it goes on: a row is deleted from quarantine only when silver holds it.
    """
    if not store.exists(QUARANTINE):
        return ReadmitSummary(0, 0, 0)
    parts = [_readmit_source(store, settings, source) for source in settings.sources]
    if any(part.moved for part in parts):
        update_lives(store, settings)
    return ReadmitSummary(*(sum(getattr(part, name) for part in parts) for name in ("judged", "moved", "superseded")))


def _readmit_source(store: TableStore, settings: Settings, source: Source) -> ReadmitSummary:
    started = datetime.now(timezone.utc)
    waiting = store.read(QUARANTINE).where((F.col("_source") == source.name) & ~_is_superseded()).persist()
    layouts = layouts_in_bronze(store, source, waiting)
    files = store.spark.createDataFrame([layout.as_row() for layout in layouts], LAYOUT_SCHEMA)
    lines = waiting.select(*bronze(source.name).schema.names)
    rows = lines.transform(to_judged_rows, files, source, common_positions(layouts), settings.ingest.max_future_minutes)
    good = rows.where(in_place(F.col("_reasons") == "")).transform(to_verdicts, source).persist()
    hours = good.transform(good_keys).transform(to_hours).persist()
    run_id = f"readmit-{source.name}-{started:%Y%m%dT%H%M%S%f}"
    received = Received(store, settings, source, started, run_id, None, good, files, hours)
    judged, moved, superseded = waiting.count(), 0, 0
    if received.totals.rows:
        moved, superseded = _move(received)
        _record(received, len(layouts), started, moved, superseded)
    for cached in (waiting, good, hours):
        cached.unpersist()
    return ReadmitSummary(judged, moved, superseded)


def _move(received: Received) -> tuple[int, int]:
    """Rows moved to silver, and rows that turn out to be superseded."""
    store = received.store
    good = received.rows.join(F.broadcast(received.files), on="_file_order", how="inner").select(*_ROW)
    neighbours = neighbours_of(received)
    superseded = find_superseded(received, neighbours)
    if superseded.rows is not None:
        store.merge(superseded.with_lines(received).withColumn("_quarantined_at", F.lit(received.received_at)), QUARANTINE)
        good = good.join(superseded.rows.where("is_new").select(*_ROW), on=_ROW, how="left_anti")
    write_silver(received, neighbours, superseded)
    write_changed_hours(received).unpersist()
    store.delete(good, QUARANTINE)
    return received.totals.rows - superseded.of_batch, superseded.of_batch


def _record(received: Received, files: int, started: datetime, moved: int, superseded: int) -> None:
    """No row came in; what silver gained, quarantine lost, so the sums of all runs still match."""
    row: tuple[object, ...] = (
        received.run_id, received.source.name, started, datetime.now(timezone.utc), files, 0, moved, -moved - superseded,
        superseded, {}, [], [], {table.identifier: received.store.version(table) for table in (received.silver, CHANGED_HOURS)},
        (datetime.now(timezone.utc) - started).total_seconds(),
    )  # fmt: skip
    received.store.append(received.store.spark.createDataFrame([row], INGEST_RUNS.schema), INGEST_RUNS)


def _is_superseded() -> Column:
    return F.exists("reasons", lambda reason: reason.startswith("superseded: "))
