"""What one batch brought, and what it meets in silver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from turbine_health.io.delta import TableStore, Transaction
from turbine_health.settings import Settings
from turbine_health.sources import Source
from turbine_health.tables import INGEST_RUNS, Table, sensor_readings
from turbine_health.transforms.health import Reach

# Rows that are in silver already stand behind every file of the batch.
BEFORE_ALL_FILES = -1
# What the names of readmissions begin with.
READMISSION = "readmit-"


@dataclass(frozen=True)
class Totals:
    """What a batch brought. `days`: on which there are readings, about."""

    rows: int
    unusable: int
    unproven_hours: int
    first_time: datetime | None
    last_time: datetime | None
    days: int


@dataclass(frozen=True)
class Received:
    """The rows that one batch brought, judged, and where they go.

    `rows` comes from `quality.to_verdicts`, `files` is of `LAYOUT_SCHEMA`, `file_uris` gives the URI of each
    `_file_order`, `hours` comes from `superseding.to_hours` over all rows of the batch. Without a `transaction` every
    write counts anew. `file_orders` gives `_source_file` and `_file_order` of silver's rows that came with the same
    batches; a new batch has none.
    """

    store: TableStore
    settings: Settings
    source: Source
    received_at: datetime
    run_id: str
    transaction: Transaction | None
    rows: DataFrame
    files: DataFrame
    file_uris: Mapping[int, str]
    hours: DataFrame
    file_orders: DataFrame | None = None

    @cached_property
    def totals(self) -> Totals:
        """Counted once; this is the pass that reads and judges every line of the batch."""
        is_usable = F.col("asset_id").isNotNull()
        row = self.hours.agg(
            F.sum("readings"),
            F.sum(F.when(~is_usable, F.col("readings"))),
            F.count_if(is_usable & ~F.col("is_unique")),
            F.min("first_time"),
            F.max("last_time"),
            F.approx_count_distinct(F.date_trunc("DAY", "hour_start")),
        ).head()
        assert row is not None
        return Totals(row[0] or 0, row[1] or 0, row[2], row[3], row[4], row[5])

    @property
    def good(self) -> DataFrame:
        """The rows that belong in silver."""
        return self.rows.where(F.col("_reasons").isNull())

    @property
    def silver(self) -> Table:
        """With the signals of all sources."""
        return sensor_readings(self.settings.signal_names)

    @property
    def is_own(self) -> Column:
        """Whether a row of silver or quarantine came with this batch, whichever run wrote it last."""
        return (F.col("_source") == self.source.name) & (F.col("_ingested_at") == self.received_at)

    @property
    def reach(self) -> Reach:
        """How far the flags of a reading look."""
        return Reach.of(self.source, self.settings.ingest)


def neighbours_of(received: Received) -> DataFrame | None:
    """Readings in silver that the batch may replace, or whose flags it may change, and those they depend on.

    Grain: one row per `asset_id` and `event_time`.

    Returns:
        Rows of silver with `is_settled`, too far away for its flags to change, and `_file_order`. None when there
        is no row.
    """
    store, totals, reach = received.store, received.totals, received.reach
    if totals.first_time is None or totals.last_time is None or not store.exists(received.silver):
        return None
    around = reach.before + reach.after
    spans = received.hours.groupBy("asset_id").agg(F.min("first_time").alias("first"), F.max("last_time").alias("last"))
    time = F.col("event_time")
    # The literal bounds let Delta skip files; the turbine's own span then keeps only what is near.
    is_near_batch = time.between(totals.first_time - around, totals.last_time + around)
    is_near = (time >= F.col("first") - F.lit(around)) & (time <= F.col("last") + F.lit(around))
    is_settled = (time < F.col("first") - F.lit(reach.after)) | (time > F.col("last") + F.lit(reach.before))
    neighbours = (
        store.read(received.silver)
        .where(is_near_batch & ~received.is_own)
        .join(F.broadcast(spans), on="asset_id", how="inner")
        .where(is_near)
        .withColumn("is_settled", is_settled)
        .drop("first", "last")
        .transform(_with_file_order, received.file_orders)
    )
    return None if neighbours.isEmpty() else neighbours


def with_unaccounted_run(silver: DataFrame, store: TableStore) -> DataFrame:
    """Add `_unaccounted_run`, the readmission that moved a row and was killed before its account. Grain: as `silver`."""
    moved_by, is_accounted = F.col("_run_id"), F.col("_is_accounted")
    accounts = accounted_runs(store).where(F.col("_run_id").startswith(READMISSION)).withColumn("_is_accounted", F.lit(True))
    unaccounted = F.when(moved_by.startswith(READMISSION) & is_accounted.isNull(), moved_by)
    joined = silver.join(F.broadcast(accounts), on="_run_id", how="left")
    return joined.withColumn("_unaccounted_run", unaccounted).drop("_is_accounted")


def accounted_runs(store: TableStore) -> DataFrame:
    """`_run_id` of the batches and readmissions that are in `ops.ingest_runs`."""
    runs = store.read(INGEST_RUNS) if store.exists(INGEST_RUNS) else store.empty(INGEST_RUNS)
    return runs.select(F.col("run_id").alias("_run_id"))


def _with_file_order(rows: DataFrame, file_orders: DataFrame | None) -> DataFrame:
    if file_orders is None:
        return rows.withColumn("_file_order", F.lit(BEFORE_ALL_FILES))
    known = rows.join(F.broadcast(file_orders), on="_source_file", how="left")
    return known.withColumn("_file_order", F.coalesce("_file_order", F.lit(BEFORE_ALL_FILES)))
