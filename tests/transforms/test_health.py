"""Sensor-health flags: ten-minute readings of one turbine."""

from __future__ import annotations

import random

from builders import ONE_SLICE, readings, settings, with_health_flags
from pyspark.sql import functions as F

from turbine_health.sources import Source
from turbine_health.transforms.flags import value_flags
from turbine_health.transforms.slicing import Slicing

SIGNALS = [
    {"name": "wind_speed_m_s", "column": "w", "unit": "m/s", "valid_range": (0, 50)},
    {"name": "active_power_kw", "column": "p", "unit": "kW", "valid_range": (-100, 2500)},
    {"name": "oil_temp_c", "column": "o", "unit": "deg C", "valid_range": (0, 100)},
    {"name": "setting_x", "column": "s", "unit": "-", "expected_constant": True},
]
PLANT = Source.model_validate({
    "name": "tests", "files": {"path": "x"}, "asset_id": {"column": "a"}, "time": {"timestamp": {"column": "t"}},
    "sampling_minutes": 10, "signals": SIGNALS, "power_signal": "active_power_kw", "wind_signal": "wind_speed_m_s",
})  # fmt: skip
HOURS_6 = 36


def flags(spark, rows, *, drop=(), oil=None, wind=None, power=None):
    """The flags of each row; whatever is not given changes from row to row while the turbine runs."""
    frame = readings(
        spark, "T07", "2024-01-01 00:00",
        oil_temp_c=oil or [50 + row % 7 for row in range(rows)],
        wind_speed_m_s=wind or [8 + row % 5 for row in range(rows)],
        active_power_kw=power or [900 + row % 11 for row in range(rows)],
        setting_x=[1.0] * rows,
    )  # fmt: skip
    kept = frame.withColumn("number", F.unix_timestamp("event_time") / 600 % 144).where(
        ~F.col("number").isin(list(drop) or [-1])
    )
    found = kept.transform(with_health_flags, PLANT, settings().ingest).orderBy("event_time").collect()
    return {int(row["number"]): row["_health_flags"] for row in found if row["_health_flags"] and row["number"] != 0}


def test_a_value_held_for_six_hours_while_running_is_frozen_from_then_on(spark):
    assert flags(spark, 40, oil=[60.0] * 38 + [61.0, 62.0]) == {36: "oil_temp_c:frozen", 37: "oil_temp_c:frozen"}


def test_a_gap_begins_the_hold_anew(spark):
    found = flags(spark, 45, oil=[60.0] * 45, drop=[20, 21, 22])
    assert found == {23: "asset:gap"}


def test_zero_power_in_calm_wind_is_not_frozen(spark):
    assert flags(spark, 50, power=[0.0] * 50, wind=[1.0] * 50, oil=[20.0] * 50) == {}


def test_wind_held_above_calm_is_frozen_even_at_standstill(spark):
    found = flags(spark, 38, power=[0.0] * 38, wind=[9.0] * 38)
    assert set(found.values()) == {"wind_speed_m_s:frozen"}


def test_a_value_held_at_an_end_of_its_range_is_flat_at_the_limit(spark):
    assert flags(spark, 37, oil=[100.0] * 37) == {36: "oil_temp_c:flat_at_limit"}


def test_out_and_straight_back_is_a_spike(spark):
    assert flags(spark, 5, oil=[50, 51, 90, 52, 50]) == {2: "oil_temp_c:spike"}


def test_a_step_that_stays_is_no_spike(spark):
    assert flags(spark, 5, oil=[50, 51, 90, 91, 90]) == {}


def test_a_jump_while_the_turbine_starts_is_no_spike(spark):
    assert flags(spark, 5, oil=[50, 51, 90, 52, 50], power=[0.0, 0.0, 500.0, 0.0, 0.0]) == {}


def test_power_may_jump(spark):
    assert flags(spark, 5, power=[100, 200, 2000, 150, 100]) == {}


def test_silence_of_more_than_three_samplings_is_a_gap(spark):
    assert flags(spark, 10, drop=[3, 4]) == {}
    assert flags(spark, 10, drop=[3, 4, 5]) == {6: "asset:gap"}


def test_silence_after_standing_in_calm_wind_is_no_gap(spark):
    assert flags(spark, 10, drop=[3, 4, 5, 6], power=[-5.0] * 10, wind=[1.0] * 10) == {}


def test_the_first_reading_has_nothing_before_it(spark):
    first = readings(spark, "T07", "2024-01-01", oil_temp_c=[1], wind_speed_m_s=[1], active_power_kw=[1], setting_x=[1])
    assert first.transform(with_health_flags, PLANT, settings().ingest).head()["_health_flags"] == "asset:gap"


def test_health_flags_can_be_told_from_flags_of_values(spark):
    row = spark.sql("SELECT array('oil_temp_c:frozen', 'oil_temp_c:out_of_range', 'asset:gap') AS quality_flags")
    assert row.select(value_flags("quality_flags")).head()[0] == ["oil_temp_c:out_of_range"]


def test_flags_are_the_same_however_time_and_turbines_are_sliced(spark):
    chance = random.Random(7)
    hours = 24 * 20
    oil = [50 + chance.choice([0, 0, 0, 1, 40]) if row % 90 > 40 else 60 for row in range(hours * 6)]
    rows = readings(
        spark, "T07", "2024-01-01 00:00", oil_temp_c=oil, setting_x=[1.0] * len(oil),
        wind_speed_m_s=[chance.choice([2.0, 8.0, None]) for _ in oil],
        active_power_kw=[chance.choice([-1.0, 900.0, 901.0, 902.0]) for _ in oil],
    )  # fmt: skip
    rows = rows.union(rows.withColumn("asset_id", F.lit("T08"))).where(F.rand(3) < 0.8).persist()

    def found(slicing):
        flagged = rows.transform(with_health_flags, PLANT, settings().ingest, slicing)
        return sorted(tuple(row) for row in flagged.select("asset_id", "event_time", "_health_flags").collect())

    whole = found(ONE_SLICE)
    assert len(whole) == rows.count()
    assert {flag for row in whole for flag in (row[2] or "").split("\x1f")} >= {
        "", "asset:gap", "oil_temp_c:frozen", "oil_temp_c:spike",
    }  # fmt: skip
    assert found(Slicing(chunk_seconds=36 * 3_600, chunks=3, turbine_shares=2)) == whole


def test_of_rows_with_one_key_only_the_latest_stays_and_counts(spark):
    rows = readings(
        spark, "T07", "2024-01-01 00:00",
        oil_temp_c=[50, 51, 52, 53], wind_speed_m_s=[8] * 4, active_power_kw=[900] * 4, setting_x=[1] * 4,
    )  # fmt: skip
    later = rows.where("_source_row = 2").withColumns({"oil_temp_c": F.lit(95.0), "_source_row": F.lit(9).cast("bigint")})
    flagged = later.union(rows).transform(
        with_health_flags, PLANT, settings().ingest, latest_by=["_ingested_at", "_source_row"]
    )
    kept = [(row["oil_temp_c"], row["_health_flags"]) for row in flagged.orderBy("event_time").collect()]
    assert kept == [(50.0, "asset:gap"), (95.0, "oil_temp_c:spike"), (52.0, None), (53.0, None)]
