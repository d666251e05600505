"""One row per turbine and time."""

from __future__ import annotations

from pyspark.sql import functions as F

from turbine_health.transforms.superseding import to_hours, with_rank


def keys(spark, *rows):
    return spark.createDataFrame([list(row) for row in rows], "asset_id STRING, time STRING").select(
        "asset_id", F.col("time").cast("timestamp").alias("event_time")
    )


def unique_hours(spark, *rows):
    hours = keys(spark, *rows).transform(to_hours).orderBy("asset_id", "hour_start")
    return [(row["readings"], row["is_unique"]) for row in hours.collect()]


def test_readings_on_different_minutes_are_proven_unique(spark):
    assert unique_hours(spark, ("T07", "2024-01-01 00:00"), ("T07", "2024-01-01 00:59"), ("T07", "2024-01-01 01:00")) == [
        (2, True), (1, True),
    ]  # fmt: skip


def test_a_minute_that_comes_twice_is_not_proven_unique(spark):
    assert unique_hours(spark, ("T07", "2024-01-01 00:10"), ("T07", "2024-01-01 00:10"), ("T08", "2024-01-01 00:10")) == [
        (2, False), (1, True),
    ]  # fmt: skip


def test_seconds_within_a_minute_are_not_proven_unique(spark):
    assert unique_hours(spark, ("T07", "2024-01-01 00:10:30")) == [(1, False)]


def test_rows_without_a_key_are_counted_together(spark):
    assert keys(spark, (None, None), (None, None)).transform(to_hours).head()["readings"] == 2


def ranked(spark, *rows):
    schema = "asset_id STRING, event_time STRING, _source_file STRING, _ingested_at INT, _file_order INT, _source_row BIGINT"
    readings = spark.createDataFrame([("T07", "t", *row) for row in rows], schema)
    found = readings.transform(with_rank).where(F.col("rank") == 1).collect()
    return [(row["_source_file"], row["_source_row"]) for row in found]


def test_the_later_received_row_wins(spark):
    assert ranked(spark, ("a", 2, 0, 1), ("b", 1, 9, 9)) == [("a", 1)]


def test_within_a_batch_the_later_file_wins(spark):
    assert ranked(spark, ("a", 1, 1, 1), ("b", 1, 0, 9)) == [("a", 1)]


def test_within_a_file_the_later_row_wins(spark):
    assert ranked(spark, ("a", 1, 0, 1), ("a", 1, 0, 2)) == [("a", 2)]
