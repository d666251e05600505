"""From judged rows to silver: the reading of each key that stays, the sensor-health flags, and the files they lie in."""

from __future__ import annotations

from datetime import timedelta
from math import ceil

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import ArrayType, BooleanType, StringType, StructField, StructType

from turbine_health.io.merges import MergeByKernel
from turbine_health.io.workers import Kernel, by_workers
from turbine_health.pipelines.ingest_received import Received, with_unaccounted_run
from turbine_health.pipelines.ingest_superseded import Superseded
from turbine_health.transforms.changed_rows import key_packs, replacing
from turbine_health.transforms.flags import value_flags
from turbine_health.transforms.health import flag_kernels
from turbine_health.transforms.packs import PACKS
from turbine_health.transforms.quality import SEPARATOR
from turbine_health.transforms.reading_packs import PACK, SLICES, packing
from turbine_health.transforms.silver_rows import BatchFacts, only_touched, with_provenance
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
    packs, readings = received.verdicts.packs, received.verdicts.readings
    if neighbours is not None:
        old = _neighbours_readings(received, neighbours)
        packs, readings = packs.union(by_workers(old, packing(), PACK)), _all_columns(readings, old.schema)
    latest_by = LATEST_FIRST if superseded.rows is not None else ()
    slicing = slicing_of(received, neighbours.count() if neighbours is not None else 0)
    columns = to_arrow_schema(readings, timezone="UTC")
    cut, flag = flag_kernels(columns, received.source, received.settings.ingest, slicing, latest_by)
    slices = by_workers(packs, cut, SLICES)
    facts = BatchFacts(received.source.name, received.run_id, received.file_uris)
    if neighbours is None:
        kernel = with_provenance(flag, facts, _types(received.silver.schema), SEPARATOR)
        exchanged = slices.repartitionById(slicing.partitions, "partition")
        received.store.append_by_kernel(exchanged, kernel, received.silver, received.transaction)
    else:
        beside = _types(StructType([*received.silver.schema, *_AS_IT_WAS]))
        kernel = only_touched(with_provenance(flag, facts, beside, SEPARATOR), SEPARATOR, received.touched_hours)
        _write_beside_neighbours(received, slices, kernel, slicing)


def slicing_of(received: Received, neighbours: int) -> Slicing:
    """Slices of about `ROWS_PER_TASK` readings: first as few days as hold them, then shares of the turbines.

    So a file of silver holds few days of many turbines, and one day more touches the newest files alone.
    """
    totals, reach = received.totals, received.reach
    rows = totals.rows - totals.unusable + neighbours
    rows_a_day = max(1, rows) / max(1, totals.days)
    shortest = REACHES_PER_SLICE * (reach.before + reach.after) / timedelta(days=1)
    days = max(ROWS_PER_TASK / rows_a_day, shortest)
    shares = max(1, round(rows_a_day * days / ROWS_PER_TASK))
    tasks = 1 + rows // ROWS_PER_TASK
    return Slicing(chunk_seconds=round(days * 86_400), chunks=ceil(tasks / shares), turbine_shares=shares)


def _write_beside_neighbours(received: Received, slices: DataFrame, kernel: Kernel, slicing: Slicing) -> None:
    """`kernel` gives new rows, and old ones whose flags they change, of `reading_packs.SLICES`."""
    silver = received.silver
    merge = MergeByKernel(received.store, silver, received.touched, received.transaction)
    pack = key_packs("event_time", slicing.chunk_seconds, received.touched_hours)
    before = merge.before(silver.keys, pack, PACKS) if merge.is_by_workers else None
    if before is not None:
        partition = slicing.partition_of(F.col("asset_id"), F.col("block")).alias("partition")
        old = before.select(partition, "asset_id", F.col("pack").alias("before"))
        slices = slices.unionByName(old, allowMissingColumns=True)
        kernel = replacing(kernel, to_arrow_schema(merge.columns(silver.keys), timezone="UTC"), silver.keys)
    merge.write(slices.repartitionById(slicing.partitions, "partition"), kernel)


def _types(schema: StructType) -> dict[str, pa.DataType]:
    return dict(zip(schema.names, to_arrow_schema(schema, timezone="UTC").types, strict=True))


def _all_columns(first: StructType, second: StructType) -> StructType:
    return StructType([*first, *(each for each in second if each.name not in first.names)])


def _neighbours_readings(received: Received, neighbours: DataFrame) -> DataFrame:
    kept_flags = F.array_join(value_flags("quality_flags"), SEPARATOR)
    return neighbours.transform(with_unaccounted_run, received.store).select(
        "asset_id", "event_time", *received.settings.signal_names,
        kept_flags.alias("_value_flags"), "_file_order", "_source_row", "_ingested_at",
        "_source", "_source_file", "_unaccounted_run", "is_settled", F.col("quality_flags").alias("_old_flags"),
    )  # fmt: skip
