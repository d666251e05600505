"""What to do next with a turbine: its open alert and whether it runs come before what its newest window says."""

from __future__ import annotations

from datetime import datetime

from builders import frame, lives, utc
from predictions import days_left, reason, risk
from pyspark.sql import DataFrame, Row, SparkSession

from turbine_health.monitor_tables import ALERT_EPISODES, MAINTENANCE_WORKLIST
from turbine_health.settings import CostSettings
from turbine_health.tables import FAILURE_PREDICTIONS, TIME_TO_FAILURE_PREDICTIONS, schema_differences
from turbine_health.transforms.worklist import to_worklist

YESTERDAY, TODAY = utc("2024-01-31"), utc("2024-02-01")
RUNNING = (("T01", "2024-01-01", "2024-06-01"), ("T02", "2024-01-01", "2024-06-01"))
HOT = [reason("b__mean_24h", 0.2, "hot bearing")]


def _worklist(
    spark: SparkSession,
    scores: dict[str, tuple[float | None, float | None]],
    runs: DataFrame,
    open_alerts: dict[str, datetime],
) -> list[Row]:
    """Of turbines scored yesterday and today."""
    rows = [
        risk(name, end, score, reasons=HOT if score is not None else None)
        for name, pair in scores.items()
        for end, score in zip((YESTERDAY, TODAY), pair, strict=True)
    ]
    days = [days_left(name, TODAY, 30 if today is not None else None) for name, (_, today) in scores.items()]
    episodes = [
        {
            "asset_id": name, "opened_at": opened, "status": "open", "first_alert_at": opened, "last_alert_at": opened,
            "alerting_windows": 3, "peak_probability": 0.9, "peak_at": opened, "model_version": "3",
        }
        for name, opened in open_alerts.items()
    ]  # fmt: skip
    worklist = to_worklist(
        frame(spark, rows, FAILURE_PREDICTIONS),
        frame(spark, days, TIME_TO_FAILURE_PREDICTIONS),
        frame(spark, episodes, ALERT_EPISODES),
        runs,
        CostSettings(),
    )
    assert schema_differences(worklist.schema, MAINTENANCE_WORKLIST.schema) == []
    return worklist.orderBy("rank").collect()


def test_a_turbine_that_falls_silent_in_an_open_alert_is_visited_for_what_was_last_said(spark: SparkSession) -> None:
    scores = {"T01": (0.9, None), "T02": (0.1, 0.1)}
    first, second = _worklist(spark, scores, lives(spark, *RUNNING), {"T01": YESTERDAY})
    assert (first.asset_id, first.action, first.failure_probability) == ("T01", "visit", None)
    assert first.expected_cost_avoided > second.expected_cost_avoided
    assert first.why == "data stale; before: hot bearing"


def test_a_silent_turbine_without_an_alert_needs_its_data_back(spark: SparkSession) -> None:
    scores = {"T01": (0.9, None), "T02": (0.1, 0.1)}
    *_, last = _worklist(spark, scores, lives(spark, *RUNNING), {})
    assert (last.asset_id, last.action, last.expected_cost_avoided, last.why) == ("T01", "restore_data", None, "data stale")


def test_a_turbine_that_is_down_is_not_visited_however_high_its_score(spark: SparkSession) -> None:
    runs = lives(spark, ("T01", "2024-01-01", "2024-01-30", "gearbox"), RUNNING[1])
    scores = {"T01": (0.9, 0.9), "T02": (0.1, 0.1)}
    *_, last = _worklist(spark, scores, runs, {})
    assert (last.asset_id, last.action, last.expected_cost_avoided) == ("T01", "down", None)


def test_a_turbine_that_runs_again_after_a_repair_is_not_down(spark: SparkSession) -> None:
    runs = lives(spark, ("T01", "2024-01-01", "2024-01-10", "gearbox"), ("T01", "2024-01-12", "2024-06-01"))
    (only,) = _worklist(spark, {"T01": (0.9, 0.9)}, runs, {})
    assert only.action == "visit"


def test_a_turbine_without_any_life_on_record_is_taken_to_run(spark: SparkSession) -> None:
    (only,) = _worklist(spark, {"T01": (0.9, 0.9)}, lives(spark, RUNNING[1]), {})
    assert only.action == "visit"
