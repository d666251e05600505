"""Packs bring every row to the partition that it names, with its types."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest
from chispa import assert_df_equality
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from turbine_health.transforms import gathering
from turbine_health.transforms.gathering import gathered, table_of

PARTITIONS = 5


@pytest.fixture
def rows(spark: SparkSession) -> DataFrame:
    """With a null and a list; the third partition gets no row."""
    return spark.range(0, 3_000, 1, 3).selectExpr(
        "int(if(id % 5 = 3, 4, id % 5)) AS wanted",
        "id",
        "if(id % 7 = 0, null, concat('T', id % 11)) AS asset_id",
        "timestamp_micros(1700000000123456 + id) AS event_time",
        "if(id % 4 = 0, null, id / 3D) AS value",
        "if(id % 2 = 0, null, array(id, id + 1)) AS times",
    )


def test_every_row_comes_once_to_its_partition_with_its_types(rows: DataFrame) -> None:
    def unpack(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from pyspark import TaskContext

        table = table_of(batches)
        if table is not None:
            where = pa.array([TaskContext.get().partitionId()] * len(table), pa.int32())
            yield from table.append_column("found", where).to_batches()

    found = gathered(rows, F.col("wanted"), PARTITIONS).mapInArrow(unpack, rows.withColumn("found", F.lit(0)).schema)
    assert_df_equality(found.drop("found"), rows, ignore_row_order=True, ignore_nullable=True)
    assert found.where("found <> wanted").isEmpty()


def test_a_partition_without_rows_gives_no_table() -> None:
    assert table_of(iter([])) is None


def test_many_packs_hold_each_row_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "PACKED_BYTES", 200)
    numbers = list(range(1_000))
    batches = pa.table({"number": numbers, "_partition": pa.array([n % 3 for n in numbers], pa.int32())}).to_batches(50)
    packs = list(gathering._pack(iter(batches)))
    assert len(packs) == 3 * len(batches)
    of_one = [pack.select(["rows"]) for pack in packs if pack["partition"][0].as_py() == 1]
    table = table_of(iter(of_one))
    assert table is not None
    assert table["number"].to_pylist() == numbers[1::3]
