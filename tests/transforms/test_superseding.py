"""One row per turbine and time."""

from __future__ import annotations

import random
from datetime import datetime, timezone

import pandas as pd
import pyarrow as pa
from pyspark.sql import functions as F

from turbine_health.transforms.reading_packs import day_parts
from turbine_health.transforms.superseding import suspected_hours, with_rank


def readings(*rows):
    """Turbine and time of each."""
    asset_ids, texts = zip(*rows, strict=True)
    at = [datetime.fromisoformat(text).replace(tzinfo=timezone.utc) for text in texts]
    return pa.table({"asset_id": asset_ids, "event_time": pa.array(at, pa.timestamp("us", "UTC"))})


def suspected(*parts):
    """Turbine and hour of the day of what is suspected in parts that workers counted one by one."""
    days = pd.concat([day_parts(part).to_pandas() for part in parts], ignore_index=True)
    found = suspected_hours(days).sort_values(["asset_id", "hour"])
    return [(asset_id, hour % 24) for asset_id, hour in found.itertuples(index=False)]


def test_readings_at_different_times_are_not_suspected():
    assert suspected(readings(("T07", "2024-01-01 00:00"), ("T07", "2024-01-01 00:00:30"), ("T08", "2024-01-01 00:00"))) == []


def test_a_time_that_comes_twice_makes_its_hour_suspected():
    twice = readings(
        ("T07", "2024-01-01 05:10"), ("T08", "2024-01-01 05:10"), ("T07", "2024-01-01 05:10"), ("T07", "2024-01-01 23:50")
    )
    assert suspected(twice) == [("T07", 5)]


def test_parts_that_follow_each_other_are_not_suspected():
    first = readings(("T07", "2024-01-01 05:10"), ("T07", "2024-01-01 05:20"))
    then = readings(("T07", "2024-01-01 05:30"), ("T07", "2024-01-02 05:10"))
    assert suspected(then, first) == []


def test_where_parts_overlap_each_hour_of_both_is_suspected():
    whole = readings(("T07", "2024-01-01 01:10"), ("T07", "2024-01-01 20:20"))
    within = readings(("T07", "2024-01-01 03:30"), ("T07", "2024-01-01 05:10"))
    later = readings(("T07", "2024-01-01 20:20"), ("T07", "2024-01-01 22:00"))
    assert suspected(whole, within, later, readings(("T08", "2024-01-01 03:30"))) == [
        ("T07", 3), ("T07", 4), ("T07", 5), ("T07", 20),
    ]  # fmt: skip


def test_no_key_that_comes_twice_is_missed_however_workers_share_the_rows():
    chance = random.Random(3)
    for _ in range(200):
        hours = [(f"T{chance.randrange(2)}", chance.randrange(48)) for _ in range(chance.randrange(1, 30))]
        rows = [(name, f"2024-01-0{1 + hour // 24} {hour % 24:02}:{chance.randrange(0, 60, 20):02}") for name, hour in hours]
        shares = [chance.randrange(3) for _ in rows]
        parts = [readings(*(row for row, share in zip(rows, shares, strict=True) if share == each)) for each in set(shares)]
        twice = {(asset_id, int(text[11:13])) for asset_id, text in rows if rows.count((asset_id, text)) > 1}
        assert twice <= set(suspected(*parts))


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
