"""Merges of rows that Python workers compare and encode: what a merge of Spark's leaves, and only files that a row meets."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from threading import Timer

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import to_arrow_schema

from turbine_health.errors import ConcurrentRunError, TableError
from turbine_health.io.delta import TableStore, Transaction, WriteResult
from turbine_health.io.fingerprints import fingerprints
from turbine_health.io.merged_files import fits_merged_files
from turbine_health.io.merges import MergeByKernel
from turbine_health.io.near import Near
from turbine_health.io.workers import Kernel
from turbine_health.tables import window_features
from turbine_health.transforms.changed_rows import key_packs, only_changed, replacing, row_packs
from turbine_health.transforms.packs import PACKS

FEATURE = "rotor_speed_rpm__mean_24h"
WINDOWS = window_features([FEATURE])
HOUR_ONE = 1_700_000_000 // 3_600


def windows(spark: SparkSession, first: int, last: int, factor: float = 1.0, partitions: int = 1) -> DataFrame:
    """Hourly windows of three turbines; every fourth value is null."""
    hours = spark.range(first * 3, last * 3, 1, partitions)
    return hours.selectExpr(
        "concat('T', id % 3) AS asset_id",
        f"timestamp_seconds(({HOUR_ONE} + id div 3) * 3600) AS window_end",
        "1.0D AS coverage",
        "if(id % 4 = 0, null, id / 3D) AS data_age_hours",
        f"if(id % 4 = 1, null, {factor} * id / 7D) AS {FEATURE}",
    )


def in_files(store: TableStore, files: int = 4) -> None:
    """A thousand hours, a quarter in each file."""
    store.replace_by_kernel(windows(store.spark, 0, 1_000, partitions=files), unchanged, WINDOWS)


def unchanged(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield batch.select(WINDOWS.schema.names)


def in_row_groups(store: TableStore) -> None:
    """The same in one file of many small row groups, which several tasks read."""
    store.spark.conf.set("parquet.block.size", "20000")
    try:
        store.append(windows(store.spark, 0, 1_000), WINDOWS)
    finally:
        store.spark.conf.unset("parquet.block.size")


def slowly(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Long enough for a rival to write meanwhile."""
    time.sleep(8)
    yield from unchanged(batches)


def merged(store: TableStore, rows: DataFrame, kernel: Kernel = unchanged) -> WriteResult:
    """One slice of all `rows`, compared with those before as builds of features do."""
    first, last = rows.selectExpr("min(window_end)", "max(window_end)").collect()[0]
    merge = MergeByKernel(store, WINDOWS, Near("window_end", [(first.astimezone(), last.astimezone())]))
    seconds = (int(each.timestamp()) for each in (first, last))
    before = merge.before(WINDOWS.schema.names, row_packs("window_end", 900_000, ["T0", "T1", "T2"], *seconds), PACKS)
    if before is not None:
        rows = rows.unionByName(before.selectExpr("asset_id", "pack AS before"), allowMissingColumns=True)
        kernel = only_changed(kernel, to_arrow_schema(merge.columns(WINDOWS.schema.names), timezone="UTC"), WINDOWS.keys)
    return merge.write(rows.coalesce(1), kernel)


def live_files(store: TableStore) -> set[str]:
    return set(store.read(WINDOWS).inputFiles())


def assert_same(store: TableStore, expected: DataFrame) -> None:
    mine, theirs = fingerprints(store.read(WINDOWS), expected)
    assert mine == theirs


def test_new_rows_are_added_and_no_file_is_touched(store: TableStore) -> None:
    in_files(store)
    before = live_files(store)
    assert merged(store, windows(store.spark, 1_000, 1_010)) == WriteResult(2, rows_inserted=30)
    assert before < live_files(store)
    assert_same(store, windows(store.spark, 0, 1_010))


def test_rows_that_are_as_they_were_write_no_version(store: TableStore) -> None:
    in_files(store)
    assert merged(store, windows(store.spark, 100, 900)) == WriteResult(None)
    assert store.version(WINDOWS) == 1


def test_only_files_with_a_changed_row_are_written_anew(store: TableStore) -> None:
    in_files(store)
    before = live_files(store)
    result = merged(store, windows(store.spark, 300, 310, factor=2.0).unionByName(windows(store.spark, 990, 1_001)))
    # Of thirty rows every fourth has no value, whatever the factor.
    assert (result.rows_updated, result.rows_inserted) == (22, 3)
    assert len(before - live_files(store)) == 1
    changed = windows(store.spark, 300, 310, factor=2.0)
    assert_same(store, windows(store.spark, 0, 300).unionByName(changed).unionByName(windows(store.spark, 310, 1_001)))


def test_of_a_file_with_many_row_groups_the_right_rows_give_way(store: TableStore) -> None:
    in_row_groups(store)
    (file,) = live_files(store)
    assert pq.ParquetFile(file.removeprefix("file://")).metadata.num_row_groups > 3
    store.spark.conf.set("spark.sql.files.maxPartitionBytes", "10000")
    try:
        changed = windows(store.spark, 500, 760, factor=2.0)
        assert merged(store, changed).rows_updated == 585
    finally:
        store.spark.conf.unset("spark.sql.files.maxPartitionBytes")
    assert_same(store, windows(store.spark, 0, 500).unionByName(changed).unionByName(windows(store.spark, 760, 1_000)))


def test_it_leaves_what_a_merge_of_sparks_leaves(store: TableStore, monkeypatch: pytest.MonkeyPatch) -> None:
    in_files(store)
    rows = windows(store.spark, 200, 1_100, factor=3.0)
    assert fits_merged_files(store.spark, store.path(WINDOWS))
    mine = merged(store, rows)
    left = store.read(WINDOWS, 2)
    in_files(store)
    monkeypatch.setattr("turbine_health.io.merges.fits_merged_files", lambda spark, path: False)
    theirs = merged(store, rows)
    assert (mine.rows_inserted, mine.rows_updated) == (theirs.rows_inserted, theirs.rows_updated) == (300, 1_800)
    assert_same(store, left)


@pytest.mark.parametrize("is_by_workers", [True, False])
def test_rows_take_the_place_of_those_of_their_keys_and_a_named_merge_is_done_once(
    store: TableStore, monkeypatch: pytest.MonkeyPatch, is_by_workers: bool
) -> None:
    in_files(store)
    if not is_by_workers:
        monkeypatch.setattr("turbine_health.io.merges.fits_merged_files", lambda spark, path: False)
    results = [put_in_place(store, windows(store.spark, 995, 1_002, factor)) for factor in (2.0, 9.0)]
    assert [(each.rows_inserted, each.rows_updated) for each in results] == [(6, 15), (0, 0)]
    assert store.version(WINDOWS) == 2
    assert_same(store, windows(store.spark, 0, 995).unionByName(windows(store.spark, 995, 1_002, 2.0)))


def put_in_place(store: TableStore, rows: DataFrame) -> WriteResult:
    """A merge named `tests` 1 of `rows` that are all to be written."""
    near = Near("window_end", [(datetime(2020, 1, 1, tzinfo=timezone.utc), datetime(2030, 1, 1, tzinfo=timezone.utc))])
    merge = MergeByKernel(store, WINDOWS, near, Transaction("tests", 1))
    if not merge.is_by_workers:
        return merge.write(rows, unchanged)
    hours = {name: HOUR_ONE + np.arange(990, 1_010) for name in ("T0", "T1", "T2")}
    before = merge.before(WINDOWS.keys, key_packs("window_end", 900_000, hours), PACKS)
    assert before is not None
    rows = rows.unionByName(before.selectExpr("asset_id", "pack AS before"), allowMissingColumns=True)
    kernel = replacing(unchanged, to_arrow_schema(merge.columns(WINDOWS.keys), timezone="UTC"), WINDOWS.keys)
    return merge.write(rows.coalesce(1), kernel)


def test_a_table_that_is_not_there_yet_is_made(store: TableStore) -> None:
    assert merged(store, windows(store.spark, 0, 10)).rows_inserted == 30
    assert_same(store, windows(store.spark, 0, 10))


def test_history_says_what_a_merge_did(store: TableStore) -> None:
    in_files(store)
    merged(store, windows(store.spark, 998, 1_002, factor=2.0))
    newest = store.spark.sql(f"DESCRIBE HISTORY delta.`{store.path(WINDOWS)}`").head()
    metrics = newest["operationMetrics"]
    assert newest["operation"] == "MERGE"
    assert (metrics["numTargetRowsInserted"], metrics["numTargetFilesRemoved"]) == ("6", "1")


def test_a_rival_that_changed_the_same_rows_meanwhile_is_not_wiped_out(store: TableStore) -> None:
    in_files(store)

    rival = windows(store.spark, 400, 410, factor=9.0)
    timer = Timer(1.0, lambda: store.merge(rival, WINDOWS))
    timer.start()
    with pytest.raises(ConcurrentRunError, match="another run wrote"):
        merged(store, windows(store.spark, 400, 410, factor=2.0), slowly)
    timer.join()
    assert_same(store, windows(store.spark, 0, 400).unionByName(rival).unionByName(windows(store.spark, 410, 1_000)))


@pytest.mark.parametrize("rows_before", [0, 1_000])
def test_of_two_runs_that_add_the_same_rows_one_wins(store: TableStore, rows_before: int) -> None:
    store.create(WINDOWS)
    if rows_before:
        in_files(store)

    new = windows(store.spark, rows_before, rows_before + 10)
    timer = Timer(1.0, lambda: merged(store, new))
    timer.start()
    with pytest.raises(ConcurrentRunError, match="another run wrote"):
        merged(store, new, slowly)
    timer.join()
    assert_same(store, windows(store.spark, 0, rows_before + 10))


def test_a_table_of_another_version_of_the_project_is_refused(store: TableStore) -> None:
    store.create(window_features([FEATURE, "rotor_speed_rpm__std_24h"]))
    with pytest.raises(TableError, match="rotor_speed_rpm__std_24h"):
        merged(store, windows(store.spark, 0, 10))


def test_a_kernel_that_breaks_off_leaves_table_and_files_as_they_were(store: TableStore) -> None:
    in_files(store)
    files = set(Path(store.path(WINDOWS)).glob("*.parquet"))

    def break_off(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from unchanged(batches)
        raise RuntimeError("the kernel broke off")

    with pytest.raises(Exception, match="the kernel broke off"):
        merged(store, windows(store.spark, 300, 310, factor=2.0), break_off)
    assert store.version(WINDOWS) == 1
    assert set(Path(store.path(WINDOWS)).glob("*.parquet")) == files


def test_a_table_with_a_change_feed_is_left_to_sparks_merge(store: TableStore) -> None:
    in_files(store)
    store.spark.sql(f"ALTER TABLE delta.`{store.path(WINDOWS)}` SET TBLPROPERTIES (delta.enableChangeDataFeed = true)")
    assert not fits_merged_files(store.spark, store.path(WINDOWS))
    assert merged(store, windows(store.spark, 300, 310, factor=2.0)).rows_updated == 22
    feed = store.spark.read.format("delta").option("readChangeFeed", "true").option("startingVersion", 3)
    assert feed.load(store.path(WINDOWS)).where("_change_type = 'update_postimage'").count() == 22
