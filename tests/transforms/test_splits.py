from datetime import timedelta

import pytest
from builders import examples, utc
from pyspark.sql import functions as F

from turbine_health.errors import DataError, SettingsError
from turbine_health.settings import SplitSettings
from turbine_health.transforms.splits import (
    Border,
    time_border,
    to_turbine_groups,
    with_days_known,
    with_part,
)

JANUARY = Border(train_until=utc("2024-01-05"), test_from=utc("2024-01-12"))


def fleet(spark, turbines=8, failing=("T00", "T01", "T02", "T03")):
    frames = [
        examples(spark, name, "2024-01-01", failure_within_7d=[0, int(name in failing)])
        for name in (f"T{number:02d}" for number in range(turbines))
    ]
    first, *others = frames
    for other in others:
        first = first.unionByName(other)
    return first


def test_the_border_leaves_an_embargo_before_the_test():
    border = time_border(utc("2024-01-01"), utc("2024-04-10 06:00"), SplitSettings(test_share=0.25, embargo_days=7), 7)
    assert border is not None
    assert border.test_from == utc("2024-03-16")
    assert border.test_from - border.train_until == timedelta(days=7)


def test_an_embargo_shorter_than_the_horizon_is_refused():
    with pytest.raises(SettingsError, match="embargo of 6 days is shorter than the horizon of 7 days"):
        time_border(utc("2024-01-01"), utc("2024-04-10"), SplitSettings(embargo_days=6), 7)


def test_records_too_short_for_the_embargo_are_refused():
    with pytest.raises(DataError, match="nothing to train on before the embargo"):
        time_border(utc("2024-01-01"), utc("2024-01-08"), SplitSettings(embargo_days=7), 7)


def test_a_split_by_turbine_has_no_border_in_time():
    assert time_border(utc("2024-01-01"), utc("2024-04-10"), SplitSettings(strategy="asset"), 7) is None


def test_folds_hold_equally_many_failing_turbines(spark):
    groups = fleet(spark).transform(to_turbine_groups, SplitSettings(folds=2)).collect()
    failing = [row["fold"] for row in groups if row["asset_id"] <= "T03"]
    assert sorted(failing) == [0, 0, 1, 1]
    assert not any(row["is_test_turbine"] for row in groups)


def test_test_turbines_are_in_no_fold_and_as_many_as_asked(spark):
    groups = fleet(spark).transform(to_turbine_groups, SplitSettings(strategy="asset", test_share=0.25, folds=2)).collect()
    held_out = [row for row in groups if row["is_test_turbine"]]
    assert len(held_out) == 2
    assert all((row["fold"] is None) == row["is_test_turbine"] for row in groups)


def test_the_same_turbines_are_dealt_alike_from_any_order_of_rows(spark):
    split = SplitSettings(strategy="time_and_asset", folds=3)
    dealt = [
        {row["asset_id"]: (row["is_test_turbine"], row["fold"]) for row in frame.transform(to_turbine_groups, split).collect()}
        for frame in (fleet(spark), fleet(spark).orderBy(F.desc("asset_id")).repartition(3))
    ]
    assert dealt[0] == dealt[1]


def test_windows_in_the_embargo_neither_train_nor_test(spark):
    windows = examples(spark, "T01", "2024-01-04", failure_within_7d=[0] * 10)
    groups = spark.sql("SELECT 'T01' AS asset_id, false AS is_test_turbine, 0 AS fold")
    parts = {row["window_end"].day: row["part"] for row in windows.transform(with_part, groups, JANUARY).collect()}
    assert [parts[day] for day in (4, 5, 6, 11, 12, 13)] == ["train", "train", "unused", "unused", "test", "test"]


def test_with_test_turbines_the_others_are_not_tested_after_the_border(spark):
    windows = examples(spark, "T01", "2024-01-05", every_hours=24 * 7, failure_within_7d=[0, 0]).unionByName(
        examples(spark, "T02", "2024-01-05", every_hours=24 * 7, failure_within_7d=[0, 0])
    )
    groups = spark.sql("SELECT 'T01' AS asset_id, false AS is_test_turbine, 0 AS fold UNION ALL SELECT 'T02', true, NULL")
    parts = windows.transform(with_part, groups, JANUARY).orderBy("asset_id", "window_end").collect()
    assert [row["part"] for row in parts] == ["train", "later", "unused", "test"]


def days_known(frame, border, cap):
    return [row["days_known"] for row in frame.transform(with_days_known, border, cap).orderBy("window_end").collect()]


def test_a_failure_after_the_border_is_not_known_to_training(spark):
    lives = examples(spark, "T01", "2024-01-02", time_to_failure_days=[10.0, 9.0], is_censored=[False, False])
    before, after = lives.withColumn("part", F.lit("train")), lives.withColumn("part", F.lit("test"))
    late = Border(train_until=utc("2024-01-04"), test_from=utc("2024-01-11"))
    assert days_known(before, late, None) == [None, None]
    assert days_known(after, late, None) == [10.0, 9.0]
    assert days_known(before, JANUARY, None) == [10.0, 9.0]


def test_a_life_known_to_reach_the_cap_counts_as_the_cap(spark):
    running = examples(spark, "T01", "2024-01-01", time_to_failure_days=[None] * 5, is_censored=[True] * 5).withColumn(
        "part", F.lit("test")
    )
    assert days_known(running, JANUARY, 3.0) == [3.0, 3.0, None, None, None]


@pytest.mark.parametrize("part", ["test", "train"])
def test_a_window_without_a_label_has_no_days_known(spark, part):
    down = examples(spark, "T01", "2024-01-01", is_censored=[None] * 5, time_to_failure_days=[None] * 5)
    assert days_known(down.withColumn("part", F.lit(part)), JANUARY, 3.0) == [None] * 5


def followed_up(frame, border, cap):
    return [row["is_followed_up"] for row in frame.transform(with_days_known, border, cap).orderBy("window_end").collect()]


def test_a_window_is_followed_up_when_a_whole_cap_was_watched_whatever_came(spark):
    running = examples(spark, "T01", "2024-01-02", time_to_failure_days=[None] * 5, is_censored=[True] * 5)
    failing = examples(spark, "T02", "2024-01-02", time_to_failure_days=[5.0, 4.0, 3.0], is_censored=[False] * 3)
    rows = running.unionByName(failing)
    tested, learned = (rows.withColumn("part", F.lit(part)).where("asset_id = 'T02'") for part in ("test", "train"))
    whole_fleet = rows.withColumn("part", F.lit("test"))
    late = Border(train_until=utc("2024-01-04"), test_from=utc("2024-01-05"))
    assert followed_up(whole_fleet.where("asset_id = 'T01'"), JANUARY, 3.0) == [True, True, False, False, False]
    assert followed_up(whole_fleet, JANUARY, 3.0) == [True, True, True, True, False, False, False, False]
    assert followed_up(learned, late, 3.0) == [True, False, False]
    assert followed_up(tested, late, None) == [True, True, True]
