"""Rows of this process as part of a plan."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from pyspark.sql import SparkSession
from pyspark.sql.types import ArrayType, IntegerType, LongType, MapType, StringType, StructField, StructType, TimestampType

from turbine_health.io.local_rows import local_rows

SCHEMA = StructType([
    StructField("name", StringType(), nullable=False),
    StructField("at", TimestampType()),
    StructField("places", ArrayType(IntegerType())),
    StructField("counts", MapType(StringType(), LongType())),
])  # fmt: skip
NOON = datetime(2024, 6, 1, 12, 0, 0, 5, tzinfo=timezone.utc)
ROWS = [("a", NOON, [1, 2], {"bad": 3}), ("b", None, [], {}), ("c", NOON.astimezone(timezone(timedelta(hours=2))), None, None)]


def test_they_are_those_that_spark_makes_of_them(spark: SparkSession) -> None:
    mine, theirs = local_rows(spark, ROWS, SCHEMA), spark.createDataFrame(ROWS, SCHEMA)
    assert mine.schema == theirs.schema
    assert mine.collect() == theirs.collect()
    assert local_rows(spark, [], SCHEMA).collect() == []


def test_a_time_without_a_zone_is_this_machines(spark: SparkSession) -> None:
    naive = [("a", datetime(2024, 6, 1, 12), None, None)]
    assert local_rows(spark, naive, SCHEMA).collect() == spark.createDataFrame(naive, SCHEMA).collect()


def test_no_python_worker_reads_them(spark: SparkSession) -> None:
    plan = local_rows(spark, ROWS, SCHEMA)._jdf.queryExecution().toString()
    assert "LocalTableScan" in plan
    assert "ExistingRDD" not in plan
