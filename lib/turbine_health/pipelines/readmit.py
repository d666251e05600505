"""Judge quarantined rows again, after a rule or a description was mended: what passes moves, what fails stays."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timezone

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from turbine_health.io.delta import TableStore
from turbine_health.io.encoded_files import small_batches
from turbine_health.io.feeds import files_in_order
from turbine_health.io.local_rows import local_rows
from turbine_health.pipelines.bronze_layouts import keys_in_bronze, layouts_in_bronze
from turbine_health.pipelines.ingest import prepare_silver
from turbine_health.pipelines.ingest_batch import write_changed_hours
from turbine_health.pipelines.ingest_lives import update_lives
from turbine_health.pipelines.ingest_received import (
    READMISSION,
    Received,
    accounted_runs,
    neighbours_of,
    with_unaccounted_run,
)
from turbine_health.pipelines.ingest_silver import write_silver
from turbine_health.pipelines.ingest_superseded import find_superseded
from turbine_health.pipelines.ingest_verdicts import Verdicts
from turbine_health.settings import Settings
from turbine_health.sources import Source
from turbine_health.tables import CHANGED_HOURS, INGEST_RUNS, PROVENANCE, QUARANTINE, bronze, sensor_readings
from turbine_health.transforms.layouts import LAYOUT_SCHEMA, common_positions
from turbine_health.transforms.quality import in_place, to_judged_rows, to_verdicts


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

    Killed and run again it goes on, and accounts for what the killed run had done: a row is deleted from
    quarantine last, when silver holds it and the account is written.
    """
    if not store.exists(QUARANTINE) or not store.exists(sensor_readings(settings.signal_names)):
        return ReadmitSummary(0, 0, 0)
    prepare_silver(store, settings)
    parts = [_readmit_source(store, settings, source) for source in settings.sources]
    if any(part.moved for part in parts):
        update_lives(store, settings)
    return ReadmitSummary(*(sum(getattr(part, name) for part in parts) for name in ("judged", "moved", "superseded")))


def _readmit_source(store: TableStore, settings: Settings, source: Source) -> ReadmitSummary:
    started = datetime.now(timezone.utc)
    waiting = _waiting(store, source).persist()
    held = _held(store, settings, waiting).persist()
    judged, before = waiting.count(), held.count()
    fresh = waiting.join(held, on=list(PROVENANCE), how="left_anti")
    received = _received(store, settings, source, fresh, started)
    with small_batches(store.spark):
        superseded = _move(received, waiting) if received.totals.rows else 0
    moved = received.totals.rows - superseded
    _record(received, Counter({received.run_id: moved}) + (_account_for(received, held) if before else Counter()))
    if moved + before:
        store.delete(_held(store, settings, waiting).select(*PROVENANCE), QUARANTINE)
    for cached in (waiting, held, received.verdicts):
        cached.unpersist()
    return ReadmitSummary(judged, moved + before, superseded)


def _waiting(store: TableStore, source: Source) -> DataFrame:
    """Rows of quarantine to judge again. Those of a batch without an account are left to ingest, which repeats it."""
    rows = store.read(QUARANTINE).where((F.col("_source") == source.name) & ~_is_superseded())
    return rows.join(F.broadcast(accounted_runs(store)), on="_run_id", how="left_semi")


def _held(store: TableStore, settings: Settings, waiting: DataFrame) -> DataFrame:
    """Waiting rows that silver holds already, from a run that was killed: `PROVENANCE`, key, `_unaccounted_run`."""
    silver = store.read(sensor_readings(settings.signal_names)).select(*PROVENANCE, "asset_id", "event_time", "_run_id")
    held = silver.join(waiting.select(*PROVENANCE), on=list(PROVENANCE), how="left_semi")
    return held.transform(with_unaccounted_run, store).drop("_run_id")


def _account_for(received: Received, held: DataFrame) -> Counter[str]:
    """Note the hours of rows that killed runs moved and did not account for. Returns how many, by run."""
    rows = held.where(F.col("_unaccounted_run").isNotNull()).persist()
    hours = rows.select("asset_id", F.date_trunc("HOUR", "event_time").alias("hour_start")).distinct()
    moved = Counter({row["_unaccounted_run"]: row["count"] for row in rows.groupBy("_unaccounted_run").count().collect()})
    if moved:
        received.store.append(hours.withColumn("run_id", F.lit(received.run_id)), CHANGED_HOURS)
    rows.unpersist()
    return moved


def _received(store: TableStore, settings: Settings, source: Source, waiting: DataFrame, started: datetime) -> Received:
    """Those of the waiting rows that are good now, placed as they stood in their batches."""
    places = _places(store, settings, source, waiting)
    layouts = layouts_in_bronze(store, source, waiting, places, keys_in_bronze(store, source, waiting))
    files = local_rows(store.spark, [layout.as_row() for layout in layouts], LAYOUT_SCHEMA)
    uris = {layout.order: layout.file for layout in layouts}
    lines = waiting.select(*bronze(source.name).schema.names)
    rows = lines.transform(to_judged_rows, files, source, common_positions(layouts), settings.ingest.max_future_minutes)
    good = rows.where(in_place(F.col("_reasons") == "")).transform(to_verdicts, source).persist()
    orders = store.spark.createDataFrame(list(places.items()), "_source_file STRING, _file_order INT")
    run_id = f"{_prefix(source)}{started:%Y%m%dT%H%M%S%f}"
    return Received(store, settings, source, started, run_id, None, Verdicts(source, good), files, uris, orders)


def _places(store: TableStore, settings: Settings, source: Source, waiting: DataFrame) -> dict[str, int]:
    """Where every file of the batches that brought these rows stood in its batch."""
    batches = waiting.select("_ingested_at").distinct()
    files = store.read(bronze(source.name)).join(F.broadcast(batches), on="_ingested_at", how="left_semi")
    uris = [row["_source_file"] for row in files.select("_source_file").distinct().collect()]
    in_order = files_in_order(store.spark, source, settings.storage.checkpoint(source.name), uris)
    return {uri: place for place, uri in enumerate(in_order)}


def _move(received: Received, waiting: DataFrame) -> int:
    """Bring the good rows into silver. Returns how many of them turn out to be superseded."""
    store = received.store
    neighbours = neighbours_of(received)
    superseded = find_superseded(received, neighbours)
    if superseded.rows is not None:
        # A row that was in quarantine before keeps the time at which it was set aside; `_record` tells by it.
        since = waiting.select(*PROVENANCE, "_quarantined_at")
        rows = superseded.with_lines(received).join(since, on=list(PROVENANCE), how="left")
        set_aside = F.coalesce("_quarantined_at", F.lit(received.received_at))
        store.merge(rows.withColumn("_quarantined_at", set_aside), QUARANTINE)
    write_silver(received, neighbours, superseded)
    for cached in (neighbours, superseded.rows):
        if cached is not None:
            cached.unpersist()
    write_changed_hours(received).unpersist()
    return superseded.of_batch


def _record(received: Received, moved: Counter[str]) -> None:
    """No row came in; what silver gained, quarantine lost, so the sums of all runs still match.

    A run that was killed before its account gets it here, in its own name: this one may be killed before it is done, too,
    and the next one must see for whom the account was written. What was superseded is counted in the tables.
    """
    store, superseded = received.store, _superseded_since(received.store, received.source)
    accounts = [
        _account(received, run_id, moved[run_id], *superseded.get(run_id, (0, 0))) for run_id in sorted({*superseded, *moved})
    ]
    if accounts:
        store.append(local_rows(store.spark, accounts, INGEST_RUNS.schema), INGEST_RUNS)


def _account(received: Received, run_id: str, moved: int, of_quarantine: int, of_silver: int) -> tuple[object, ...]:
    """A row of `ops.ingest_runs`."""
    superseded, now = of_quarantine + of_silver, datetime.now(timezone.utc)
    return (
        run_id, received.source.name, received.received_at, now, received.files.count(), 0, moved, -moved - of_quarantine,
        superseded, {"superseded": superseded} if superseded else {}, [], [],
        {table.identifier: received.store.version(table)
         for table in (received.silver, CHANGED_HOURS) if received.store.exists(table)},
        (now - received.received_at).total_seconds(),
    )  # fmt: skip


def _superseded_since(store: TableStore, source: Source) -> dict[str, tuple[int, int]]:
    """What readmissions without an account superseded, by run: rows that were in quarantine before, and rows of silver."""
    stamp = F.concat(F.lit(_prefix(source)), F.date_format("_quarantined_at", "yyyyMMdd'T'HHmmssSSSSSS"))
    rows = (
        store.read(QUARANTINE)
        .where(F.col("_run_id").startswith(_prefix(source)) & _is_superseded())
        .join(F.broadcast(accounted_runs(store)), on="_run_id", how="left_anti")
        .groupBy("_run_id")
        .agg(F.count_if(stamp != F.col("_run_id")), F.count_if(stamp == F.col("_run_id")))
    )
    return {run_id: (of_quarantine, of_silver) for run_id, of_quarantine, of_silver in rows.collect()}


def _prefix(source: Source) -> str:
    return f"{READMISSION}{source.name}-"


def _is_superseded() -> Column:
    return F.exists("reasons", lambda reason: reason.startswith("superseded: "))
