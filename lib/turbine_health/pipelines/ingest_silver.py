"""From judged rows to silver: the reading of each key that stays, the sensor-health flags, and the files they lie in."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from math import ceil

from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from turbine_health.pipelines.ingest_received import Received, with_unaccounted_run
from turbine_health.pipelines.ingest_superseded import Superseded
from turbine_health.transforms.flags import value_flags
from turbine_health.transforms.health import with_health_flags
from turbine_health.transforms.quality import SEPARATOR, as_array
from turbine_health.transforms.slicing import Slicing
from turbine_health.transforms.superseding import LATEST_FIRST

# A task holds so many rows in memory, some 50 MB, and writes them as one file of silver.
ROWS_PER_TASK = 200_000
# A slice gets copies of the readings that its flags look back to and ahead; it is at least so many times as long.
REACHES_PER_SLICE = 8


def write_silver(received: Received, neighbours: DataFrame | None, superseded: Superseded) -> None:
    """Write the readings that stay, and the flags that they change on their neighbours, in one commit."""
    if received.totals.first_time is None and received.store.exists(received.silver):
        return
    candidates = _as_candidates(received)
    if neighbours is not None:
        candidates = candidates.unionByName(_neighbours_as_candidates(received, neighbours))
    latest_by = LATEST_FIRST if superseded.rows is not None else ()
    flagged = candidates.transform(
        with_health_flags, received.source, received.settings.ingest, slicing_of(received), latest_by
    )
    rows = _as_silver(received, flagged)
    if neighbours is None:
        received.store.append(rows.select(*received.silver.schema.names), received.silver, received.transaction)
    else:
        _write_beside_neighbours(received, rows, superseded)


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
    columns = received.silver.schema.names
    is_changed = F.col("is_new") | (~F.col("is_settled") & (F.col("quality_flags") != F.col("_old_flags")))
    changed = rows.where(is_changed).persist(StorageLevel.DISK_ONLY)
    old_time = F.when(~F.col("is_new"), F.col("event_time"))
    first, last = changed.agg(F.min(old_time), F.max(old_time)).collect()[0]
    touched = [moment for moment in (first, last, *(superseded.silver_times or ())) if moment is not None]
    table, transaction = received.silver, received.transaction
    if touched:
        within = f"old.event_time BETWEEN {_literal(min(touched))} AND {_literal(max(touched))}"
        received.store.merge(changed.select(*columns), table, within=within, transaction=transaction)
    else:
        received.store.append(changed.select(*columns), table, transaction)
    changed.unpersist()


def _as_candidates(received: Received) -> DataFrame:
    own = {signal.name for signal in received.source.signals}
    names = received.settings.signal_names
    values = [F.col(name) if name in own else F.lit(None).cast("double").alias(name) for name in names]
    return received.good.select(
        "asset_id", "event_time", *values, "_value_flags", "_file_order",
        F.lit(received.source.name).alias("_source"), F.lit(None).cast("string").alias("_source_file"),
        "_source_row", "_ingested_at",
        F.lit(True).alias("is_new"), F.lit(False).alias("is_settled"), F.array().cast("array<string>").alias("_old_flags"),
        F.lit(None).cast("string").alias("_unaccounted_run"),
    )  # fmt: skip


def _neighbours_as_candidates(received: Received, neighbours: DataFrame) -> DataFrame:
    kept_flags = F.array_join(value_flags("quality_flags"), SEPARATOR)
    return neighbours.transform(with_unaccounted_run, received.store).select(
        "asset_id", "event_time", *received.settings.signal_names,
        kept_flags.alias("_value_flags"), "_file_order",
        "_source", "_source_file", "_source_row", "_ingested_at",
        F.lit(False).alias("is_new"), "is_settled", F.col("quality_flags").alias("_old_flags"), "_unaccounted_run",
    )  # fmt: skip


def _as_silver(received: Received, flagged: DataFrame) -> DataFrame:
    files = received.files.select("_file_order", F.col("_source_file").alias("_file_of_batch"))
    flags = F.concat_ws(SEPARATOR, F.nullif("_value_flags", F.lit("")), "_health_flags")
    return flagged.join(F.broadcast(files), on="_file_order", how="left").withColumns({
        "_source_file": F.coalesce("_source_file", "_file_of_batch"),
        "quality_flags": as_array(flags),
        # A row that a killed readmission moved goes on bearing its name: the next one accounts for it.
        "_run_id": F.coalesce("_unaccounted_run", F.lit(received.run_id)),
    })  # fmt: skip


def _literal(moment: datetime) -> str:
    """A time that Spark gave to Python, in this machine's zone, as SQL."""
    return f"TIMESTAMP '{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S.%f}+00:00'"
