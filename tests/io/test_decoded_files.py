"""Tables whose files Python workers decode: the rows of Spark's own reader."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame
from pyspark.sql.types import LongType, StructField, StructType

from turbine_health.io.decoded_files import _row_groups, fits_decoded_files
from turbine_health.io.delta import TableStore
from turbine_health.io.fingerprints import fingerprints
from turbine_health.tables import Table, sensor_readings

SILVER = sensor_readings(["oil_temp_c", "rotor_speed_rpm"])
START = datetime(2024, 1, 1, tzinfo=timezone.utc)
ROWS = StructType([StructField("rows", LongType())])


def readings(store: TableStore, rows: int = 3_000, partitions: int = 3) -> DataFrame:
    """No flag, one and two; nulls; microseconds in the times."""
    return store.spark.range(0, rows, 1, partitions).selectExpr(
        "concat('T', id % 7) AS asset_id",
        "timestamp_micros(1700000000123456 + id * 600000001) AS event_time",
        "if(id % 3 = 0, null, id / 3D) AS oil_temp_c",
        "if(id % 5 = 0, double('NaN'), -id / 7D) AS rotor_speed_rpm",
        "CAST(element_at(array(array(), array('asset:gap'), array('oil_temp_c:spike', 'ö:frozen')), 1 + int(id % 3))"
        " AS array<string>) AS quality_flags",
        "'plant' AS _source",
        "concat(id % 90, '.csv') AS _source_file",
        "id AS _source_row",
        "timestamp'2024-01-01' AS _ingested_at",
        "'run' AS _run_id",
    )


def unchanged(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        arrays = [each.dictionary_decode() if pa.types.is_dictionary(each.type) else each for each in batch.columns]
        yield pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def counted(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield pa.record_batch({"rows": pa.array([len(batch)])})


def decoded(store: TableStore, table: Table = SILVER, version: int | None = None) -> DataFrame:
    """As `read`, decoded by workers."""
    return store.read_by_kernel(table, table.schema.names, unchanged, table.schema, version)


def test_rows_are_those_of_sparks_reader_whoever_wrote_them(store: TableStore) -> None:
    store.append(readings(store), SILVER)
    store.append_by_kernel(readings(store), lambda batches: batches, SILVER, None)
    assert fits_decoded_files(store.spark, store.path(SILVER), 2)
    mine, theirs = fingerprints(decoded(store), store.read(SILVER))
    assert mine == theirs
    assert mine[0] == 6_000
    # Of the columns that a kernel asks for, in its order.
    few = ["rotor_speed_rpm", "asset_id"]
    schema = StructType([SILVER.schema[name] for name in few])
    mine, theirs = fingerprints(store.read_by_kernel(SILVER, few, unchanged, schema), store.read(SILVER).select(*few))
    assert mine == theirs


def test_each_row_group_goes_to_one_task_however_files_are_split(store: TableStore) -> None:
    store.spark.conf.set("parquet.block.size", "40000")
    store.spark.conf.set("spark.sql.files.maxPartitionBytes", "60000")
    try:
        store.append(readings(store, 20_000, partitions=2), SILVER)
        mine, theirs = fingerprints(decoded(store), store.read(SILVER))
        groups = store.read_by_kernel(SILVER, SILVER.schema.names, counted, ROWS)
        assert mine == theirs
        assert mine[0] == 20_000
        assert groups.count() > groups.rdd.getNumPartitions() > 2
    finally:
        store.spark.conf.unset("parquet.block.size")
        store.spark.conf.unset("spark.sql.files.maxPartitionBytes")


def test_a_column_that_older_files_do_not_have_is_null_there(store: TableStore) -> None:
    before = sensor_readings(["rotor_speed_rpm"])
    store.append(readings(store).drop("oil_temp_c"), before)
    store.add_missing(SILVER, ["oil_temp_c"])
    store.append(readings(store, 100), SILVER)
    mine, theirs = fingerprints(decoded(store), store.read(SILVER))
    assert mine == theirs
    assert decoded(store).where("oil_temp_c IS NOT NULL").count() == 66


def test_a_version_is_read_as_it_was(store: TableStore) -> None:
    store.append(readings(store), SILVER)
    store.overwrite(readings(store, 10), SILVER)
    assert (decoded(store, version=1).count(), decoded(store).count()) == (3_000, 10)
    assert decoded(store, version=0).count() == 0


def test_a_table_with_deletion_vectors_is_left_to_sparks_reader(store: TableStore) -> None:
    store.append(readings(store), SILVER)
    path = store.path(SILVER)
    store.spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES (delta.enableDeletionVectors = true)")
    store.spark.sql(f"DELETE FROM delta.`{path}` WHERE asset_id = 'T3'")
    assert not fits_decoded_files(store.spark, path, store.version(SILVER))
    mine, theirs = fingerprints(decoded(store), store.read(SILVER))
    assert mine == theirs
    assert mine[0] == readings(store).where("asset_id != 'T3'").count()


def test_a_table_with_renamed_columns_is_left_to_sparks_reader(store: TableStore) -> None:
    store.append(readings(store), SILVER)
    path = store.path(SILVER)
    store.spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES (delta.columnMapping.mode = 'name')")
    store.spark.sql(f"ALTER TABLE delta.`{path}` RENAME COLUMN oil_temp_c TO gear_temp_c")
    renamed = sensor_readings(["gear_temp_c", "rotor_speed_rpm"])
    assert not fits_decoded_files(store.spark, path, store.version(renamed))
    mine, theirs = fingerprints(decoded(store, renamed), store.read(renamed))
    assert mine == theirs


def test_columns_that_lie_apart_come_together_from_small_pieces(tmp_path: Path) -> None:
    names = [f"T{number}" for number in range(500)]
    times = pa.array([START + timedelta(seconds=second) for second in range(500)], pa.timestamp("us", tz="UTC"))
    table = pa.table({"asset_id": names, "between": names, "event_time": times, "last": range(500)})
    files = []
    for number in range(2):
        pq.write_table(table, tmp_path / f"{number}.parquet", row_group_size=200)
        files.append((tmp_path / f"{number}.parquet").read_bytes())
    schema = pa.schema([("event_time", pa.timestamp("us", tz="UTC")), ("asset_id", pa.string())])
    found = pa.Table.from_batches(
        unchanged(_row_groups(iter(pieces(files, schema.names, 100)), schema, set(), with_place=False))
    )
    assert found.equals(pa.concat_tables([table.select(schema.names)] * 2))


def test_each_row_says_where_it_lies_also_when_a_task_begins_within_a_file(tmp_path: Path) -> None:
    pq.write_table(pa.table({"last": range(500)}), tmp_path / "file.parquet", row_group_size=200)
    files = [(tmp_path / "file.parquet").read_bytes()] * 2
    found = pa.Table.from_batches(
        _row_groups(
            iter(pieces(files, ["last"], 100, first_group=1)), pa.schema([("last", pa.int64())]), set(), with_place=True
        )
    )
    assert found["_file"].to_pylist() == [0] * 300 + [1] * 300
    assert found["_row"].to_pylist() == found["last"].to_pylist() == [*range(200, 500)] * 2


def pieces(files: list[bytes], columns: list[str], size: int, first_group: int = 0) -> Iterator[pa.RecordBatch]:
    """As `FilePieces.scala` gives them, a batch a piece."""
    for number, file in enumerate(files):
        cut = partial(_cut, number, file, size)
        metadata = pq.read_metadata(pa.BufferReader(file))
        yield from cut(-1, len(file) - 8 - int.from_bytes(file[-8:-4], "little"), len(file))
        for group in range(first_group, metadata.num_row_groups):
            for place in range(metadata.num_columns):
                column = metadata.row_group(group).column(place)
                if column.path_in_schema in columns:
                    start = column.dictionary_page_offset or column.data_page_offset
                    yield from cut(group, start, start + column.total_compressed_size)


def _cut(number: int, file: bytes, size: int, group: int, start: int, stop: int) -> Iterator[pa.RecordBatch]:
    for position in range(start, stop, size):
        piece = file[position : min(position + size, stop)]
        yield pa.record_batch({"file": [number], "group": [group], "position": [position], "piece": [piece]})
