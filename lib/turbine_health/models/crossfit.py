"""Forests that have not seen the turbine they judge, and reference fits."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

from pyspark.ml import Estimator, Transformer
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from turbine_health.models.forests import hash_share

Scorer = Callable[[DataFrame, Transformer], DataFrame]


def out_of_fold(rows: DataFrame, trainable: Column, estimator: Estimator[Any], folds: int, score: Scorer) -> DataFrame:
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
    rows: DataFrame, trainable: Column, estimator: Estimator[Any], test_share: float, score: Scorer
) -> DataFrame:
    """Score random rows of the training part with a forest grown from its other rows.

    This is the split that flatters: hours before and after each scored row were trained on.

    Grain: as the rows held out, about `test_share` of the training part.

    Args:
        rows: As for `out_of_fold`.
        trainable: Which rows the estimator may learn from: of the training part, with a label.
        estimator: Unfitted.
        test_share: Share of rows to hold out, 0 to 1.
        score: Adds the prediction of a fitted model.

    Returns:
        The rows with `score`'s column and without `features`.
    """
    training = rows.where(trainable)
    is_held_out = hash_share(F.col("asset_id"), F.col("window_end"), F.lit("random")) < test_share
    return score(training.where(is_held_out), estimator.fit(training.where(~is_held_out))).drop("features")
