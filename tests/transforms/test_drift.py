"""Drift: a sensor that moved is found, a season is not; silence, novelty and standstill have names."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime

import pytest
from builders import frame, times, utc
from pyspark.sql import DataFrame, Row, SparkSession

from turbine_health.feature_tables import signal_cells
from turbine_health.monitor_tables import FEATURE_DRIFT
from turbine_health.settings import DriftSettings
from turbine_health.tables import schema_differences
from turbine_health.transforms.drift import Spans, to_drift, to_signal_days

SIGNAL = "oil_temp_c"
# A year and a half of days from 2023-01-01; the last ten are recent, in the middle of the second summer.
DAYS = 550
SPANS = Spans(reference_to=utc("2024-06-01"), recent_from=utc("2024-06-24"), recent_to=utc("2024-07-04"))
SETTINGS = DriftSettings(recent_days=10, min_reference_days=30, season_days=30)
Value = Callable[[int, int], float | None]


def seasonal(turbine: int, day: int) -> float:
    """Warm summers, each turbine at its own level, days that differ a little."""
    return 50 - 20 * math.cos(2 * math.pi * day / 365) + turbine + 0.3 * ((day * (turbine + 3)) % 7)


def _drift(spark: SparkSession, value: Value, turbines: int, spread: Value = lambda turbine, day: 0.5) -> dict[str, Row]:
    rows = []
    for turbine in range(turbines):
        for day, start in enumerate(times("2023-01-01", DAYS, 1440)):
            if (mean := value(turbine, day)) is not None:
                rows.append(_cell(f"T{turbine}", start, mean, spread(turbine, day) or 0.0))
    days = to_signal_days(frame(spark, rows, signal_cells([SIGNAL])), [SIGNAL])
    drift: DataFrame = to_drift(days, SPANS, SETTINGS)
    assert schema_differences(drift.schema, FEATURE_DRIFT.schema) == []
    return {row.asset_id: row for row in drift.collect()}


def _cell(asset_id: str, start: datetime, mean: float, spread: float) -> dict[str, object]:
    parts = {"count": 144, "mean": mean, "min": mean - spread, "max": mean + spread}
    counts = dict.fromkeys(("readings", "usable_readings", "flagged_readings", "expected_readings"), 144)
    return {
        "asset_id": asset_id,
        "cell_start": start,
        **counts,
        **{f"{SIGNAL}__{part}": value for part, value in parts.items()},
    }


@pytest.fixture(scope="module")
def steady(spark: SparkSession) -> dict[str, Row]:
    return _drift(spark, seasonal, turbines=4)


def test_a_season_alone_raises_nothing(steady: dict[str, Row]) -> None:
    assert {name: row.status for name, row in steady.items()} == dict.fromkeys(["T0", "T1", "T2", "T3", "all"], "steady")


def test_turbines_are_compared_with_their_peers_and_the_fleet_with_its_earlier_season(steady: dict[str, Row]) -> None:
    assert (steady["T0"].compared_with, steady["all"].compared_with) == ("peers", "same_season")


def test_a_shifted_sensor_ranks_first_and_its_peers_stay_steady(spark: SparkSession) -> None:
    drift = _drift(spark, lambda turbine, day: seasonal(turbine, day) + (8 if turbine == 2 and day >= 540 else 0), turbines=4)
    assert max(drift.values(), key=lambda row: row.drift_score).asset_id == "T2"
    assert [name for name, row in drift.items() if row.status != "steady"] == ["T2"]
    assert drift["T2"].recent_mean - drift["T2"].expected_mean == pytest.approx(8, abs=0.5)


def test_a_lone_turbine_is_compared_with_the_same_season(spark: SparkSession) -> None:
    assert _drift(spark, seasonal, turbines=1)["T0"].status == "steady"
    shifted = _drift(spark, lambda turbine, day: seasonal(turbine, day) + (15 if day >= 540 else 0), turbines=1)
    assert (shifted["T0"].status, shifted["T0"].compared_with) == ("shifted", "same_season")


def test_a_lone_turbine_in_its_first_summer_is_not_judged(spark: SparkSession) -> None:
    first_summer = _drift(spark, lambda turbine, day: seasonal(turbine, day) if day > 380 else None, turbines=1)
    assert (first_summer["T0"].status, first_summer["T0"].drift_score) == ("steady", None)


def test_frozen_vanished_and_new_sensors_are_named(spark: SparkSession) -> None:
    def value(turbine: int, day: int) -> float | None:
        is_there = {1: day < 535, 2: day >= 541}.get(turbine, True)
        return (60.0 if turbine == 0 and day >= 545 else seasonal(turbine, day)) if is_there else None

    drift = _drift(spark, value, turbines=5, spread=lambda turbine, day: 0.0 if turbine == 0 and day >= 545 else 0.5)
    assert [drift[name].status for name in ("T0", "T1", "T2", "T3", "T4")] == ["frozen", "vanished", "new", "steady", "steady"]
    assert drift["T1"].words == "oil temp c: no reading since 2024-06-18"


def test_a_dead_sensor_in_a_plant_of_three_leaves_its_two_peers_steady_and_uncompared(spark: SparkSession) -> None:
    drift = _drift(spark, lambda turbine, day: None if turbine == 0 and day >= 530 else seasonal(turbine, day), turbines=3)
    assert {name: row.status for name, row in drift.items()} == {
        "T0": "vanished", "T1": "steady", "T2": "steady", "all": "steady",
    }  # fmt: skip
    assert (drift["T1"].recent_days, drift["T1"].drift_score, drift["T1"].compared_with) == (10, None, None)
    assert drift["T1"].recent_mean is not None


def test_a_day_without_enough_peers_among_the_recent_ones_leaves_the_others_to_compare(spark: SparkSession) -> None:
    def value(turbine: int, day: int) -> float | None:
        is_off = turbine == 0 and day in (541, 542)
        return None if is_off else seasonal(turbine, day) + (8 if turbine == 2 and day >= 540 else 0)

    drift = _drift(spark, value, turbines=3)
    assert (drift["T2"].status, drift["T2"].recent_days) == ("shifted", 10)
