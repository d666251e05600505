"""From judged rows to silver: the reading of each key that stays, the sensor-health flags, and the files they lie in."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from math import ceil

from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import ArrayType, BooleanType, StringType, StructField, StructType

from turbine_health.io.workers import by_workers
from turbine_health.pipelines.ingest_received import Received, with_unaccounted_run
from turbine_health.pipelines.ingest_superseded import Superseded
from turbine_health.transforms.flags import value_flags
from turbine_health.transforms.health import flag_slices
from turbine_health.transforms.quality import SEPARATOR
from turbine_health.transforms.silver_rows import BatchFacts, with_provenance
from turbine_health.transforms.slicing import Slicing
from turbine_health.transforms.superseding import LATEST_FIRST

# A task holds so many rows in memory, some 50 MB, and writes them as one file of silver.
ROWS_PER_TASK = 200_000
# A slice gets copies of the readings that its flags look back to and ahead; it is at least so many times as long.
REACHES_PER_SLICE = 8
# Of readings that silver held already: too far away for their flags to change, and the flags they had. Null: a new one.
_AS_IT_WAS = (StructField("is_settled", BooleanType()), StructField("_old_flags", ArrayType(StringType())))


def write_silver(received: Received, neighbours: DataFrame | None, superseded: Superseded) -> None:
    """Write the readings that stay, and the flags that they change on their neighbours, in one commit."""
    if received.totals.first_time is None and received.store.exists(received.silver):
        return
    readings = _own_readings(received)
    if neighbours is not None:
        readings = readings.unionByName(_neighbours_readings(received, neighbours), allowMissingColumns=True)
    latest_by = LATEST_FIRST if superseded.rows is not None else ()
    slices, flagging = flag_slices(readings, received.source, received.settings.ingest, slicing_of(received), latest_by)
    facts = BatchFacts(received.source.name, received.run_id, received.file_uris)
    schema = received.silver.schema if neighbours is None else StructType([*received.silver.schema, *_AS_IT_WAS])
    columns = dict(zip(schema.names, to_arrow_schema(schema, timezone="UTC").types, strict=True))
    kernel = with_provenance(flagging, facts, columns, SEPARATOR)
    if neighbours is None:
        received.store.append_by_kernel(slices, kernel, received.silver, received.transaction)
    else:
        _write_beside_neighbours(received, by_workers(slices, kernel, schema), superseded)


def slicing_of(received: Received) -> Slicing:
    """Slices of about `ROWS_PER_TASK` readings: first as few days as hold them, then shares of the turbines.

    So a file of silver holds few days of many turbines, and one day more touches the newest files alone.
    """
    totals, reach = received.totals, received.reach
    rows_a_day = max(1, totals.rows - totals.unusable) / max(1, totals.days)
    shortest = REACHES_PER_SLICE * (reach.before + reach.after) / timedelta(days=1)
    days = max(ROWS_PER_TASK / rows_a_day, shortest)
    shares = max(1, round(rows_a_day * days / ROWS_PER_TASK))
    tasks = 1 + totals.rows // ROWS_PER_TASK
    return Slicing(chunk_seconds=round(days * 86_400), chunks=ceil(tasks / shares), turbine_shares=shares)


def _write_beside_neighbours(received: Received, rows: DataFrame, superseded: Superseded) -> None:
    """`rows` have the columns of silver and `_AS_IT_WAS`."""
    columns = received.silver.schema.names
    is_new = F.col("is_settled").isNull()
    is_changed = is_new | (~F.col("is_settled") & (F.col("quality_flags") != F.col("_old_flags")))
    changed = rows.where(is_changed).persist(StorageLevel.DISK_ONLY)
    old_time = F.when(~is_new, F.col("event_time"))
    first, last = changed.agg(F.min(old_time), F.max(old_time)).collect()[0]
    touched = [moment for moment in (first, last, *(superseded.silver_times or ())) if moment is not None]
    table, transaction = received.silver, received.transaction
    if touched:
        within = f"old.event_time BETWEEN {_literal(min(touched))} AND {_literal(max(touched))}"
        received.store.merge(changed.select(*columns), table, within=within, transaction=transaction)
    else:
        received.store.append(changed.select(*columns), table, transaction)
    changed.unpersist()


def _own_readings(received: Received) -> DataFrame:
    own = [signal.name for signal in received.source.signals]
    return received.good.select("asset_id", "event_time", *own, "_value_flags", "_file_order", "_source_row", "_ingested_at")


def _neighbours_readings(received: Received, neighbours: DataFrame) -> DataFrame:
    kept_flags = F.array_join(value_flags("quality_flags"), SEPARATOR)
    return neighbours.transform(with_unaccounted_run, received.store).select(
        "asset_id", "event_time", *received.settings.signal_names,
        kept_flags.alias("_value_flags"), "_file_order", "_source_row", "_ingested_at",
        "_source", "_source_file", "_unaccounted_run", "is_settled", F.col("quality_flags").alias("_old_flags"),
    )  # fmt: skip


def _literal(moment: datetime) -> str:
    """A time that Spark gave to Python, in this machine's zone, as SQL."""
    return f"TIMESTAMP '{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S.%f}+00:00'"
