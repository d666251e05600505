"""What the fleet report shows of the tables."""

from __future__ import annotations

from typing import Any

from builders import events, frame, lives, readings, utc

from turbine_health.feature_tables import signal_cells
from turbine_health.settings import CostSettings
from turbine_health.tables import FAILURE_PREDICTIONS, QUARANTINE, TIME_TO_FAILURE_PREDICTIONS
from turbine_health.transforms import report_frames


def prediction(window_end: str, probability: float, role: str = "champion", version: str = "1", **more: Any) -> dict[str, Any]:
    return {
        "asset_id": "T01",
        "window_end": utc(window_end),
        "scored_at": utc(window_end),
        "horizon_days": 7,
        "failure_probability": probability,
        "alert_threshold": 0.3,
        "quality_status": "ok",
        "model_name": "Model_A_Production",
        "model_version": version,
        "model_role": role,
        "run_id": "0",
        "features_version": 1,
        **more,
    }


def test_the_newest_served_window_counts_however_new_a_what_if_is(spark):
    rows = [prediction("2024-01-01", 0.1), prediction("2024-01-02", 0.2), prediction("2024-01-03", 0.9, role="what_if")]
    risks, left = frame(spark, rows, FAILURE_PREDICTIONS), frame(spark, [], TIME_TO_FAILURE_PREDICTIONS)
    newest = report_frames.to_newest_predictions(risks, left, CostSettings()).collect()
    assert [(row["failure_probability"], row["predicted_time_to_failure_days"]) for row in newest] == [(0.2, None)]


def test_only_reasons_that_raise_the_risk_are_given(spark):
    reasons = [("a", 1.0, 1.0, 0.3, "bearing hot"), ("b", 1.0, 1.0, -0.2, "oil cool")]
    risks = frame(spark, [prediction("2024-01-01", 0.1, reasons=reasons)], FAILURE_PREDICTIONS)
    left = frame(spark, [], TIME_TO_FAILURE_PREDICTIONS)
    assert report_frames.to_newest_predictions(risks, left, CostSettings()).first()["reasons"] == ["bearing hot"]


def test_history_shows_one_row_a_window_and_the_served_one_first(spark):
    rows = [prediction("2024-01-01", 0.1), prediction("2024-01-01", 0.9, role="what_if", version="2")]
    risks, left = frame(spark, rows, FAILURE_PREDICTIONS), frame(spark, [], TIME_TO_FAILURE_PREDICTIONS)
    history = report_frames.to_prediction_history(risks, left, ["T01"], utc("2023-12-01")).collect()
    assert [row["failure_probability"] for row in history] == [0.1]


def test_a_daily_mean_weighs_cells_by_their_readings_and_passes_over_empty_ones(spark):
    cells = [(1, 10.0), (3, 20.0), (0, None)]
    rows = [
        {
            "asset_id": "T01", "cell_start": utc(f"2024-01-01 0{hour}:00"), "readings": 6, "usable_readings": 6,
            "flagged_readings": 0, "expected_readings": 6, "oil_c__count": count, "oil_c__mean": mean, "oil_c__min": mean,
            "oil_c__max": mean,
        }
        for hour, (count, mean) in enumerate(cells)
    ]  # fmt: skip
    day = report_frames.to_daily_signals(frame(spark, rows, signal_cells(["oil_c"])), ["oil_c"], utc("2024-01-01")).first()
    assert (day["oil_c"], day["oil_c_low"], day["oil_c_high"]) == (17.5, 10.0, 20.0)


def test_flags_are_counted_beside_all_readings_of_the_day(spark):
    frame_ = readings(spark, "T01", "2024-01-01", oil_c=[1, 2, 3], quality_flags=[["oil_c:spike"], [], []])
    rows = [(row["flag"], row["readings"]) for row in report_frames.to_flag_days(frame_, utc("2024-01-01")).collect()]
    assert rows == [(None, 3), ("oil_c:spike", 1)]


def test_failures_come_from_the_lives_and_everything_else_from_the_log(spark):
    runs = lives(spark, ("T01", "2024-01-01", "2024-01-05", "gearbox"), ("T01", "2024-01-07", "2024-02-01"))
    log = events(spark, ("T01", "failure", "2024-01-05", None, "gearbox"), ("T01", "stop", "2024-01-10", None, None))
    rows = report_frames.to_events(log, runs).orderBy("started_at").collect()
    assert [(row["kind"], row["ended_at"], row["component"]) for row in rows] == [
        ("failure", utc("2024-01-07").replace(tzinfo=None), "gearbox"),
        ("stop", None, None),
    ]


def test_a_row_set_aside_for_two_reasons_counts_for_both(spark):
    row = {
        "value": "x", "reasons": ["future_time: in 2030", "unknown_asset: T99"], "_source": "tests", "_source_file": "a.csv",
        "_source_row": 1, "_ingested_at": utc("2024-01-01"), "_quarantined_at": utc("2024-01-01"),
    }  # fmt: skip
    counts = report_frames.to_quarantine_counts(frame(spark, [row], QUARANTINE)).collect()
    assert [(each["code"], each["rows"], each["newest"]) for each in counts] == [
        ("future_time", 1, None),
        ("unknown_asset", 1, None),
    ]
