"""Rows of both prediction tables, stating only what a test is about."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from builders import frame, lives, times, utc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from turbine_health.feature_tables import signal_cells
from turbine_health.io.delta import TableStore
from turbine_health.tables import ASSET_LIVES, FAILURE_PREDICTIONS, TIME_TO_FAILURE_PREDICTIONS

THRESHOLD = 0.4
PLANT_SIGNALS = ("oil_temp_c", "vibration_mm_s")
_PROVENANCE = {
    "scored_at": utc("2030-01-01"),
    "data_age_hours": 0.2,
    "coverage": 1.0,
    "quality_status": "ok",
    "model_version": "3",
    "model_role": "champion",
    "run_id": "abc",
    "features_version": 5,
}


def reason(feature: str, contribution: float, words: str) -> tuple[str, float, float, float, str]:
    """One entry of `reasons`."""
    return (feature, 1.0, 0.5, contribution, words)


def risk(asset_id: str, window_end: datetime, probability: float | None, **changes: Any) -> dict[str, Any]:
    """A row of gold.failure_predictions; without a probability the turbine is stale."""
    known = probability is not None
    return {
        **_PROVENANCE,
        "asset_id": asset_id,
        "window_end": window_end,
        "horizon_days": 7,
        "failure_probability": probability,
        "raw_score": probability,
        "alert_threshold": THRESHOLD,
        "is_alert": probability >= THRESHOLD if probability is not None else None,
        "model_name": "Model_A_Production",
        "quality_status": "ok" if known else "stale",
        "data_age_hours": 0.2 if known else 30,
        **changes,
    }


def days_left(asset_id: str, window_end: datetime, days: float | None, **changes: Any) -> dict[str, Any]:
    """A row of gold.time_to_failure_predictions, its interval half to twice the days."""
    return {
        **_PROVENANCE,
        "asset_id": asset_id,
        "window_end": window_end,
        "predicted_time_to_failure_days": days,
        "lower_days": days / 2 if days is not None else None,
        "upper_days": days * 2 if days is not None else None,
        "raw_time_to_failure_days": days,
        "predicted_failure_date": window_end + timedelta(days=days) if days is not None else None,
        "model_name": "Model_B_Production",
        "classifier_version": "3",
        **changes,
    }


def risks(
    spark: SparkSession,
    asset_id: str,
    first_window_end: str,
    probabilities: Sequence[float | None],
    *,
    every_hours: float = 24,
    **changes: Any,
) -> DataFrame:
    """gold.failure_predictions of one turbine, one probability a window."""
    ends = times(first_window_end, len(probabilities), every_hours * 60)
    rows = [risk(asset_id, end, each, **changes) for end, each in zip(ends, probabilities, strict=True)]
    return frame(spark, rows, FAILURE_PREDICTIONS)


def remaining(
    spark: SparkSession, asset_id: str, first_window_end: str, days: Sequence[float | None], *, every_hours: float = 24
) -> DataFrame:
    """gold.time_to_failure_predictions of one turbine, one number of days a window."""
    ends = times(first_window_end, len(days), every_hours * 60)
    rows = [days_left(asset_id, end, each) for end, each in zip(ends, days, strict=True)]
    return frame(spark, rows, TIME_TO_FAILURE_PREDICTIONS)


def write_plant(store: TableStore) -> None:
    """Sixty days of five turbines, scored daily from 2024-01-01 to 2024-02-29, with readings to match.

    T01 alerts from 2024-02-03, fails on the 10th and runs again from the 12th. T02 alerts for the last five days
    and its vibration has shifted two weeks ago. T03 has been silent for three days. T04 fails unwarned on
    2024-02-20 and stays down. T05 is well, but its oil temperature has frozen.
    """
    low, high = 0.1, 0.8
    scores = {
        "T01": [high if 33 <= day < 40 else None if 40 <= day < 42 else low for day in range(60)],
        "T02": [low] * 55 + [high] * 5,
        "T03": [0.2] * 57 + [None] * 3,
        "T04": [0.15] * 50 + [None] * 10,
        "T05": [0.05] * 60,
    }
    hot = [reason("bearing_temp_c__mean_24h", 0.5, "bearing temperature 9 °C above its normal 62 °C, mean of 1 day")]
    ends = times("2024-01-01", 60, 1440)
    rows = [
        risk(name, end, each, reasons=hot) for name, scored in scores.items() for end, each in zip(ends, scored, strict=True)
    ]
    store.append(frame(store.spark, rows, FAILURE_PREDICTIONS), FAILURE_PREDICTIONS)
    left = {None: None, high: 5.0}
    days = [
        days_left(name, end, left.get(each, 40.0))
        for name, scored in scores.items()
        for end, each in zip(ends, scored, strict=True)
    ]
    store.append(frame(store.spark, days, TIME_TO_FAILURE_PREDICTIONS), TIME_TO_FAILURE_PREDICTIONS)
    running = [(asset_id, "2023-12-01", "2024-03-01") for asset_id in ("T02", "T03", "T05")]
    failed = [("T01", "2023-12-01", "2024-02-10", "gearbox"), ("T01", "2024-02-12", "2024-03-01")]
    store.append(lives(store.spark, *failed, *running, ("T04", "2023-12-01", "2024-02-20", "generator")), ASSET_LIVES)
    store.append(frame(store.spark, _plant_cells(), signal_cells(PLANT_SIGNALS)), signal_cells(PLANT_SIGNALS))


def score_last_day_again(store: TableStore) -> None:
    """What another champion, promoted after the last day of `write_plant`, says of that day: nothing that people were told."""
    later = {"model_version": "4", "scored_at": utc("2031-01-01")}
    for table, column, value in (
        (FAILURE_PREDICTIONS, "failure_probability", 0.99),
        (TIME_TO_FAILURE_PREDICTIONS, "predicted_time_to_failure_days", 0.5),
    ):
        last_day = store.read(table).where("window_end = (TIMESTAMP '2024-02-29')")
        again = last_day.withColumns({name: F.lit(given) for name, given in later.items()})
        is_scored = F.col(column).isNotNull()
        store.append(again.withColumn(column, F.when(is_scored, F.lit(value))).select(*table.schema.names), table)


def _plant_cells() -> list[dict[str, Any]]:
    """A cell a day. The days of all turbines rise and fall together; each turbine has its own level."""
    silent_from = {"T03": 57, "T04": 50}
    rows = []
    for number, asset_id in enumerate(["T01", "T02", "T03", "T04", "T05"]):
        for day, start in enumerate(times("2024-01-01", silent_from.get(asset_id, 60), 1440)):
            weather = 5 * (day % 7) + day / 2
            own = number + 0.1 * ((day * (number + 3)) % 11)
            values = {"oil_temp_c": 50 + weather + own, "vibration_mm_s": 2 + own / 10}
            if asset_id == "T02" and day >= 46:
                values["vibration_mm_s"] += 3
            spread = dict.fromkeys(values, 0.5)
            if asset_id == "T05" and day >= 55:
                values["oil_temp_c"], spread["oil_temp_c"] = 55.0, 0.0
            rows.append({
                "asset_id": asset_id, "cell_start": start, "readings": 144, "usable_readings": 144, "flagged_readings": 0,
                "expected_readings": 144,
                **{f"{name}__count": 144 for name in values},
                **{f"{name}__mean": value for name, value in values.items()},
                **{f"{name}__min": value - spread[name] for name, value in values.items()},
                **{f"{name}__max": value + spread[name] for name, value in values.items()},
            })  # fmt: skip
    return rows
