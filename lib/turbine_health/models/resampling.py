"""Confidence by drawing whole turbines again.

The rows of one turbine stand or fall together, so they prove less than they count.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import reduce

import numpy as np
import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from turbine_health.models.evaluation import average_precision
from turbine_health.models.forests import hash_share

# How often a turbine is drawn: Poisson with mean 1, cumulated; a turbine more than six times is 1 draw in 12,000.
_POISSON = (0.367879, 0.735759, 0.919699, 0.981012, 0.996340, 0.999406)
SCORE_BINS = 100


def resampled_sums(totals: DataFrame, columns: Sequence[str], draws: int, by: Sequence[str] = ()) -> pd.DataFrame:
    """Sums over fleets drawn from the turbines, each turbine none, one or several times.

    Args:
        totals: Sums that are one turbine's. Needs `asset_id`, `columns` and `by`.
        columns: What to sum.
        draws: How many fleets to draw. The draws depend on the turbines' names alone, so they are the same for every
            model and every run.
        by: Further keys to keep apart.

    Returns:
        One row per `draw` and `by`, however large the fleet. Draw 0 is the fleet as it is.
    """
    drawn = totals.withColumn("draw", F.explode(F.sequence(F.lit(0), F.lit(draws)))).withColumn("times", _times_drawn())
    sums = [F.sum(F.col(name) * F.col("times")).alias(name) for name in columns]
    summed: pd.DataFrame = drawn.where("times > 0").groupBy("draw", *by).agg(*sums).orderBy("draw", *by).toPandas()
    return summed


def resampled_average_precision(scored: DataFrame, key: str, counts: pd.DataFrame, draws: int) -> pd.DataFrame:
    """PR-AUC of each drawn fleet.

    Args:
        scored: Needs `key`, `asset_id`, `raw_score`, `failure_within_7d` (not null).
        key: What keeps rows of different origin apart.
        counts: From `score_counts`: says where scores are cut into bins within which rows count as a tie.
        draws: How many fleets to draw.

    Returns:
        `key`, `draw`, `pr_auc`.
    """
    edges = F.array(*map(F.lit, score_edges(counts)))
    score_bin = F.size(F.filter(edges, lambda edge: edge <= F.col("raw_score")))
    totals = (
        scored.withColumn("bin", score_bin)
        .groupBy(key, "asset_id", "bin")
        .agg(F.count("*").alias("rows"), F.sum("failure_within_7d").alias("positives"))
    )
    sums = resampled_sums(totals, ["rows", "positives"], draws, by=[key, "bin"])
    areas = sums.groupby([key, "draw"])[["bin", "rows", "positives"]].apply(_average_precision)
    table: pd.DataFrame = areas.rename("pr_auc").reset_index()
    return table


def score_edges(counts: pd.DataFrame) -> list[float]:
    """Scores between which about equally many positives lie. `counts` needs `raw_score`, `positives`."""
    ordered = counts.sort_values("raw_score")
    reached = ordered["positives"].cumsum()
    wanted = np.linspace(0, reached.iloc[-1], SCORE_BINS, endpoint=False)
    places = np.searchsorted(reached.to_numpy(float), wanted, side="right")
    return sorted({float(ordered["raw_score"].iloc[place]) for place in places if place < len(ordered)})


def interval_of(values: pd.Series[float], confidence: float) -> tuple[float, float]:
    """The span that holds `confidence` of the draws (draw 0 aside); NaN without any."""
    known = values.drop(0, errors="ignore").dropna()
    if known.empty:
        return float("nan"), float("nan")
    tail = (1 - confidence) / 2
    return float(known.quantile(tail)), float(known.quantile(1 - tail))


def _times_drawn() -> Column:
    share = hash_share(F.col("asset_id"), F.col("draw"))
    return F.when(F.col("draw") == 0, 1).otherwise(reduce(operator.add, [(share >= bound).cast("int") for bound in _POISSON]))


def _average_precision(bins: pd.DataFrame) -> float:
    ordered = bins.sort_values("bin", ascending=False)
    return average_precision(ordered["positives"].cumsum().to_numpy(float), ordered["rows"].cumsum().to_numpy(float))
