"""Which cells, windows and rows a change reaches."""

from __future__ import annotations

import pandas as pd
from builders import frame, lives, utc
from pyspark.sql import DataFrame, SparkSession

from turbine_health.tables import CHANGED_HOURS
from turbine_health.transforms.changes import baseline_spans, life_spans, to_cell_ranges, to_changed_cells
from turbine_health.transforms.labels import to_life_rows
from turbine_health.transforms.spans import ENDLESS, ahead, seeing, within_known

HOUR = 3_600
DAY_ONE = int(utc("2024-01-01").timestamp()) // HOUR


def ranges(*rows: tuple[str, int, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["asset_id", "first_cell", "last_cell"])


def spans(rows: pd.DataFrame) -> list[tuple]:
    return list(rows[["asset_id", "first_end", "last_end"]].itertuples(index=False, name=None))


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


def test_a_changed_cell_reaches_the_windows_that_end_after_it_within_the_look_back():
    assert spans(seeing(ranges(("T07", 10, 12)), longest_lookback=24)) == [("T07", 11, 36)]


def test_windows_begin_where_the_readings_so_far_end_also_after_a_pause(spark):
    ten_minutes = 600
    were = lives(spark, ("T07", "2024-01-01", "2024-01-02"), ("T08", "2024-01-01", "2024-01-02")).transform(to_life_rows)
    new = ranges(("T07", DAY_ONE + 24, DAY_ONE + 30), ("T07", DAY_ONE + 90, DAY_ONE + 95), ("T08", DAY_ONE + 3, DAY_ONE + 4))
    unknown = ranges(("T09", DAY_ONE + 5, DAY_ONE + 7))
    # The last reading before midnight makes the window that ends then, which is there already; one more does no harm.
    assert spans(ahead(pd.concat([new, unknown]), were.toPandas(), HOUR, ten_minutes)) == [
        ("T07", DAY_ONE + 24, DAY_ONE + 96),
        ("T09", DAY_ONE + 6, DAY_ONE + 8),
    ]


def test_windows_end_between_the_first_cell_and_the_last():
    wanted = pd.DataFrame([("T07", 11, 36), ("T07", -3, 5), ("T07", 22, 30), ("T09", 1, 2)])
    known = ranges(("T07", 0, 20), ("T08", 0, 20))
    found = within_known(wanted.set_axis(["asset_id", "first_end", "last_end"], axis=1), known)
    assert spans(found) == [("T07", 11, 21), ("T07", 1, 5)]


def test_a_change_in_a_baseline_reaches_every_later_window(spark):
    born = lives(spark, ("T07", "2024-01-01", "2024-03-01")).transform(to_life_rows).toPandas()
    inside, outside = DAY_ONE + 47, DAY_ONE + 48
    changed = ranges(("T07", inside, inside), ("T07", outside, outside), ("T08", inside, inside))
    assert spans(baseline_spans(changed, born, HOUR, baseline_cells=48)) == [("T07", inside + 1, ENDLESS)]


def test_the_baseline_of_a_life_that_starts_within_a_cell_ends_with_a_whole_cell(spark):
    born = lives(spark, ("T07", "2024-01-01", "2024-01-02", "gearbox"), ("T07", "2024-01-05 03:30", "2024-03-01"))
    inside = DAY_ONE + 4 * 24 + 4 + 47
    changed = ranges(("T07", inside, inside), ("T07", inside + 1, inside + 1))
    found = baseline_spans(changed, born.transform(to_life_rows).toPandas(), HOUR, baseline_cells=48)
    assert spans(found) == [("T07", inside + 1, ENDLESS)]


def test_a_changed_life_reaches_the_windows_between_the_moments_of_its_change():
    noon, midnight = (int(utc(f"2024-01-{moment}").timestamp()) * 1_000_000 for moment in ("01 12:00", "02"))
    columns = ["asset_id", "changed_from", "changed_until"]
    changed = pd.DataFrame([("T07", noon, ENDLESS), ("T08", noon, midnight)], columns=columns)
    found = spans(life_spans(changed, HOUR))
    assert found == [("T07", DAY_ONE + 12, ENDLESS), ("T08", DAY_ONE + 12, DAY_ONE + 24)]
