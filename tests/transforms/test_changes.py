"""Which cells, windows and rows a change reaches."""

from __future__ import annotations

from builders import frame, lives, utc
from pyspark.sql import DataFrame, SparkSession

from turbine_health.tables import CHANGED_HOURS
from turbine_health.transforms.changes import (
    to_baseline_spans,
    to_cell_ranges,
    to_changed_cells,
    to_life_spans,
)
from turbine_health.transforms.spans import to_window_spans

HOUR = 3_600
DAY_ONE = int(utc("2024-01-01").timestamp()) // HOUR


def ranges(spark: SparkSession, *rows: tuple[str, int, int]) -> DataFrame:
    return spark.createDataFrame(list(rows), "asset_id string, first_cell long, last_cell long")


def as_set(rows: DataFrame) -> set[tuple]:
    return {tuple(row) for row in rows.collect()}


def hours(spark: SparkSession, *times: str) -> DataFrame:
    rows = [{"asset_id": "T07", "hour_start": utc(time), "run_id": f"batch {number}"} for number, time in enumerate(times)]
    return frame(spark, rows, CHANGED_HOURS)


def test_an_hour_that_two_batches_touched_is_one_changed_cell(spark):
    changed = to_changed_cells(hours(spark, "2024-01-01 05:00", "2024-01-01 05:00"), HOUR)
    assert as_set(changed) == {("T07", DAY_ONE + 5)}


def test_a_changed_hour_changes_every_shorter_cell_in_it(spark):
    changed = to_changed_cells(hours(spark, "2024-01-01 05:00"), HOUR // 4)
    assert {cell - DAY_ONE * 4 for _, cell in as_set(changed)} == {20, 21, 22, 23}


def test_cells_further_apart_than_the_look_back_are_ranges_of_their_own(spark):
    cells = spark.createDataFrame([("T07", 1), ("T07", 4), ("T07", 8), ("T08", 9)], "asset_id string, cell long")
    assert as_set(to_cell_ranges(cells, reach=3)) == {("T07", 1, 4), ("T07", 8, 8), ("T08", 9, 9)}


def test_a_changed_cell_reaches_the_windows_that_end_after_it_within_the_look_back(spark):
    known = ranges(spark, ("T07", 0, 100))
    assert as_set(to_window_spans(ranges(spark, ("T07", 10, 12)), known, longest_lookback=24)) == {("T07", 11, 36)}


def test_no_window_ends_after_the_last_cell(spark):
    known = ranges(spark, ("T07", 0, 20))
    assert as_set(to_window_spans(ranges(spark, ("T07", 10, 12)), known, longest_lookback=24)) == {("T07", 11, 21)}


def test_a_change_in_a_baseline_reaches_every_later_window(spark):
    born = lives(spark, ("T07", "2024-01-01", "2024-03-01"))
    known = ranges(spark, ("T07", DAY_ONE, DAY_ONE + 1_000))
    inside, outside = DAY_ONE + 47, DAY_ONE + 48
    changed = ranges(spark, ("T07", inside, inside), ("T07", outside, outside))
    found = to_baseline_spans(changed, born, known, HOUR, baseline_cells=48)
    assert as_set(found) == {("T07", inside + 1, DAY_ONE + 1_001)}


def test_the_baseline_of_a_life_that_starts_within_a_cell_ends_with_a_whole_cell(spark):
    born = lives(spark, ("T07", "2024-01-01", "2024-01-02", "gearbox"), ("T07", "2024-01-05 03:30", "2024-03-01"))
    known = ranges(spark, ("T07", DAY_ONE, DAY_ONE + 1_000))
    inside = DAY_ONE + 4 * 24 + 4 + 47
    changed = ranges(spark, ("T07", inside, inside), ("T07", inside + 1, inside + 1))
    found = to_baseline_spans(changed, born, known, HOUR, baseline_cells=48)
    assert as_set(found) == {("T07", inside + 1, DAY_ONE + 1_001)}


def test_a_changed_life_reaches_the_windows_from_its_change_on(spark):
    changed = spark.createDataFrame([("T07", utc("2024-01-01 12:00"))], "asset_id string, changed_from timestamp")
    known = ranges(spark, ("T07", DAY_ONE, DAY_ONE + 23))
    assert as_set(to_life_spans(changed, known, HOUR)) == {("T07", DAY_ONE + 12, DAY_ONE + 24)}
