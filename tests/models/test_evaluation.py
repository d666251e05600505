import numpy as np
import pandas as pd
import pytest
from builders import frame
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType, IntegerType, StringType, StructField, StructType

from turbine_health.models.evaluation import (
    Confusion,
    confusion,
    error_metrics,
    error_sums,
    expected_calibration_error,
    ranking,
    reliability,
    score_counts,
)
from turbine_health.models.resampling import interval_of, resampled_average_precision, resampled_sums

SCORED = StructType([
    StructField("asset_id", StringType()), StructField("raw_score", DoubleType()),
    StructField("failure_within_7d", IntegerType()),
])  # fmt: skip


def counts(*rows):
    return pd.DataFrame(rows, columns=["raw_score", "rows", "positives"])


def test_rows_without_a_label_are_not_counted(spark):
    scored = frame(spark, [{"raw_score": 0.5, "failure_within_7d": 1}, {"raw_score": 0.5}], SCORED)
    assert [row.asDict() for row in score_counts(scored).collect()] == [{"raw_score": 0.5, "rows": 1, "positives": 1}]


def test_perfect_ranking_has_both_areas_one():
    ranked = ranking(counts((0.9, 2, 2), (0.1, 8, 0)))
    assert (ranked.roc_auc, ranked.pr_auc, ranked.base_rate) == (1.0, 1.0, 0.2)


def test_one_score_for_all_is_no_better_than_chance():
    ranked = ranking(counts((0.5, 10, 2)))
    assert ranked.roc_auc == pytest.approx(0.5)
    assert ranked.pr_auc == pytest.approx(0.2)


def test_areas_worked_by_hand_with_a_tie():
    # From the top: one positive; a tie of one positive and one negative; one negative.
    ranked = ranking(counts((0.9, 1, 1), (0.5, 2, 1), (0.1, 1, 0)))
    assert ranked.pr_auc == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert ranked.roc_auc == pytest.approx((1 + 1 + 0.5 + 1) / 4)


def test_areas_are_unknown_without_both_classes():
    assert ranking(counts((0.9, 3, 0))).pr_auc is None
    assert ranking(counts((0.9, 3, 3))).roc_auc is None


def test_confusion_counts_rows_by_alert_and_outcome():
    table = pd.DataFrame({"is_alert": [True, False], "rows": [4, 10], "positives": [3, 1]})
    assert confusion(table) == Confusion(tn=9, fp=1, fn=1, tp=3)
    assert confusion(table).metrics()["precision"] == 0.75


def test_metrics_without_any_alert_are_zero_not_an_error():
    assert Confusion(tn=5, fp=0, fn=0, tp=0).metrics() == {"accuracy": 1.0, "precision": 0, "recall": 0, "f1_score": 0}


def test_calibration_error_is_the_mean_distance_by_rows():
    table = pd.DataFrame({"said": [0.05, 0.95], "rows": [90, 10], "positives": [0, 9]})
    assert expected_calibration_error(reliability(table, "said")) == pytest.approx(0.9 * 0.05 + 0.1 * 0.05)


def test_errors_worked_by_hand(spark):
    schema = StructType([StructField(name, DoubleType()) for name in ("said", "was")])
    rows = frame(spark, [{"said": 3, "was": 1}, {"said": 5, "was": 5}, {"said": 7, "was": None}], schema)
    sums = error_sums(rows.selectExpr("'test' AS view", "'T01' AS asset_id", "*"), "view", "said", "was").collect()[0].asDict()
    assert error_metrics(sums) == {"mae": 1.0, "mse": 2.0, "rmse": 2**0.5, "r2_score": 1 - 2 / 4}


def test_errors_of_no_rows_are_unknown():
    assert set(error_metrics({"rows": 0}).values()) == {None}


def test_drawing_one_turbine_again_moves_all_of_its_rows_together(spark):
    totals = spark.sql("SELECT 'T01' AS asset_id, 10 AS rows, 5 AS hits UNION ALL SELECT 'T02', 20, 0")
    draws = resampled_sums(totals, ["rows", "hits"], 200)
    assert (draws["rows"][0], draws["hits"][0]) == (30, 5)
    assert set((draws["rows"] - 2 * draws["hits"]) % 20) == {0}
    assert draws["hits"][1:].mean() == pytest.approx(5, abs=1.2)


def test_resampled_pr_auc_lies_around_the_exact_one(spark):
    draw = np.random.default_rng(3)
    rows = [
        {
            "asset_id": f"T{number % 40:02d}",
            "raw_score": round(float(draw.beta(2 + 3 * label, 4)), 5),
            "failure_within_7d": label,
        }
        for number, label in enumerate(draw.integers(0, 2, 800).tolist())
    ]
    scored = frame(spark, rows, SCORED).withColumn("view", F.lit("test"))
    table = score_counts(scored).toPandas()
    areas = resampled_average_precision(scored, "view", table, 60).set_index("draw")["pr_auc"]
    low, high = interval_of(areas, 0.9)
    exact = ranking(table).pr_auc
    assert exact == pytest.approx(areas[0], abs=0.02)
    assert low < exact < high < 1
