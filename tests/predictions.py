"""Rows of both prediction tables, stating only what a test is about."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from builders import frame, times, utc
from pyspark.sql import DataFrame, SparkSession

from turbine_health.tables import FAILURE_PREDICTIONS, TIME_TO_FAILURE_PREDICTIONS

THRESHOLD = 0.4
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
