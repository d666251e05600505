"""Tables of files that Python workers have encoded: the rows, statistics and commits of Spark's own writer."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from threading import Timer

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.errors import PythonException
from pyspark.sql import DataFrame, SparkSession

from turbine_health.errors import ConcurrentRunError
from turbine_health.io import encoded_files
from turbine_health.io.delta import TableStore, Transaction
from turbine_health.io.encoded_files import fits_encoded_files
from turbine_health.io.fingerprints import fingerprints
from turbine_health.tables import Table, sensor_readings, window_features

FEATURE = "rotor_speed_rpm__mean_24h"
WINDOWS = window_features([FEATURE])


def windows(spark: SparkSession, rows: int = 1_000, *, partitions: int = 2) -> DataFrame:
    """A third of the values is null, and a quarter of the freshness, with microseconds in the times."""
    return spark.range(0, rows, 1, partitions).selectExpr(
        "concat('T', id % 7) AS asset_id",
        "timestamp_micros(1700000000123456 + id * 3600000000) AS window_end",
        "1.0D AS coverage",
        "if(id % 4 = 0, null, id / 3D) AS data_age_hours",
        f"if(id % 3 = 0, null, 1 / (id + 1D)) AS {FEATURE}",
    )


def unchanged(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield from batches


def test_rows_and_account_are_those_of_sparks_writer(store: TableStore) -> None:
    rows = windows(store.spark)
    result = store.replace_by_kernel(rows, unchanged, WINDOWS)
    assert (result.version, result.rows_inserted) == (1, 1_000)
    mine, theirs = fingerprints(store.read(WINDOWS), rows)
    assert mine == theirs
    assert all("parquet-cpp" in written_by(file) for file in live_files(store, WINDOWS))
    again = store.replace_by_kernel(rows.where("asset_id = 'T1'"), unchanged, WINDOWS)
    assert again.rows_inserted == store.read(WINDOWS).count() == rows.where("asset_id = 'T1'").count()


def test_a_kernel_that_finds_nothing_to_write_writes_no_file(store: TableStore) -> None:
    store.replace_by_kernel(windows(store.spark), unchanged, WINDOWS)
    result = store.append_by_kernel(windows(store.spark), emptied, WINDOWS, None)
    assert result.rows_inserted == 0
    assert len(live_files(store, WINDOWS)) == 2


def emptied(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield batch.slice(0, 0)


def test_statistics_are_those_that_delta_itself_notes(store: TableStore) -> None:
    rows = windows(store.spark, partitions=1)
    store.replace_by_kernel(rows, unchanged, WINDOWS)
    mine = statistics(store, WINDOWS, version=1)
    store.replace(rows, WINDOWS)
    assert mine == statistics(store, WINDOWS, version=2)
    assert mine[0]["numRecords"] == 1_000
    assert mine[0]["minValues"] == {"asset_id": "T0", "window_end": "2023-11-14T22:13:20.123Z"}


def test_rows_are_added_once_however_often_their_commit_is_done(store: TableStore) -> None:
    rows = windows(store.spark)
    first = store.append_by_kernel(rows, unchanged, WINDOWS, Transaction("tests", 7))
    again = store.append_by_kernel(rows, unchanged, WINDOWS, Transaction("tests", 7))
    assert (first.rows_inserted, again.version) == (1_000, None)
    store.append_by_kernel(rows, unchanged, WINDOWS, Transaction("tests", 8))
    store.append_by_kernel(rows, unchanged, WINDOWS, None)
    mine, theirs = fingerprints(store.read(WINDOWS), rows.union(rows).union(rows))
    assert mine == theirs
    assert all("parquet-cpp" in written_by(file) for file in live_files(store, WINDOWS))
    # Spark's writer knows what was done by this way, and the reverse.
    assert store.append(rows, WINDOWS, Transaction("tests", 8)).version is None
    store.append(rows, WINDOWS, Transaction("tests", 9))
    assert store.append_by_kernel(rows, unchanged, WINDOWS, Transaction("tests", 9)).version is None


def test_what_was_cached_of_the_table_before_is_not_read_afterwards(store: TableStore) -> None:
    for write in (store.replace_by_kernel, partial(store.append_by_kernel, transaction=None)):
        store.create(WINDOWS)
        before = store.read(WINDOWS).groupBy().count().persist()
        rows_before = before.collect()[0][0]
        write(windows(store.spark), unchanged, WINDOWS)
        assert store.read(WINDOWS).groupBy().count().collect()[0][0] == rows_before + 1_000
        before.unpersist()


def test_a_column_that_the_table_has_not_is_refused(store: TableStore) -> None:
    store.create(window_features([]))
    with pytest.raises(Exception, match=f"has no column {FEATURE}"):
        store.append_by_kernel(windows(store.spark), unchanged, WINDOWS, None)


def test_lists_and_all_columns_that_are_searched_are_as_sparks_writer_leaves_them(store: TableStore) -> None:
    silver = sensor_readings(["oil_temp_c"])
    now = datetime(2024, 1, 1, tzinfo=timezone.utc)
    rows = store.spark.createDataFrame([
        ("T07", now, 1.0, ["oil_temp_c:spike", "asset:gap"], "plant", "a.csv", 1, now, "run"),
        ("T07", now + timedelta(minutes=10), None, [], "plant", "a.csv", 2, now, "run"),
    ], silver.schema).coalesce(1)  # fmt: skip
    store.append(rows, silver)
    store.append_by_kernel(rows, unchanged, silver, None)
    assert statistics(store, silver, version=1) == statistics(store, silver, version=2)
    assert set(statistics(store, silver, version=2)[0]["minValues"]) == {
        "asset_id", "event_time", "_source", "_ingested_at", "_run_id",
    }  # fmt: skip
    mine, theirs = fingerprints(store.read(silver), rows.union(rows))
    assert mine == theirs


def test_files_that_hold_nothing_of_a_span_are_spared(store: TableStore) -> None:
    store.replace_by_kernel(windows(store.spark, partitions=4), unchanged, WINDOWS)
    assert len(live_files(store, WINDOWS)) == 4
    late = store.read(WINDOWS).where("window_end >= '2023-12-20'")
    assert late.count() == windows(store.spark).where("window_end >= '2023-12-20'").count()
    assert len(late.inputFiles()) == 1


def test_a_table_gets_the_columns_of_the_new_rows(store: TableStore) -> None:
    store.replace_by_kernel(windows(store.spark), unchanged, WINDOWS)
    other = window_features(["rotor_speed_rpm__std_24h"])
    rows = windows(store.spark).withColumnRenamed(FEATURE, "rotor_speed_rpm__std_24h")
    store.replace_by_kernel(rows, unchanged, other)
    assert store.read(other).schema.names == other.schema.names
    kept = store.spark.read.format("delta").load(store.path(other)).schema["asset_id"]
    assert kept.metadata["comment"] == other.schema["asset_id"].metadata["comment"]


def test_a_null_in_a_required_column_is_refused_and_the_table_stays(store: TableStore) -> None:
    store.replace_by_kernel(windows(store.spark), unchanged, WINDOWS)
    files = set(Path(store.path(WINDOWS)).glob("*.parquet"))
    nameless = windows(store.spark).selectExpr("if(coverage = 1, null, asset_id) AS asset_id", "* EXCEPT (asset_id)")
    with pytest.raises(PythonException, match="Casting field 'asset_id' with null values to non-nullable"):
        store.replace_by_kernel(nameless, unchanged, WINDOWS)
    assert store.version(WINDOWS) == 1
    assert set(Path(store.path(WINDOWS)).glob("*.parquet")) == files


def test_a_file_that_breaks_off_is_removed(store: TableStore) -> None:
    def break_off(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for _ in range(900):
                yield batch
        raise RuntimeError("the kernel broke off")

    with pytest.raises(PythonException, match="the kernel broke off"):
        store.replace_by_kernel(windows(store.spark, 2_000, partitions=1), break_off, WINDOWS)
    assert not list(Path(store.path(WINDOWS)).glob("*.parquet"))
    assert store.read(WINDOWS).isEmpty()


def test_a_rival_that_wrote_meanwhile_is_not_wiped_out(store: TableStore) -> None:
    store.replace_by_kernel(windows(store.spark), unchanged, WINDOWS)
    rival = windows(store.spark, 10).selectExpr("'rival' AS asset_id", "* EXCEPT (asset_id)")

    def slowly(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        time.sleep(6)
        yield from batches

    timer = Timer(1.0, lambda: store.append(rival, WINDOWS))
    timer.start()
    with pytest.raises(ConcurrentRunError, match="another run wrote"):
        store.replace_by_kernel(windows(store.spark, partitions=1), slowly, WINDOWS)
    timer.join()
    assert store.read(WINDOWS).where("asset_id = 'rival'").count() == 10


def test_a_table_with_a_constraint_is_left_to_sparks_writer(store: TableStore) -> None:
    store.create(WINDOWS)
    assert fits_encoded_files(store.spark, store.path(WINDOWS))
    store.spark.sql(f"ALTER TABLE delta.`{store.path(WINDOWS)}` ADD CONSTRAINT early CHECK (window_end < '2023-12-01')")
    assert not fits_encoded_files(store.spark, store.path(WINDOWS))
    with pytest.raises(Exception, match="DELTA_VIOLATE_CONSTRAINT"):
        store.replace_by_kernel(windows(store.spark), unchanged, WINDOWS)


def test_a_compression_that_only_spark_knows_is_left_to_its_writer(store: TableStore) -> None:
    store.create(WINDOWS)
    store.spark.conf.set("spark.sql.parquet.compression.codec", "lz4_raw")
    try:
        store.replace_by_kernel(windows(store.spark, partitions=1), unchanged, WINDOWS)
    finally:
        store.spark.conf.unset("spark.sql.parquet.compression.codec")
    (file,) = live_files(store, WINDOWS)
    assert pq.ParquetFile(file).metadata.row_group(0).column(0).compression == "LZ4"


def test_a_long_file_is_given_away_in_pieces_of_several_row_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoded_files, "ROW_GROUP_BYTES", 3_000)
    monkeypatch.setattr(encoded_files, "PIECE_BYTES", 1_000)
    names = ("coverage", "data_age_hours", FEATURE)
    keys = [("asset_id", pa.string()), ("window_end", pa.timestamp("us", tz="UTC"))]
    schema = pa.schema([*keys, *((name, pa.float64()) for name in names)])
    batches = [
        pa.record_batch([["T1"] * 100, range(start, start + 100), *([start / 7] * 100 for _ in names)], schema=schema)
        for start in range(0, 1_000, 100)
    ]
    pieces = list(encoded_files._encoder(unchanged, WINDOWS, "snappy")(iter(batches)))
    assert all(len(piece["piece"][0].as_py()) <= 1_000 for piece in pieces[:-1])
    assert [piece["rows"][0].as_py() for piece in pieces] == [None] * (len(pieces) - 1) + [1_000]
    file = io.BytesIO(b"".join(piece["piece"][0].as_py() for piece in pieces))
    assert pq.ParquetFile(file).num_row_groups == 10
    assert pq.read_table(file).cast(schema).equals(pa.Table.from_batches(batches))


def live_files(store: TableStore, table: Table) -> list[Path]:
    return [Path(uri.removeprefix("file://")) for uri in store.read(table).inputFiles()]


def written_by(file: Path) -> str:
    return str(pq.ParquetFile(file).metadata.created_by)


def statistics(store: TableStore, table: Table, version: int) -> list[dict[str, object]]:
    """Of every file that one commit added."""
    lines = (Path(store.path(table)) / "_delta_log" / f"{version:020d}.json").read_text(encoding="utf-8").splitlines()
    return [json.loads(json.loads(line)["add"]["stats"]) for line in lines if line.startswith('{"add"')]
