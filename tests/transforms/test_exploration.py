"""Summaries of readings for the exploration page."""

from __future__ import annotations

import math

import pytest
from builders import lives, readings, utc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from turbine_health.transforms import exploration
from turbine_health.transforms.joint_moments import Axis, to_distributions


def daily_of(frame: DataFrame, *signals: str) -> DataFrame:
    return exploration.to_daily_summary(frame, signals)


def test_a_day_counts_its_readings_and_its_values(spark):
    frame = readings(spark, "T01", "2024-01-01 23:50", oil_temp_c=[60, None, 62, 64])
    rows = daily_of(frame, "oil_temp_c").orderBy("day").collect()
    assert [(row["day"].date().isoformat(), row["readings"], row["oil_temp_c__count"], row["oil_temp_c"]) for row in rows] == [
        ("2024-01-01", 1, 1, 60.0),
        ("2024-01-02", 3, 2, 63.0),
    ]


def test_missing_is_the_share_of_readings_without_a_value(spark):
    frame = readings(spark, "T01", "2024-01-01 00:00", oil_temp_c=[60, None, None, 64], power_kw=[1, 2, 3, 4])
    row = exploration.to_missing_shares(daily_of(frame, "oil_temp_c", "power_kw"), ["oil_temp_c", "power_kw"], "day").first()
    assert (row["oil_temp_c"], row["power_kw"]) == (0.5, 0.0)


def test_coverage_is_what_came_of_what_was_expected(spark):
    frame = readings(spark, "T01", "2024-01-01 00:00", every_minutes=60, oil_temp_c=[1] * 36)
    rows = exploration.to_coverage(daily_of(frame, "oil_temp_c"), "day", expected_per_day=24).collect()
    assert [row["coverage"] for row in rows] == [1.0, 0.5]


def test_the_turbine_that_lacks_most_values_comes_first(spark):
    frame = readings(spark, "T01", "2024-01-01", oil_temp_c=[1, 2]).unionByName(
        readings(spark, "T02", "2024-01-01", oil_temp_c=[None, 2])
    )
    rows = exploration.to_sensor_health(daily_of(frame, "oil_temp_c"), ["oil_temp_c"]).collect()
    assert [(row["asset_id"], row["worst"]) for row in rows] == [("T02", 0.5), ("T01", 0.0)]


def test_flags_are_counted_by_signal(spark):
    flags = [["oil_temp_c:spike", "asset:gap"], ["oil_temp_c:spike"], []]
    frame = readings(spark, "T01", "2024-01-01", oil_temp_c=[1, 2, 3], quality_flags=flags)
    rows = [tuple(row) for row in exploration.to_flag_counts(frame).collect()]
    assert rows == [("asset", "gap", 1), ("oil_temp_c", "spike", 2)]


def test_days_before_failure_compare_with_healthy_turbines_of_the_same_day(spark):
    failing = readings(spark, "T01", "2024-01-01 12:00", every_minutes=1_440, oil_temp_c=[60, 70, 80])
    healthy = readings(spark, "T02", "2024-01-01 12:00", every_minutes=1_440, oil_temp_c=[50, 51, 52])
    runs = lives(spark, ("T01", "2024-01-01", "2024-01-03 18:00", "gearbox"), ("T02", "2024-01-01", "2024-01-04"))
    daily = daily_of(failing.unionByName(healthy), "oil_temp_c")
    rows = exploration.to_days_before_failure(daily, runs, ["oil_temp_c"], days=1).collect()
    medians = [(row["days_before"], row["oil_temp_c__failing"][1], row["oil_temp_c__healthy"][1]) for row in rows]
    assert medians == [(0, 80.0, 52.0), (1, 70.0, 51.0)]


def test_readings_while_a_turbine_is_down_are_no_symptom(spark):
    frame = readings(spark, "T01", "2024-01-01 12:00", every_minutes=1_440, oil_temp_c=[60, 70])
    runs = lives(spark, ("T01", "2024-01-01", "2024-01-01 18:00", "gearbox"), ("T01", "2024-01-05", "2024-01-06"))
    rows = exploration.to_days_before_failure(daily_of(frame, "oil_temp_c"), runs, ["oil_temp_c"], days=5).collect()
    assert [(row["days_before"], row["failures"]) for row in rows] == [(0, 1)]


def test_without_healthy_turbines_there_is_nothing_to_compare_with(spark):
    frame = readings(spark, "T01", "2024-01-01 12:00", every_minutes=1_440, oil_temp_c=[60])
    runs = lives(spark, ("T01", "2024-01-01", "2024-01-02", "gearbox"))
    row = exploration.to_days_before_failure(daily_of(frame, "oil_temp_c"), runs, ["oil_temp_c"], days=5).first()
    assert row["oil_temp_c__healthy"] is None


def test_a_histogram_keeps_what_lies_beyond_its_axis_in_the_end_bins(spark):
    frame = readings(spark, "T01", "2024-01-01", oil_temp_c=[-5, 0, 1, 9, 10, 99, None])
    histograms, _ = to_distributions(frame, {"oil_temp_c": Axis(0, 10)}, bins=2)
    assert [row["rows"] for row in histograms.orderBy("bin").collect()] == [3, 3]


def test_correlations_use_readings_with_both_values(spark):
    frame = readings(
        spark, "T01", "2024-01-01", a_c=[1, 2, 3, None, 9], b_c=[2, 4, 6, 8, None], c_c=[3, 1, 2, 5, 4], d_c=[7] * 5
    )
    axes = {name: Axis(0, 10) for name in ("a_c", "b_c", "c_c", "d_c")}
    _, correlations = to_distributions(frame.repartition(3), axes, bins=2)
    found = {(row["first"], row["second"]): row["correlation"] for row in correlations.collect()}
    assert found["a_c", "b_c"] == pytest.approx(1.0)
    assert found["b_c", "c_c"] == pytest.approx(7 / math.sqrt(20 * 8.75))
    assert found["a_c", "d_c"] is None


def test_a_source_without_values_of_a_signal_has_no_axis_for_it(spark):
    frame = readings(spark, "T01", "2024-01-01", oil_temp_c=[1.0, None]).withColumn("oil_temp_c", F.lit(None).cast("double"))
    row = exploration.to_source_facts(daily_of(frame, "oil_temp_c"), ["oil_temp_c"]).first()
    assert (row["oil_temp_c__low"], row["turbines"], row["first_day"].date()) == (None, 1, utc("2024-01-01").date())
