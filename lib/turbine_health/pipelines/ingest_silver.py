"""From judged rows to silver: which row of a key stays, what it replaces, and the sensor-health flags."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from turbine_health.io.delta import TableStore, Transaction
from turbine_health.settings import Settings
from turbine_health.sources import Source
from turbine_health.tables import PROVENANCE, QUARANTINE, Table, bronze, sensor_readings
from turbine_health.transforms.health import Reach, value_flags, with_health_flags
from turbine_health.transforms.quality import SEPARATOR, as_array, in_place, with_signals
from turbine_health.transforms.superseding import superseded_reasons, with_rank

# Sorting so many rows takes a task seconds and some 50 MB; one task is one file of silver.
ROWS_PER_TASK = 200_000
# Rows that are in silver already stand behind every file of the batch.
BEFORE_ALL_FILES = -1


@dataclass(frozen=True)
class Totals:
    """What a batch brought."""

    rows: int
    unusable: int
    unproven_hours: int
    first_time: datetime | None
    last_time: datetime | None


@dataclass(frozen=True)
class Received:
    """The rows that one batch brought, judged, and where they go.

    `good` comes from `quality.to_judged_rows`, `files` is of `LAYOUT_SCHEMA`, `hours` from
    `superseding.to_hours` over all rows of the batch. Without a `transaction` every write counts anew.
    `file_orders` gives `_source_file` and `_file_order` of silver's rows that came with the same batches; a new
    batch has none.
    """

    store: TableStore
    settings: Settings
    source: Source
    received_at: datetime
    run_id: str
    transaction: Transaction | None
    good: DataFrame
    files: DataFrame
    hours: DataFrame
    file_orders: DataFrame | None = None

    @cached_property
    def totals(self) -> Totals:
        """Counted once; this is the pass that reads every row of the batch."""
        is_usable = F.col("asset_id").isNotNull()
        row = self.hours.agg(
            F.sum("readings"),
            F.sum(F.when(~is_usable, F.col("readings"))),
            F.count_if(is_usable & ~F.col("is_unique")),
            F.min("first_time"),
            F.max("last_time"),
        ).head()
        assert row is not None
        return Totals(row[0] or 0, row[1] or 0, row[2], row[3], row[4])

    @property
    def silver(self) -> Table:
        """With the signals of all sources."""
        return sensor_readings(self.settings.signal_names)

    @property
    def is_own(self) -> Column:
        """Whether a row of silver or quarantine came with this batch, whichever run wrote it last."""
        return (F.col("_source") == self.source.name) & (F.col("_ingested_at") == self.received_at)


def neighbours_of(received: Received) -> DataFrame | None:
    """Readings in silver that the batch may replace, or whose flags it may change, and those they depend on.

    Grain: one row per `asset_id` and `event_time`.

    Returns:
        Rows of silver with `is_settled`, too far away for its flags to change, and `_file_order`. None when there
        is no row.
    """
    store = received.store
    if received.totals.first_time is None or not store.exists(received.silver):
        return None
    reach = Reach.of(received.source, received.settings.ingest)
    around = reach.before + reach.after
    spans = received.hours.groupBy("asset_id").agg(F.min("first_time").alias("first"), F.max("last_time").alias("last"))
    time = F.col("event_time")
    # The literal bounds let Delta skip files; the turbine's own span then keeps only what is near.
    is_near_batch = time.between(*_reached(received))
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


def _with_file_order(rows: DataFrame, file_orders: DataFrame | None) -> DataFrame:
    if file_orders is None:
        return rows.withColumn("_file_order", F.lit(BEFORE_ALL_FILES))
    known = rows.join(F.broadcast(file_orders), on="_source_file", how="left")
    return known.withColumn("_file_order", F.coalesce("_file_order", F.lit(BEFORE_ALL_FILES)))


@dataclass(frozen=True)
class Superseded:
    """Rows that a later row of the same key replaces: those of the batch, and those that silver held.

    `rows` has the columns of `quarantine.sensor_readings` without `_quarantined_at`, and `is_new`, true for
    those of the batch; None when there are none.
    """

    rows: DataFrame | None
    of_batch: int = 0
    of_silver: int = 0


def find_superseded(received: Received, neighbours: DataFrame | None) -> Superseded:
    """Find them, in the hours whose keys are not proven unique; `rows` is cached, for it is read again."""
    if received.totals.unproven_hours == 0 and neighbours is None:
        return Superseded(None)
    rows = _superseded_rows(received, neighbours).persist()
    counts = rows.agg(F.count_if("is_new"), F.count_if(~F.col("is_new"))).head()
    assert counts is not None
    return Superseded(rows if counts[0] + counts[1] else None, counts[0], counts[1])


def _superseded_rows(received: Received, neighbours: DataFrame | None) -> DataFrame:
    columns = [name for name in QUARANTINE.schema.names if name != "_quarantined_at"]
    suspects = received.hours.where(F.col("asset_id").isNotNull() & ~F.col("is_unique")).select("asset_id", "hour_start")
    keyed = ["asset_id", "event_time", "value", "_source", "_source_file", "_source_row", "_ingested_at", "_file_order"]
    candidates = received.good.select(*keyed, F.lit(True).alias("is_new"))
    if neighbours is not None:
        old = neighbours.withColumns({"value": F.lit(None).cast("string"), "is_new": F.lit(False)})
        suspects = suspects.union(old.select("asset_id", _hour())).distinct()
        candidates = candidates.unionByName(old.select(*keyed, "is_new"))
    ranked = candidates.withColumn("hour_start", _hour()).join(suspects, on=["asset_id", "hour_start"], how="left_semi")
    losers = ranked.transform(with_rank).where(F.col("rank") > 1)
    if neighbours is not None:
        losers = _with_line(received, losers)
    return losers.withColumns({
        "reasons": superseded_reasons(F.col("_winner_file")), "_run_id": F.lit(received.run_id),
    }).select(*columns, "is_new")  # fmt: skip


def write_silver(received: Received, neighbours: DataFrame | None, superseded: Superseded) -> None:
    """Write the readings that stay, and the flags that they change on their neighbours, in one commit."""
    if received.totals.first_time is None and received.store.exists(received.silver):
        return
    readings = received.good.transform(with_signals, received.source)
    candidates = _as_candidates(received, readings)
    if neighbours is not None:
        candidates = candidates.unionByName(_neighbours_as_candidates(received, neighbours))
    by_turbine = candidates.repartition(1 + received.totals.rows // ROWS_PER_TASK, "asset_id")
    if superseded.rows is not None:
        by_turbine = by_turbine.transform(with_rank).where(F.col("rank") == 1)
    flagged = by_turbine.transform(with_health_flags, received.source, received.settings.ingest)
    rows = _as_silver(received, flagged)
    if neighbours is None:
        received.store.append(rows.select(*received.silver.schema.names), received.silver, received.transaction)
        return
    _write_beside_neighbours(received, rows, superseded)


def _write_beside_neighbours(received: Received, rows: DataFrame, superseded: Superseded) -> None:
    columns = received.silver.schema.names
    is_changed = F.col("is_new") | (~F.col("is_settled") & (F.col("quality_flags") != F.col("_old_flags")))
    changed = rows.where(in_place(is_changed)).persist()
    table, transaction = received.silver, received.transaction
    if superseded.of_silver or not changed.where(~F.col("is_new")).isEmpty():
        times = [f"TIMESTAMP '{moment:%Y-%m-%d %H:%M:%S.%f}'" for moment in _reached(received)]
        within = f"old.event_time BETWEEN {times[0]} AND {times[1]}"
        received.store.merge(changed.select(*columns), table, within=within, transaction=transaction)
    else:
        received.store.append(changed.select(*columns), table, transaction)
    changed.unpersist()


def _as_candidates(received: Received, readings: DataFrame) -> DataFrame:
    own = {signal.name for signal in received.source.signals}
    names = received.settings.signal_names
    values = [F.col(name) if name in own else F.lit(None).cast("double").alias(name) for name in names]
    return readings.select(
        "asset_id", "event_time", *values, "_value_flags", "_file_order",
        "_source", F.lit(None).cast("string").alias("_source_file"), "_source_row", "_ingested_at",
        F.lit(True).alias("is_new"), F.lit(False).alias("is_settled"), F.array().cast("array<string>").alias("_old_flags"),
    )  # fmt: skip


def _neighbours_as_candidates(received: Received, neighbours: DataFrame) -> DataFrame:
    kept_flags = F.array_join(value_flags("quality_flags"), SEPARATOR)
    return neighbours.select(
        "asset_id", "event_time", *received.settings.signal_names,
        kept_flags.alias("_value_flags"), "_file_order",
        "_source", "_source_file", "_source_row", "_ingested_at",
        F.lit(False).alias("is_new"), "is_settled", F.col("quality_flags").alias("_old_flags"),
    )  # fmt: skip


def _as_silver(received: Received, flagged: DataFrame) -> DataFrame:
    files = received.files.select("_file_order", F.col("_source_file").alias("_file_of_batch"))
    flags = F.concat_ws(SEPARATOR, F.nullif("_value_flags", F.lit("")), F.nullif("_health_flags", F.lit("")))
    return flagged.join(F.broadcast(files), on="_file_order", how="left").withColumns({
        "_source_file": F.coalesce("_source_file", "_file_of_batch"),
        "quality_flags": as_array(flags),
        "_run_id": F.lit(received.run_id),
    })  # fmt: skip


def _with_line(received: Received, losers: DataFrame) -> DataFrame:
    """Fetch the lines of superseded silver rows from bronze, from the batches that brought them."""
    old = losers.where(~F.col("is_new"))
    moments = [row[0] for row in old.select("_ingested_at").distinct().collect()]
    known = [bronze(source.name) for source in received.settings.sources]
    lines = None
    for table in known:
        if moments and received.store.exists(table):
            found = (
                received.store.read(table)
                .where(F.col("_ingested_at").isin(*moments))
                .select(*PROVENANCE, F.col("value").alias("_line"))
            )
            lines = found if lines is None else lines.unionByName(found)
    if lines is None:
        return losers
    with_line = old.join(lines, on=list(PROVENANCE), how="left").withColumn("value", F.col("_line"))
    return losers.where(F.col("is_new")).unionByName(with_line.drop("_line"))


def _reached(received: Received) -> tuple[datetime, datetime]:
    """From the first to the last reading that the batch can have to do with."""
    first, last = received.totals.first_time, received.totals.last_time
    assert first is not None
    assert last is not None
    reach = Reach.of(received.source, received.settings.ingest)
    return first - reach.before - reach.after, last + reach.before + reach.after


def _hour() -> Column:
    return F.date_trunc("HOUR", F.col("event_time")).alias("hour_start")
