"""One batch of one source: bronze, then quarantine, then silver, then which hours changed, then the account.

Every write is named by the batch, so that Delta skips it when a killed batch is done again, and
everything after bronze is computed from tables alone.
"""

from __future__ import annotations

import time
from datetime import datetime, timezone

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from turbine_health.io.delta import TableStore, Transaction, WriteResult
from turbine_health.io.encoded_files import small_batches
from turbine_health.io.feeds import first_lines, write_lines
from turbine_health.io.local_rows import local_rows
from turbine_health.io.raw_files import Batch
from turbine_health.pipelines.bronze_layouts import first_lines_of, keys_of
from turbine_health.pipelines.ingest_account import BatchAccount, record_account
from turbine_health.pipelines.ingest_received import Received, neighbours_of
from turbine_health.pipelines.ingest_silver import write_silver
from turbine_health.pipelines.ingest_superseded import Superseded, find_superseded
from turbine_health.pipelines.ingest_verdicts import judge
from turbine_health.settings import Settings
from turbine_health.sources import Source
from turbine_health.tables import CHANGED_HOURS, QUARANTINE, bronze
from turbine_health.transforms.layouts import LAYOUT_SCHEMA, Layout, layout_of
from turbine_health.transforms.quality import as_array
from turbine_health.transforms.reading_packs import HOUR
from turbine_health.transforms.silver_rows import counting_hours
from turbine_health.transforms.slicing import of_turbine
from turbine_health.transforms.times import as_micros


def take_batch(store: TableStore, settings: Settings, source: Source, batch: Batch) -> BatchAccount:
    """Take one batch in, whole; done again it changes nothing.

    Raises:
        DataError: Rows received are not all in silver or quarantine.
    """
    started = datetime.now(timezone.utc), time.monotonic()
    run_id = f"{source.name}-{batch.stream[:8]}-{batch.number}"
    transaction = Transaction(f"ingest-{source.name}-{batch.stream}", batch.number)
    layouts = _write_bronze(store, source, batch, transaction)
    files = local_rows(store.spark, [layout.as_row() for layout in layouts], LAYOUT_SCHEMA)
    uris = {layout.order: layout.file for layout in layouts}
    verdicts = judge(store, settings, source, batch.received_at, layouts, files)
    received = Received(store, settings, source, batch.received_at, run_id, transaction, verdicts, files, uris)
    with small_batches(store.spark), verdicts.short_plans():
        neighbours = neighbours_of(received)
        superseded = find_superseded(received, neighbours)
        _write_quarantine(received, superseded)
        write_silver(received, neighbours, superseded)
        changed = write_changed_hours(received)
    account = record_account(received, layouts, changed, started)
    for cached in (verdicts, neighbours, superseded.rows, changed):
        if cached is not None:
            cached.unpersist()
    return account


def write_changed_hours(received: Received) -> DataFrame:
    """Note the hours of which silver holds rows that this batch wrote.

    Returns:
        `asset_id`, `hour_start`, and `new_rows`, those that came with the batch; cached.
    """
    columns = ["asset_id", "event_time", "_source", "_ingested_at", "_run_id"]
    count = counting_hours(received.run_id, received.source.name, as_micros(received.received_at))
    made = of_turbine("hour", "new_rows")
    parts = received.store.read_by_kernel(received.silver, columns, count, made, near=received.touched)
    hour = F.timestamp_micros(F.col("hour") * HOUR).alias("hour_start")
    changed = parts.groupBy("asset_id", hour).agg(F.sum("new_rows").alias("new_rows")).persist()
    rows = changed.select("asset_id", "hour_start", F.lit(received.run_id).alias("run_id"))
    if received.totals.rows > received.totals.unusable:
        received.store.append(rows, CHANGED_HOURS, received.transaction)
    return changed


def _write_bronze(store: TableStore, source: Source, batch: Batch, transaction: Transaction) -> list[Layout]:
    """Keep every line as it came, and find out how to read each file."""
    first = first_lines(store.spark, source, batch)
    table = bronze(source.name)
    written: list[WriteResult] = []
    write_lines(store.spark, source, batch, lambda lines: written.append(store.append(lines, table, transaction)))
    kept = store.read(table).where(F.col("_ingested_at") == batch.received_at)
    if written[-1].version is None or None in first.values():
        # Done again after a kill, or a file that would not open at first: by now files may have changed or vanished.
        first = {**first, **first_lines_of(kept)}
    unreadable = {row["_source_file"] for row in kept.where(F.col("value").isNull()).select("_source_file").collect()}
    keys = keys_of(source, kept)
    return [
        layout_of(source, file.uri, order, first[file.uri], file.uri in unreadable, keys.get(file.uri))
        for order, file in enumerate(batch.files)
    ]


def _write_quarantine(received: Received, superseded: Superseded) -> None:
    """Set aside what silver will not hold, before silver changes."""
    parts = [_rejected(received)] if received.totals.unusable else []
    if superseded.rows is not None:
        parts.append(superseded.with_lines(received))
    if parts:
        rows = parts[0].unionByName(parts[1]) if len(parts) > 1 else parts[0]
        received.store.append(rows.withColumn("_quarantined_at", F.lit(received.received_at)), QUARANTINE, received.transaction)


def _rejected(received: Received) -> DataFrame:
    """Rows with a reason, as quarantine holds them but for `_quarantined_at`."""
    files = received.files.select("_file_order", "_source_file")
    rejected = received.verdicts.judged.where(F.col("_reasons").isNotNull()).join(
        F.broadcast(files), on="_file_order", how="left"
    )
    return rejected.select(
        F.col("_line").alias("value"), as_array(F.col("_reasons")).alias("reasons"), "asset_id", "event_time",
        F.lit(received.source.name).alias("_source"), "_source_file", "_source_row", "_ingested_at",
        F.lit(received.run_id).alias("_run_id"),
    )  # fmt: skip
