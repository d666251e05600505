"""What became of predictions: not before its time, and not more than anybody can know."""

from __future__ import annotations

import pytest
from builders import lives, utc
from predictions import remaining, risks
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from turbine_health.models.evaluation import confusion, score_counts
from turbine_health.monitor_tables import ALERT_EPISODES, PREDICTION_OUTCOMES, REALISED_METRICS, UNWARNED_FAILURES
from turbine_health.settings import LabelSettings
from turbine_health.tables import schema_differences
from turbine_health.transforms.episodes import lives_known_at
from turbine_health.transforms.outcomes import to_outcomes, to_realised_metrics, to_unwarned_failures

LABELS = LabelSettings(horizon_days=7, recovering_hours=0)
LOW, HIGH = 0.1, 0.8


@pytest.fixture(scope="module")
def history(spark: SparkSession) -> tuple[DataFrame, DataFrame, DataFrame]:
    """Daily windows. T01 alerts from the 17th, fails on 2024-01-21, runs again from the 23rd; T02 alerts on the 18th only."""
    runs = lives(
        spark,
        ("T01", "2024-01-01", "2024-01-21", "gearbox"),
        ("T01", "2024-01-23", "2024-02-20"),
        ("T02", "2024-01-01", "2024-02-20"),
    )
    alerting = [HIGH if 16 <= day < 20 else LOW for day in range(40)]
    predictions = risks(spark, "T01", "2024-01-01", alerting).unionByName(
        risks(spark, "T02", "2024-01-01", [LOW] * 17 + [HIGH] + [LOW] * 22)
    )
    days = remaining(spark, "T01", "2024-01-01", [max(20.0 - day, 1) for day in range(40)])
    return predictions.cache(), days.cache(), runs.cache()


def _outcomes(history: tuple[DataFrame, DataFrame, DataFrame], now: str) -> DataFrame:
    predictions, days, runs = history
    clock = F.lit(utc(now))
    return to_outcomes(predictions.where(F.col("window_end") <= clock), days, lives_known_at(runs, clock), LABELS, clock)


def _of(outcomes: DataFrame, asset_id: str, day: str) -> Row | None:
    return outcomes.where((F.col("asset_id") == asset_id) & (F.col("window_end") == F.lit(utc(day)))).head()


def test_an_outcome_is_there_as_soon_as_the_horizon_has_passed_and_not_before(
    history: tuple[DataFrame, DataFrame, DataFrame],
) -> None:
    assert _of(_outcomes(history, "2024-01-24 23:59"), "T01", "2024-01-18") is None
    row = _of(_outcomes(history, "2024-01-25"), "T01", "2024-01-18")
    assert row is not None
    assert (row.outcome, row.time_to_failure_days, row.failure_mode) == ("caught", 3.0, "gearbox")


def test_the_four_outcomes(history: tuple[DataFrame, DataFrame, DataFrame]) -> None:
    outcomes = _outcomes(history, "2024-02-15")
    assert _of(outcomes, "T01", "2024-01-16").outcome == "missed"
    assert _of(outcomes, "T01", "2024-01-17").outcome == "caught"
    assert _of(outcomes, "T02", "2024-01-17").outcome == "quiet"
    assert _of(outcomes, "T02", "2024-01-18").outcome == "false_alarm"


def test_while_down_nobody_knows(history: tuple[DataFrame, DataFrame, DataFrame]) -> None:
    row = _of(_outcomes(history, "2024-02-15"), "T01", "2024-01-22")
    assert (row.label_status, row.failure_within_7d, row.outcome) == ("down", None, None)


def test_records_that_end_before_the_horizon_give_no_outcome(spark: SparkSession) -> None:
    silent = lives(spark, ("T01", "2024-01-01", "2024-01-10"))
    predictions, days = risks(spark, "T01", "2024-01-02", [LOW] * 5), remaining(spark, "T01", "2024-01-02", [30] * 5)
    clock = F.lit(utc("2024-03-01"))
    known = to_outcomes(predictions, days, lives_known_at(silent, clock), LABELS, clock).collect()
    assert sorted(row.window_end.day for row in known) == [2, 3]


def test_days_left_are_compared_once_the_failure_is_on_record(history: tuple[DataFrame, DataFrame, DataFrame]) -> None:
    early = _of(_outcomes(history, "2024-01-15"), "T01", "2024-01-05")
    assert (early.error_days, early.is_within_interval) == (None, None)
    late = _of(_outcomes(history, "2024-02-15"), "T01", "2024-01-05")
    assert (late.time_to_failure_days, late.error_days, late.is_within_interval) == (16.0, 0.0, True)


def test_realised_counts_are_those_of_the_evaluation_on_the_same_rows(
    history: tuple[DataFrame, DataFrame, DataFrame],
) -> None:
    outcomes = _outcomes(history, "2024-02-15")
    is_alert = F.col("failure_probability") >= 0.4
    scored = outcomes.withColumns({"raw_score": F.col("failure_probability"), "is_alert": is_alert})
    evaluated = confusion(score_counts(scored).toPandas())
    fleet = to_realised_metrics(outcomes).where("asset_id = 'all'").agg(
        *(F.sum(name).alias(name) for name in ("quiet", "false_alarms", "missed", "caught"))
    ).head()  # fmt: skip
    assert tuple(fleet) == (evaluated.tn, evaluated.fp, evaluated.fn, evaluated.tp)
    assert evaluated.tp == 4


def test_realised_metrics_of_a_month_and_turbine_by_hand(history: tuple[DataFrame, DataFrame, DataFrame]) -> None:
    metrics = to_realised_metrics(_outcomes(history, "2024-02-15"))
    january = metrics.where("asset_id = 'T01' AND month = TIMESTAMP '2024-01-01'").head()
    # Windows of the 14th to the 20th have the failure ahead; the last four alert. The 21st and 22nd are down.
    assert (january.windows, january.known_windows) == (31, 29)
    assert (january.caught, january.missed, january.false_alarms) == (4, 3, 0)
    assert (january.precision, january.recall) == (1.0, pytest.approx(4 / 7))
    assert (january.failures, january.failures_warned) == (1, 1)


def test_rates_are_null_where_there_is_nothing_to_rate(history: tuple[DataFrame, DataFrame, DataFrame]) -> None:
    quiet = to_realised_metrics(_outcomes(history, "2024-02-15")).where("asset_id = 'T02' AND month > '2024-01-31'").head()
    assert (quiet.precision, quiet.recall, quiet.mae_days) == (None, None, None)


def test_a_failure_without_an_episode_is_listed_with_its_last_scores(
    spark: SparkSession, history: tuple[DataFrame, DataFrame, DataFrame]
) -> None:
    predictions, _, runs = history
    none = spark.createDataFrame([], ALERT_EPISODES.schema)
    unwarned = to_unwarned_failures(predictions, runs, none, 7)
    (failure,) = unwarned.collect()
    assert (failure.asset_id, failure.scored_windows, failure.highest_probability) == ("T01", 7, HIGH)
    assert (failure.last_window_end.day, failure.life_days, failure.failure_mode) == (20, 20.0, "gearbox")
    assert schema_differences(unwarned.schema, UNWARNED_FAILURES.schema) == []


def test_a_failure_that_an_episode_announced_is_not_listed(
    spark: SparkSession, history: tuple[DataFrame, DataFrame, DataFrame]
) -> None:
    predictions, _, runs = history
    warned = spark.sql("SELECT 'T01' AS asset_id, TIMESTAMP '2024-01-21' AS failed_at")
    assert to_unwarned_failures(predictions, runs, warned, 7).isEmpty()


def test_outcomes_and_metrics_have_the_catalog_columns(history: tuple[DataFrame, DataFrame, DataFrame]) -> None:
    outcomes = _outcomes(history, "2024-02-15")
    assert schema_differences(outcomes.schema, PREDICTION_OUTCOMES.schema) == []
    assert schema_differences(to_realised_metrics(outcomes).schema, REALISED_METRICS.schema) == []
