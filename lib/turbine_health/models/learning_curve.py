"""Would more turbines help? The same test, judged by forests that learned from fewer."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd
from pyspark.ml import Estimator
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from turbine_health.models.evaluation import error_sums, ranking, score_counts
from turbine_health.models.forests import DAYS, LABEL, hash_share
from turbine_health.models.scoring import with_raw_days, with_raw_score
from turbine_health.models.validation import Scorer

logger = logging.getLogger("turbine_health")


def failure_learning_curve(
    rows: DataFrame, trainable: Column, judged: Column, estimator: Estimator[Any], shares: Sequence[float]
) -> pd.DataFrame:
    """PR-AUC by share of the training turbines.

    Args:
        rows: Cached, in training order, labelled.
        trainable: Which rows a forest may learn from.
        judged: Which rows to score: the test.
        estimator: Unfitted.
        shares: Of the training turbines, 0 to 1; none computes nothing.

    Returns:
        One row per share that holds both classes: `share`, `turbines`, `rows` (learned from), `score`.
    """
    learned = _learned(rows, trainable, shares, at_least=(F.col(LABEL) == 0, F.col(LABEL) == 1))
    if learned.empty:
        return learned
    scored = _by_share_of_turbines(rows, trainable, judged, estimator, list(learned["share"]), with_raw_score)
    counts = score_counts(scored, "share").toPandas()
    areas = {share: ranking(of_share).pr_auc for share, of_share in counts.groupby("share")}
    curve: pd.DataFrame = learned.assign(score=learned["share"].map(areas))
    return curve


def time_learning_curve(
    rows: DataFrame, trainable: Column, judged: Column, estimator: Estimator[Any], shares: Sequence[float]
) -> pd.DataFrame:
    """Root mean squared error (days, where they are known) by share of the training turbines.

    The same as `failure_learning_curve`, of rows whose days are known.
    """
    learned = _learned(rows, trainable, shares, at_least=(F.col(DAYS).isNotNull(),))
    if learned.empty:
        return learned
    scored = _by_share_of_turbines(rows, trainable, judged, estimator, list(learned["share"]), with_raw_days)
    by_turbine = error_sums(scored, "share", "raw_time_to_failure_days", DAYS)
    sums = by_turbine.groupBy("share").agg(F.sum("squared").alias("squared"), F.sum("rows").alias("rows")).toPandas()
    errors = np.sqrt(sums["squared"] / sums["rows"])
    curve: pd.DataFrame = learned.assign(score=learned["share"].map(dict(zip(sums["share"], errors, strict=True))))
    return curve


def _learned(rows: DataFrame, trainable: Column, shares: Sequence[float], at_least: Sequence[Column]) -> pd.DataFrame:
    """Turbines and rows of each share in rising order; without shares where a kind of row in `at_least` is missing."""
    if not shares:
        nothing: pd.DataFrame = pd.DataFrame()
        return nothing
    ordered = sorted(set(shares))
    counts = [
        F.struct(
            F.lit(share).alias("share"),
            F.countDistinct(F.when(_is_in_share(share), F.col("asset_id"))).alias("turbines"),
            F.count_if(_is_in_share(share)).alias("rows"),
            F.least(F.lit(1), *(F.count_if(_is_in_share(share) & kind) for kind in at_least)).alias("enough"),
        )
        for share in ordered
    ]
    table: pd.DataFrame = rows.where(trainable).agg(F.array(*counts).alias("shares")).select(F.inline("shares")).toPandas()
    enough: pd.DataFrame = table[table["enough"] > 0].drop(columns="enough").reset_index(drop=True)
    for share in sorted(set(ordered) - set(enough["share"])):
        logger.warning("no learning curve at %g of the training turbines: too few to learn from", share)
    return enough


def _by_share_of_turbines(
    rows: DataFrame, trainable: Column, judged: Column, estimator: Estimator[Any], shares: Sequence[float], score: Scorer
) -> DataFrame:
    """Score the same rows with forests grown from more and more of the training turbines.

    Grain: one row per row to be judged and `share`.

    Args:
        rows: As for `out_of_fold`.
        trainable: Which rows the estimator may learn from.
        judged: Which rows to score.
        estimator: Unfitted.
        shares: Of the turbines, above 0 to 1. A larger share holds all turbines of a smaller one.
        score: Adds the prediction of a fitted model.

    Returns:
        The rows with `score`'s column and `share`, without `features`.
    """
    scored = [
        score(rows.where(judged), estimator.fit(rows.where(trainable & _is_in_share(share)))).withColumn("share", F.lit(share))
        for share in shares
    ]
    return reduce(DataFrame.unionByName, scored).drop("features")


def _is_in_share(share: float) -> Column:
    """Whether a row's turbine is among the first `share` (0 to 1) of all, in an order that hangs on their names alone."""
    return hash_share(F.col("asset_id"), F.lit("learning curve")) < share
