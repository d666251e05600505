"""Fits beside the model's own: forests that have not seen the turbine they judge, and what a model must beat."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

from pyspark.ml import Estimator, Pipeline, Transformer
from pyspark.ml.classification import RandomForestClassifier
from pyspark.ml.feature import VectorSlicer
from pyspark.ml.regression import RandomForestRegressor
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from turbine_health.models.forests import DAYS, FEATURES, LABEL, WEIGHT, hash_share

AGE = "asset__age_days"
# One column has few places to split at.
_AGE_FOREST: dict[str, Any] = {"featuresCol": "age", "weightCol": WEIGHT, "maxDepth": 4, "minInstancesPerNode": 50, "seed": 1}
_AGE_TREES = 10

Unfitted = Estimator[Any]
Scorer = Callable[[DataFrame, Transformer], DataFrame]


def out_of_fold(rows: DataFrame, trainable: Column, estimator: Unfitted, folds: int, score: Scorer) -> DataFrame:
    """Score every turbine with a forest grown from the other folds' training rows.

    Grain: as the rows of `rows` that belong to a fold.

    Args:
        rows: Cached, in training order. Needs `features`, `fold`, and what `estimator` learns from.
        trainable: Which rows the estimator may learn from: of the training part, with a label.
        estimator: Unfitted.
        folds: How many there are.
        score: Adds the prediction of a fitted model.

    Returns:
        The rows with `score`'s column and without `features`.
    """
    training = rows.where(trainable)
    scored = [
        score(rows.where(F.col("fold") == fold), estimator.fit(training.where(F.col("fold") != fold))).drop("features")
        for fold in range(folds)
    ]
    return reduce(DataFrame.unionByName, scored)


def random_reference(
    rows: DataFrame, judged: Column, trainable: Column, estimator: Unfitted, test_share: float, score: Scorer
) -> DataFrame:
    """Score random rows with a forest grown from the others.

    This is the split that flatters: hours before and after each scored row were trained on.

    Grain: as the rows held out, about `test_share` of those to be judged.

    Args:
        rows: As for `out_of_fold`.
        judged: Which rows may be held out and scored.
        trainable: Which of the others the estimator may learn from.
        estimator: Unfitted.
        test_share: Share of rows to hold out, 0 to 1.
        score: Adds the prediction of a fitted model.

    Returns:
        The rows with `score`'s column and without `features`.
    """
    is_held_out = hash_share(F.col("asset_id"), F.col("window_end"), F.lit("random")) < test_share
    model = estimator.fit(rows.where(trainable & ~is_held_out))
    return score(rows.where(judged & is_held_out), model).drop("features")


def age_classifier(age_slot: int) -> Pipeline:
    """Unfitted: the chance of a failure from the days since the last repair alone. `age_slot`: place in the vector."""
    forest = RandomForestClassifier(labelCol=LABEL, predictionCol="predicted_class", numTrees=_AGE_TREES, **_AGE_FOREST)
    return Pipeline(stages=[_age_only(age_slot), forest])


def age_regressor(age_slot: int) -> Pipeline:
    """Unfitted: the days left from the days since the last repair alone. `age_slot`: place in the vector."""
    return Pipeline(stages=[_age_only(age_slot), RandomForestRegressor(labelCol=DAYS, numTrees=_AGE_TREES, **_AGE_FOREST)])


def _age_only(age_slot: int) -> VectorSlicer:
    return VectorSlicer(inputCol=FEATURES, outputCol="age", indices=[age_slot])
