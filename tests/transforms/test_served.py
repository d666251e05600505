"""One prediction a window is what people were given, wherever it is shown."""

from __future__ import annotations

import pytest
from builders import frame, utc
from predictions import days_left, risks
from pyspark.sql import DataFrame, SparkSession

from turbine_health.settings import CostSettings
from turbine_health.tables import TIME_TO_FAILURE_PREDICTIONS
from turbine_health.transforms.report_frames import to_newest_predictions, to_prediction_history
from turbine_health.transforms.served import served

DAY = utc("2024-01-01")


@pytest.fixture(scope="module")
def two_champions(spark: SparkSession) -> DataFrame:
    """One window that version 1 scored first, version 2 after its promotion, and a what-if before both."""
    return (
        risks(spark, "T01", "2024-01-01", [0.1], model_version="1", scored_at=utc("2024-01-01 00:10"))
        .unionByName(risks(spark, "T01", "2024-01-01", [0.2], model_version="2", scored_at=utc("2024-01-05")))
        .unionByName(
            risks(spark, "T01", "2024-01-01", [0.3], model_version="9", scored_at=utc("2023-01-01"), model_role="what_if")
        )
    )


def test_people_were_served_the_champions_first_prediction(two_champions: DataFrame) -> None:
    assert [row.failure_probability for row in two_champions.transform(served).collect()] == [0.1]


def test_a_row_without_a_prediction_is_no_answer_where_a_later_champion_gave_one(spark: SparkSession) -> None:
    rows = risks(spark, "T01", "2024-01-01", [None], model_version="1", scored_at=utc("2024-01-01")).unionByName(
        risks(spark, "T01", "2024-01-01", [0.2], model_version="2", scored_at=utc("2024-01-05"))
    )
    assert [row.failure_probability for row in rows.transform(served).collect()] == [0.2]


def test_the_report_shows_what_was_served(spark: SparkSession, two_champions: DataFrame) -> None:
    left = frame(
        spark,
        [
            days_left("T01", DAY, 30, model_version="1", scored_at=utc("2024-01-01")),
            days_left("T01", DAY, 20, model_version="2", scored_at=utc("2024-01-05")),
        ],
        TIME_TO_FAILURE_PREDICTIONS,
    )
    (newest,) = to_newest_predictions(two_champions, left, CostSettings()).collect()
    (point,) = to_prediction_history(two_champions, left, ["T01"], utc("2023-12-01")).collect()
    for shown in (newest, point):
        assert (shown.failure_probability, shown.predicted_time_to_failure_days) == (0.1, 30)
