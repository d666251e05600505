"""How good the scores are, row by row. Spark sums up to tables of bounded size; the rest is arithmetic on those."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

Numbers = npt.NDArray[np.float64]
RELIABILITY_BINS = 10


def score_counts(scored: DataFrame, *by: str) -> DataFrame:
    """Rows and positives by score.

    Grain: one row per `raw_score` and `by`: at most 100,001 for each, however large the fleet.

    Args:
        scored: Needs `raw_score` (rounded), `failure_within_7d`, `by`; may have `failure_probability` and `is_alert`,
            which then belong to the score. Rows without a label are left out.
        by: Further keys to keep apart.

    Returns:
        `by`, `raw_score`, `failure_probability` and `is_alert` if given, `rows`, `positives`.
    """
    keys = [*by, *(name for name in ("raw_score", "failure_probability", "is_alert") if name in scored.columns)]
    return (
        scored.where(F.col("failure_within_7d").isNotNull())
        .groupBy(*keys)
        .agg(F.count("*").alias("rows"), F.sum("failure_within_7d").alias("positives"))
    )


@dataclass(frozen=True)
class Ranking:
    """How well scores put failures first. Areas are 0 to 1; null without both classes."""

    roc_auc: float | None
    pr_auc: float | None
    base_rate: float | None
    curve: pd.DataFrame
    """One row per score, highest first: `threshold`, `true_positive_rate`, `false_positive_rate`, `recall`, `precision`."""


def ranking(counts: pd.DataFrame) -> Ranking:
    """Areas under both curves, rows of one score counted as a tie; PR-AUC is average precision.

    Args:
        counts: Needs `raw_score`, `rows`, `positives`.
    """
    ordered = counts.sort_values("raw_score", ascending=False)
    found, seen = ordered["positives"].cumsum().to_numpy(float), ordered["rows"].cumsum().to_numpy(float)
    positives, rows = (found[-1], seen[-1]) if len(ordered) else (0.0, 0.0)
    negatives = rows - positives
    curve = pd.DataFrame({
        "threshold": ordered["raw_score"].to_numpy(float),
        "true_positive_rate": found / max(positives, 1),
        "false_positive_rate": (seen - found) / max(negatives, 1),
        "recall": found / max(positives, 1),
        "precision": found / np.maximum(seen, 1),
    })  # fmt: skip
    base_rate = float(positives / rows) if rows else None
    if not positives or not negatives:
        return Ranking(None, None, base_rate, curve)
    tpr, fpr = _from_zero(curve["true_positive_rate"]), _from_zero(curve["false_positive_rate"])
    roc_auc = float(np.sum(np.diff(fpr) * (tpr[1:] + tpr[:-1]) / 2))
    return Ranking(roc_auc, average_precision(found, seen), base_rate, curve)


def average_precision(found: Numbers, seen: Numbers) -> float:
    """Area under the precision-recall steps, from running counts of positives and of rows, highest score first."""
    if not len(found) or not found[-1]:
        return float("nan")
    return float(np.sum(np.diff(found, prepend=0.0) / found[-1] * found / np.maximum(seen, 1e-12)))


@dataclass(frozen=True)
class Confusion:
    """What the alerts said against what happened, in rows."""

    tn: int
    fp: int
    fn: int
    tp: int

    def metrics(self) -> dict[str, float]:
        """accuracy, precision, recall and f1_score; 0 where nothing was alerted or found."""
        alerts, failing = self.tp + self.fp, self.tp + self.fn
        rows = alerts + self.tn + self.fn
        return {
            "accuracy": (self.tp + self.tn) / rows if rows else 0.0,
            "precision": self.tp / alerts if alerts else 0.0,
            "recall": self.tp / failing if failing else 0.0,
            "f1_score": 2 * self.tp / (alerts + failing) if alerts + failing else 0.0,
        }


def confusion(counts: pd.DataFrame) -> Confusion:
    """Rows by alert and outcome. `counts` needs `is_alert`, `rows`, `positives`."""
    is_alert = counts["is_alert"].astype(bool)
    alerts, others = counts[is_alert], counts[~is_alert]
    tp, fn = int(alerts["positives"].sum()), int(others["positives"].sum())
    return Confusion(tn=int(others["rows"].sum()) - fn, fp=int(alerts["rows"].sum()) - tp, fn=fn, tp=tp)


def reliability(counts: pd.DataFrame, probability: str) -> pd.DataFrame:
    """What was said against what happened, in bins of equal width.

    Args:
        counts: Needs the column `probability` (0 to 1), `rows`, `positives`.
        probability: Name of the column that is taken as a probability.

    Returns:
        One row per bin that holds rows: `mean_predicted`, `observed_rate`, `rows`.
    """
    bins = np.minimum((counts[probability] * RELIABILITY_BINS).astype(int), RELIABILITY_BINS - 1)
    said = (counts[probability] * counts["rows"]).groupby(bins).sum()
    sums = counts.groupby(bins)[["rows", "positives"]].sum()
    rates = {"mean_predicted": said / sums["rows"], "observed_rate": sums["positives"] / sums["rows"]}
    table: pd.DataFrame = pd.DataFrame({**rates, "rows": sums["rows"]}).reset_index(drop=True)
    return table


def expected_calibration_error(table: pd.DataFrame) -> float:
    """Mean distance of said and happened, weighted by rows. `table` is from `reliability`."""
    if table.empty:
        return float("nan")
    distance = (table["mean_predicted"] - table["observed_rate"]).abs()
    return float((distance * table["rows"]).sum() / table["rows"].sum())


def error_sums(scored: DataFrame, key: str, predicted: str, actual: str) -> DataFrame:
    """Sums from which all errors of predicted days follow.

    Grain: one row per `key` and `asset_id`.

    Args:
        scored: Needs `asset_id` and the columns named.
        key: What keeps rows of different origin apart.
        predicted: Days predicted.
        actual: Days that passed; rows where it is null are left out.

    Returns:
        `key`, `asset_id`, `rows`, `absolute`, `squared` (of the error), `truth`, `truth_squared`.
    """
    error = F.col(predicted) - F.col(actual)
    return (
        scored.where(F.col(actual).isNotNull())
        .groupBy(key, "asset_id")
        .agg(
            F.count("*").alias("rows"),
            F.sum(F.abs(error)).alias("absolute"),
            F.sum(error * error).alias("squared"),
            F.sum(actual).alias("truth"),
            F.sum(F.col(actual) * F.col(actual)).alias("truth_squared"),
        )
    )


ERROR_SUMS = ("rows", "absolute", "squared", "truth", "truth_squared")


def error_metrics(sums: Mapping[str, float] | pd.Series[float]) -> dict[str, float | None]:
    """mae, mse, rmse (days) and r2_score from the totals of `error_sums`; null without rows."""
    rows = float(sums["rows"] or 0)
    if not rows:
        return {"mae": None, "mse": None, "rmse": None, "r2_score": None}
    mse = float(sums["squared"]) / rows
    spread = float(sums["truth_squared"]) / rows - (float(sums["truth"]) / rows) ** 2
    return {
        "mae": float(sums["absolute"]) / rows,
        "mse": mse,
        "rmse": mse**0.5,
        "r2_score": 1 - mse / spread if spread > 0 else None,
    }


def _from_zero(values: pd.Series[float]) -> Numbers:
    return np.concatenate([[0.0], values.to_numpy(float)])
