"""What one batch brought, and what it meets in silver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType, TimestampType

from turbine_health.io.delta import TableStore, Transaction
from turbine_health.io.local_rows import local_rows
from turbine_health.io.near import Near
from turbine_health.pipelines.ingest_verdicts import Verdicts
from turbine_health.settings import Settings
from turbine_health.sources import Source
from turbine_health.tables import INGEST_RUNS, Table, sensor_readings
from turbine_health.transforms.health import Reach
from turbine_health.transforms.kernels import Integers
from turbine_health.transforms.reading_packs import DAY
from turbine_health.transforms.superseding import hours_within
from turbine_health.transforms.times import as_time, whole_hours

# Rows that are in silver already stand behind every file of the batch.
BEFORE_ALL_FILES = -1
# First and last reading of a turbine in the batch.
_SPANS = StructType([
    StructField("asset_id", StringType()), StructField("first", TimestampType()), StructField("last", TimestampType()),
])  # fmt: skip
# Days that lie apart are looked for one by one; where there are more, all that lies between them is looked at, too.
MOST_SPANS = 200
# What the names of readmissions begin with.
READMISSION = "readmit-"


@dataclass(frozen=True)
class Totals:
    """What a batch brought. `days`: on which there are readings."""

    rows: int
    unusable: int
    first_time: datetime | None
    last_time: datetime | None
    days: int


@dataclass(frozen=True)
class Received:
    """The rows that one batch brought, judged, and where they go.

    `verdicts` are those of its rows, `files` is of `LAYOUT_SCHEMA`, `file_uris` gives the URI of each `_file_order`.
    Without a `transaction` every write counts anew. `file_orders` gives `_source_file` and `_file_order` of silver's rows
    that came with the same batches; a new batch has none.
    """

    store: TableStore
    settings: Settings
    source: Source
    received_at: datetime
    run_id: str
    transaction: Transaction | None
    verdicts: Verdicts
    files: DataFrame
    file_uris: Mapping[int, str]
    file_orders: DataFrame | None = None

    @cached_property
    def totals(self) -> Totals:
        """Over all rows of the batch."""
        days, unusable = self.verdicts.counted.days, self.verdicts.counted.unusable
        if days.empty:
            return Totals(unusable, unusable, None, None, 0)
        ends = as_time(days["first_time"].min()), as_time(days["last_time"].max())
        return Totals(int(days["readings"].sum()) + unusable, unusable, *ends, days["day"].nunique())

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

    @property
    def touched(self) -> Near:
        """Where in silver the batch may change a row: replace it, or its flags. Around all of `touched_hours`."""
        return self.near(*self._touching)

    @cached_property
    def touched_hours(self) -> dict[str, Integers]:
        """Hours of each turbine in which that may be, as `superseding.hours_within` gives them."""
        return hours_within(self.verdicts.counted.days, *self._touching)

    @property
    def _touching(self) -> tuple[timedelta, timedelta]:
        """How long before and after its readings a batch may change a row, in whole hours."""
        return whole_hours(self.reach.after), whole_hours(self.reach.before)

    def near(self, earlier: timedelta, later: timedelta) -> Near:
        """The days of which the batch brings readings, and so much before and after them."""
        brought = np.unique(self.verdicts.counted.days["day"].to_numpy())
        if not brought.size:
            return Near.at("_ingested_at", self.received_at)
        is_apart = np.diff(brought) > 1
        if is_apart.sum() >= MOST_SPANS:
            is_apart[:] = False
        starts, stops = brought[np.append(True, is_apart)], brought[np.append(is_apart, True)] + 1
        runs = [(as_time(start * DAY), as_time(stop * DAY)) for start, stop in zip(starts, stops, strict=True)]
        return Near("event_time", [(start - earlier, stop + later) for start, stop in runs])


def neighbours_of(received: Received) -> DataFrame | None:
    """Readings in silver that the batch may replace, or whose flags it may change, and those they depend on.

    Grain: one row per `asset_id` and `event_time`.

    Returns:
        Rows of silver with `is_settled`, too far away for its flags to change, and `_file_order`; cached. None when there
        is no row.
    """
    store, totals, reach = received.store, received.totals, received.reach
    if totals.first_time is None or totals.last_time is None or not store.exists(received.silver):
        return None
    around = reach.before + reach.after
    by_turbine = received.verdicts.counted.days.groupby("asset_id").agg({"first_time": "min", "last_time": "max"}).reset_index()
    rows = [(asset_id, as_time(first), as_time(last)) for asset_id, first, last in by_turbine.itertuples(index=False)]
    spans = local_rows(store.spark, rows, _SPANS)
    time = F.col("event_time")
    # The literal bounds let Delta skip files; the turbine's own span then keeps only what is near.
    is_near_batch = F.expr(received.near(around, around).sql())
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
        .persist()
    )
    if neighbours.isEmpty():
        neighbours.unpersist()
        return None
    return neighbours


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
