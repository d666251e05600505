"""A small fleet whose bearings warm up before they fail, as gold.training_examples and gold.window_features."""

from __future__ import annotations

import math
import random
from datetime import timedelta
from typing import Any

from builders import frame, settings, source, utc
from pyspark.sql import DataFrame, SparkSession

from turbine_health.settings import Settings
from turbine_health.tables import Table, training_examples, window_features
from turbine_health.transforms.features import feature_plan

START = utc("2024-01-01")
HORIZON_DAYS = 7


def fleet_settings(**sections: Any) -> Settings:
    """Two signals, one look-back, daily windows, and forests small enough for a test."""
    small = {"trees": 8, "depth": 4, "min_rows_per_leaf": 2}
    defaults: dict[str, Any] = {
        "sources": [source()],
        "features": {"lookback_hours": [24], "statistics": ["mean", "std"], "every_hours": 24},
        "model": {"classifier": small, "regressor": small, "time_to_failure_cap_days": 30, "interval_bands": 2},
        "evaluation": {"resamplings": 40, "min_test_failures": 2},
    }
    return settings(**{**defaults, **sections})


def examples_table(chosen: Settings) -> Table:
    return training_examples(feature_plan(chosen.features, chosen.feature_signals).names)


def windows_table(chosen: Settings) -> Table:
    return window_features(feature_plan(chosen.features, chosen.feature_signals).names)


def fleet_rows(turbines: int = 12, days: int = 240, seed: int = 1) -> list[dict[str, Any]]:
    """One row per turbine and day. Lives of 25 to 60 days; each failure warms the bearing over its last ten days."""
    draw = random.Random(seed)
    rows = []
    for number in range(turbines):
        day, life = 0, 1
        while day < days:
            length = draw.randint(25, 60)
            for age in range(length):
                if day + age < days:
                    rows.append(
                        _row(draw, f"T{number:02d}", day + age, life, age, length, failed=day + length < days, days=days)
                    )
            day, life = day + length + 1, life + 1
    return rows


def fleet_examples(spark: SparkSession, chosen: Settings, **size: int) -> DataFrame:
    return frame(spark, fleet_rows(**size), examples_table(chosen))


def fleet_windows(spark: SparkSession, chosen: Settings, **size: int) -> DataFrame:
    table = windows_table(chosen)
    return frame(spark, [{name: row.get(name) for name in table.schema.names} for row in fleet_rows(**size)], table)


def _row(
    draw: random.Random, asset_id: str, day: int, life: int, age: int, length: int, *, failed: bool, days: int
) -> dict[str, Any]:
    left = length - age
    heat = 25 * math.exp(-left / 4) if failed or day + left < days + 20 else 0.0
    is_known = failed or day + HORIZON_DAYS < days
    return {
        "asset_id": asset_id,
        "window_end": START + timedelta(days=day),
        "coverage": 1.0,
        "data_age_hours": 0.2,
        "failure_within_7d": int(failed and left <= HORIZON_DAYS) if is_known else None,
        "time_to_failure_days": float(left) if failed else None,
        "is_censored": not failed,
        "label_status": "observed" if is_known else "horizon_incomplete",
        "life_number": life,
        "failure_mode": "gearbox_bearing" if failed else None,
        "active_power_kw__mean_24h": draw.gauss(900, 200),
        "active_power_kw__std_24h": draw.gauss(100, 20) if draw.random() > 0.05 else None,
        "bearing_temp_c__mean_24h": draw.gauss(60, 2) + heat,
        "bearing_temp_c__std_24h": draw.gauss(4, 0.5) + heat / 10,
        "asset__age_days": float(age),
    }
