"""A scored fleet of three turbines, small enough to check by eye: what the report and the pages are tested on.

T01 alerts and failed once before; T02 is quiet; the third is named like an attack and has no fresh data.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

from builders import events, frame, lives, readings, settings, utc
from pyspark.sql import SparkSession

from turbine_health.feature_tables import signal_cells
from turbine_health.io.delta import TableStore
from turbine_health.settings import Settings
from turbine_health.tables import (
    ASSET_EVENTS,
    ASSET_LIVES,
    FAILURE_PREDICTIONS,
    TIME_TO_FAILURE_PREDICTIONS,
    sensor_readings,
)

EVIL = "<script>alert('T03')</script>"
SIGNALS = ("active_power_kw", "bearing_temp_c")
START, DAYS = utc("2024-01-01"), 20
AS_OF = START + timedelta(days=DAYS)


def fleet_settings(**sections: Any) -> Settings:
    """Settings whose one source has the fleet's two signals."""
    from builders import source

    return settings(sources=[source(signals=SIGNALS).model_dump()], **sections)


def write_small_fleet(spark: SparkSession, store: TableStore) -> None:
    """All tables that the report reads, except those of the monitor."""
    store.append(
        frame(spark, [row for asset in ("T01", "T02", EVIL) for row in _risks(asset)], FAILURE_PREDICTIONS), FAILURE_PREDICTIONS
    )
    left = [row for asset in ("T01", "T02", EVIL) for row in _days_left(asset)]
    store.append(frame(spark, left, TIME_TO_FAILURE_PREDICTIONS), TIME_TO_FAILURE_PREDICTIONS)
    cells = signal_cells(SIGNALS)
    store.append(frame(spark, [row for asset in ("T01", "T02") for row in _cells(asset)], cells), cells)
    runs = lives(
        spark,
        ("T01", "2023-12-01", "2024-01-05", "gearbox_bearing"),
        ("T01", "2024-01-07", "2024-01-21"),
        ("T02", "2023-12-01", "2024-01-21"),
    )
    store.append(runs, ASSET_LIVES)
    log = events(
        spark,
        ("T01", "failure", "2024-01-05", "2024-01-07", "gearbox_bearing"),
        ("T02", "maintenance", "2024-01-10", None, None),
    )
    store.append(log, ASSET_EVENTS)
    flags = [["bearing_temp_c:spike"], [], [], []]
    last_hours = readings(
        spark, "T01", "2024-01-20 20:00", active_power_kw=[1, 2, 3, 4], bearing_temp_c=[900, 61, 60, None], quality_flags=flags
    )
    store.append(last_hours, sensor_readings(SIGNALS))


def _risks(asset: str) -> list[dict[str, Any]]:
    words = ["bearing temperature 9 °C above its normal 62 °C", f"named {EVIL}"]
    reasons = [
        {"feature": "bearing_temp_c__mean_24h", "value": 71.0, "normal": 62.0, "contribution": 0.2, "words": text}
        for text in words
    ]
    return [
        {
            **_scored(asset, day),
            "horizon_days": 7,
            "failure_probability": None if asset == EVIL else _risk(asset, day),
            "raw_score": None if asset == EVIL else _risk(asset, day),
            "alert_threshold": 0.3,
            "is_alert": None if asset == EVIL else _risk(asset, day) >= 0.3,
            "reasons": None if asset == EVIL else [tuple(reason.values()) for reason in reasons],
        }
        for day in range(1, DAYS + 1)
    ]


def _days_left(asset: str) -> list[dict[str, Any]]:
    is_open = asset == "T02"
    return [
        {
            **_scored(asset, day),
            "predicted_time_to_failure_days": None if asset == EVIL else 40 - day,
            "lower_days": None if asset == EVIL else 30 - day,
            "upper_days": None if asset == EVIL or is_open else 50 - day,
            "classifier_version": "1",
        }
        for day in range(1, DAYS + 1)
    ]


def _scored(asset: str, day: int) -> dict[str, Any]:
    return {
        "asset_id": asset,
        "window_end": START + timedelta(days=day),
        "scored_at": START + timedelta(days=day, minutes=5),
        "data_age_hours": 200 if asset == EVIL else 0.5,
        "coverage": 0 if asset == EVIL else 1,
        "quality_status": "stale" if asset == EVIL else "ok",
        "model_name": "Model_A_Production",
        "model_version": "1",
        "model_role": "champion",
        "run_id": "0123",
        "features_version": 3,
    }


def _risk(asset: str, day: int) -> float:
    return 0.03 * day if asset == "T01" else 0.01


def _cells(asset: str) -> list[dict[str, Any]]:
    """Four cells a day; power follows a wave, the bearing of T01 warms up."""
    rows = []
    for step in range(4 * DAYS):
        power, bearing = 1000 + 500 * math.sin(step / 5), 60 + (step / 8 if asset == "T01" else 0)
        row = {
            "asset_id": asset,
            "cell_start": START + timedelta(hours=6 * step),
            "readings": 36,
            "usable_readings": 36,
            "flagged_readings": 0,
            "expected_readings": 36,
        }
        for signal, mean in zip(SIGNALS, (power, bearing), strict=True):
            parts = {"count": 36, "mean": mean, "m2": 1, "min": mean - 5, "max": mean + 5, "first": mean, "last": mean}
            row |= {f"{signal}__{part}": value for part, value in parts.items()}
        rows.append(row)
    return rows
