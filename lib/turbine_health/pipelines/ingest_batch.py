"""One batch of one source: bronze, then quarantine, then silver, then which hours changed, then the account.

Every write is named by the batch, so that Delta skips it when a killed batch is done again, and
everything after bronze is computed from tables alone.
"""

from __future__ import annotations

import time
from datetime import datetime, timezone

from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from turbine_health.io.delta import TableStore, Transaction, WriteResult
from turbine_health.io.feeds import first_lines, write_lines
from turbine_health.io.local_rows import local_rows
from turbine_health.io.raw_files import Batch
from turbine_health.pipelines.bronze_layouts import first_lines_of, keys_of
from turbine_health.pipelines.ingest_account import BatchAccount, record_account
from turbine_health.pipelines.ingest_received import Received, neighbours_of
from turbine_health.pipelines.ingest_silver import write_silver
from turbine_health.pipelines.ingest_superseded import Superseded, find_superseded
from turbine_health.settings import Settings
from turbine_health.sources import Source
from turbine_health.tables import CHANGED_HOURS, QUARANTINE, bronze
from turbine_health.transforms.layouts import LAYOUT_SCHEMA, Layout, common_positions, layout_of
from turbine_health.transforms.quality import as_array, good_keys, to_judged_rows, to_verdicts
from turbine_health.transforms.superseding import to_hours


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
    lines = store.read(bronze(source.name)).where(F.col("_ingested_at") == batch.received_at)
    judged = lines.transform(to_judged_rows, files, source, common_positions(layouts), settings.ingest.max_future_minutes)
    # Cutting and judging lines costs more than all that follows, and four queries need the result. On disk, for
    # the rows of a batch are as large as the whole heap of a small driver.
    rows = judged.transform(to_verdicts, source).persist(StorageLevel.DISK_ONLY)
    hours = rows.transform(good_keys).transform(to_hours).persist()
    received = Received(store, settings, source, batch.received_at, run_id, transaction, rows, files, uris, hours)
    neighbours = neighbours_of(received)
    superseded = find_superseded(received, neighbours)
    _write_quarantine(received, superseded)
    write_silver(received, neighbours, superseded)
    changed = write_changed_hours(received)
    account = record_account(received, layouts, changed, started)
    for cached in (rows, hours, superseded.rows, changed):
        if cached is not None:
            cached.unpersist()
    return account


def write_changed_hours(received: Received) -> DataFrame:
    """Note the hours of which silver holds rows that this batch wrote.

    Returns:
        `asset_id`, `hour_start`, and `new_rows`, those that came with the batch; cached.
    """
    # Another run may have written own rows again since, for their flags alone.
    changed = (
        received.store.read(received.silver)
        .where((F.col("_run_id") == received.run_id) | received.is_own)
        .groupBy("asset_id", F.date_trunc("HOUR", "event_time").alias("hour_start"))
        .agg(F.count_if(received.is_own).alias("new_rows"))
        .persist()
    )
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
    rejected = received.rows.where(F.col("_reasons").isNotNull()).join(F.broadcast(files), on="_file_order", how="left")
    return rejected.select(
        F.col("_line").alias("value"), as_array(F.col("_reasons")).alias("reasons"), "asset_id", "event_time",
        F.lit(received.source.name).alias("_source"), "_source_file", "_source_row", "_ingested_at",
        F.lit(received.run_id).alias("_run_id"),
    )  # fmt: skip
