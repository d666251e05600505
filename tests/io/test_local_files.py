"""What Delta's commits and Spark's checkpoints on local disk stand on: of two files of one name only the first is taken."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

NAMES = 100


@pytest.fixture(scope="module")
def files(spark: SparkSession) -> Any:
    """Hadoop's file context, as Delta and Spark ask for it."""
    hadoop: Any = spark.sparkContext._jvm
    return hadoop.org.apache.hadoop.fs.FileContext.getFileContext(spark.sparkContext._jsc.hadoopConfiguration())


@pytest.fixture(scope="module")
def rename(spark: SparkSession, files: Any) -> Any:
    """Renames a file where the new name is free; says whether it was."""
    hadoop: Any = spark.sparkContext._jvm.org.apache.hadoop.fs
    options = spark.sparkContext._gateway.new_array(hadoop.Options.Rename, 0)

    def renamed(old: Path, new: Path) -> bool:
        try:
            files.rename(hadoop.Path(str(old)), hadoop.Path(str(new)), options)
        except Py4JJavaError as failure:
            if "FileAlreadyExistsException" in str(failure.java_exception):
                return False
            raise
        return True

    return renamed


def test_of_two_writers_at_the_same_moment_one_is_refused(rename, tmp_path):
    # Hadoop's own way lets both think that they were first, some four times in a hundred.
    moment, won = threading.Barrier(2), {"a": set(), "b": set()}
    for writer in won:
        for number in range(NAMES):
            (tmp_path / f"{writer}.{number}.tmp").write_text(writer)

    def write(writer: str) -> None:
        for number in range(NAMES):
            moment.wait(timeout=60)
            if rename(tmp_path / f"{writer}.{number}.tmp", tmp_path / str(number)):
                won[writer].add(number)

    writers = [threading.Thread(target=write, args=(writer,)) for writer in won]
    for each in writers:
        each.start()
    for each in writers:
        each.join()
    assert won["a"] & won["b"] == set()
    assert won["a"] | won["b"] == set(range(NAMES))
    assert {number: (tmp_path / str(number)).read_text() for number in won["a"]} == dict.fromkeys(won["a"], "a")


def test_a_check_sum_left_by_an_older_file_of_that_name_refuses_no_reader(spark, rename, tmp_path):
    (tmp_path / ".taken.crc").write_bytes(b"crc\x00\x00\x00\x02\x00\x00\x00\x00\x00")
    (tmp_path / "new.tmp").write_text("kept")
    assert rename(tmp_path / "new.tmp", tmp_path / "taken")
    assert [row.value for row in spark.read.text(str(tmp_path / "taken")).collect()] == ["kept"]


def test_folders_are_renamed_as_ever(rename, tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "file").touch()
    assert rename(tmp_path / "old", tmp_path / "new")
    assert (tmp_path / "new" / "file").exists()


def test_commits_leave_neither_check_sums_nor_temporary_files(spark, tmp_path):
    spark.range(3).write.format("delta").save(str(tmp_path / "table"))
    assert [path.name for path in sorted((tmp_path / "table" / "_delta_log").iterdir()) if path.name.startswith(".")] == []


def test_whoever_may_read_the_data_may_read_the_commits(spark, tmp_path):
    spark.range(3).write.format("delta").save(str(tmp_path / "table"))
    data, commits = (tmp_path / "table").glob("*.parquet"), (tmp_path / "table" / "_delta_log").glob("*.json")
    assert {path.stat().st_mode for path in commits} == {path.stat().st_mode for path in data}
