"""The learning curve on twelve turbines that a single split tells apart."""

from __future__ import annotations

import pandas as pd
import pytest
from pyspark.ml.classification import RandomForestClassifier
from pyspark.ml.functions import array_to_vector
from pyspark.ml.regression import RandomForestRegressor
from pyspark.sql import functions as F

from turbine_health.models.forests import DAYS, LABEL
from turbine_health.models.learning_curve import failure_learning_curve, time_learning_curve

SHARES = (1.0, 0.6)


def is_part(part):
    return F.col("part") == part


def classifier():
    return RandomForestClassifier(labelCol=LABEL, predictionCol="predicted_class", numTrees=1, seed=1)


def regressor():
    return RandomForestRegressor(labelCol=DAYS, numTrees=1, seed=1)


@pytest.fixture(scope="module")
def rows(spark):
    """A hot and a cool window of each turbine in both parts; the hot one fails in 2 days, the cool one in 20."""
    parts, days = F.explode(F.array(F.lit("train"), F.lit("test"))), F.explode(F.array(F.lit(2.0), F.lit(20.0)))
    named = spark.range(12).select(F.format_string("T%02d", "id").alias("asset_id"), parts.alias("part"))
    return named.select("*", days.alias(DAYS)).select(
        "*", (F.col(DAYS) < 7).cast("int").alias(LABEL), array_to_vector(F.array(100.0 - F.col(DAYS))).alias("features")
    )


def test_all_turbines_teach_at_a_share_of_one_and_fewer_at_a_smaller_one(rows):
    curve = failure_learning_curve(rows, is_part("train"), is_part("test"), classifier(), SHARES)
    assert list(curve["share"]) == [0.6, 1.0]
    assert 0 < curve["turbines"].iloc[0] < curve["turbines"].iloc[1] == 12
    assert list(curve["rows"]) == [2 * turbines for turbines in curve["turbines"]]
    assert list(curve["score"]) == [1.0, 1.0]


def test_the_error_of_the_days_is_measured_at_each_share(rows):
    curve = time_learning_curve(rows, is_part("train"), is_part("test"), regressor(), (1.0,))
    assert list(curve["score"]) == [0.0]
    # Without hot windows all days are taken for 20: off by 18 in half of the test rows.
    curve = time_learning_curve(rows, is_part("train") & (F.col(LABEL) == 0), is_part("test"), regressor(), (1.0,))
    assert curve["score"].iloc[0] == pytest.approx((18**2 / 2) ** 0.5)


def test_a_share_that_holds_no_failing_turbine_is_left_out(rows):
    assert failure_learning_curve(rows, is_part("train") & (F.col(LABEL) == 0), is_part("test"), classifier(), SHARES).empty


@pytest.mark.usefixtures("spark")
@pytest.mark.parametrize("curve", [failure_learning_curve, time_learning_curve])
def test_without_shares_no_row_is_looked_at(curve):
    assert curve(None, None, None, None, ()).equals(pd.DataFrame())
