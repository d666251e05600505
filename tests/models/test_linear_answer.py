"""The linear regressions whose answers the trees for days left may get as further features."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.ml.feature import VectorAssembler
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from turbine_health.models.forests import DAYS, FEATURES, WEIGHT, feature_gains, kind_of_trees, regressor
from turbine_health.settings import ForestSettings, LinearAnswerSettings, ModelSettings

SIGNALS = [f"x{number}" for number in range(8)]
SHALLOW = ModelSettings(regressor=ForestSettings(trees=5, depth=3, min_rows_per_leaf=5, features_per_split="all"))


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> DataFrame:
    """Days left that are the sum of eight signals: nothing that three splits could follow."""
    values = np.random.default_rng(1).normal(size=(400, len(SIGNALS)))
    table = [(*map(float, row), float(60 + 5 * row.sum()), 1.0) for row in values]
    frame = spark.createDataFrame(table, [*SIGNALS, DAYS, WEIGHT])
    return VectorAssembler(inputCols=SIGNALS, outputCol=FEATURES).transform(frame).cache()


def test_trees_follow_a_sum_of_many_signals_only_with_linear_answers(rows: DataFrame):
    helped = SHALLOW.model_copy(update={"linear_answers": LinearAnswerSettings(caps_days=(200, 60), penalty=0.001)})
    assert mean_error(rows, helped) < 0.5 * mean_error(rows, SHALLOW)


def test_the_gain_of_the_linear_answers_come_last(rows: DataFrame):
    helped = SHALLOW.model_copy(update={"linear_answers": LinearAnswerSettings(caps_days=(200, 60), penalty=0.001)})
    gains = feature_gains(regressor(helped).fit(rows))
    assert len(gains) == len(SIGNALS) + 2
    assert gains[-2] == max(gains)
    assert kind_of_trees(regressor(helped)) == kind_of_trees(regressor(SHALLOW)) == "RandomForestRegressor"


def mean_error(rows: DataFrame, settings: ModelSettings) -> float:
    scored = regressor(settings).fit(rows).transform(rows)
    row = scored.agg(F.avg(F.abs(F.col("prediction") - F.col(DAYS)))).first()
    assert row is not None
    return float(row[0])
