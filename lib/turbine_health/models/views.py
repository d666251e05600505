"""One line of scores for a set of scored rows, with intervals from drawing turbines again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from turbine_health.models.evaluation import (
    ERROR_SUMS,
    Confusion,
    Ranking,
    confusion,
    error_metrics,
    error_sums,
    expected_calibration_error,
    ranking,
    reliability,
    score_counts,
)
from turbine_health.models.events import DAYS_PER_MONTH, TOTALS, to_failures, to_turbine_totals, to_visits, with_cost
from turbine_health.models.resampling import interval_of, resampled_average_precision, resampled_sums, score_edges
from turbine_health.settings import CostSettings, EvaluationSettings

TEST_VIEW, FUTURE, UNSEEN, BOTH, RANDOM = "test", "future weeks", "unseen turbines", "both", "random rows (optimistic)"


@dataclass(frozen=True)
class Judging:
    """What it takes to judge alerts."""

    threshold: float
    horizon_days: float
    hours_per_row: float
    costs: CostSettings
    evaluation: EvaluationSettings


@dataclass(frozen=True)
class FailureScores:
    """How good one set of alerts was."""

    ranking: Ranking
    confusion: Confusion
    reliability: pd.DataFrame
    totals: DataFrame
    """Per turbine: `TOTALS` and `cost`."""
    failures: pd.DataFrame
    """One row per failure: `failure_mode`, `lead_time_days` (null: missed)."""
    metrics: Mapping[str, float | None]


def failure_scores(scored: DataFrame, judging: Judging) -> FailureScores:
    """Judge rows with `raw_score`, `failure_probability`, labels and keys; rows without a label are left out.

    Args:
        scored: Cached. Needs what `events.to_turbine_totals` and `evaluation.score_counts` need.
        judging: Threshold (0 to 1), horizon (days), hours a row stands for, costs.
    """
    scored = scored.where(F.col("failure_within_7d").isNotNull())
    counts = score_counts(scored).toPandas()
    ranked = ranking(counts)
    alerts = confusion(counts, judging.threshold)
    said = reliability(counts, "failure_probability")
    thresholds = [judging.threshold]
    visits = to_visits(scored, thresholds, judging.horizon_days)
    failures = to_failures(scored, visits, thresholds).toPandas()
    totals = to_turbine_totals(scored, thresholds, judging.horizon_days, judging.hours_per_row)
    costly = totals.transform(with_cost, judging.costs).drop("threshold").cache()
    sums = costly.agg(*(F.sum(name).alias(name) for name in (*TOTALS, "cost"))).toPandas()
    lead = failures["lead_time_days"].dropna()
    metrics: dict[str, float | None] = {
        **alerts.metrics(),
        "roc_auc": ranked.roc_auc,
        "pr_auc": ranked.pr_auc,
        "base_rate": ranked.base_rate,
        "ece": expected_calibration_error(said) if len(counts) else None,
        "ece_uncalibrated": expected_calibration_error(reliability(counts, "raw_score")) if len(counts) else None,
        **{str(name): float(value) for name, value in event_rates(sums).iloc[0].items()},
        "failures": float(sums["failures"].iloc[0] or 0),
        "failures_caught": float(sums["caught"].iloc[0] or 0),
        "lead_time_days_median": float(lead.median()) if len(lead) else None,
        "lead_time_days_p10": float(lead.quantile(0.1)) if len(lead) else None,
    }
    return FailureScores(ranked, alerts, said, costly, failures, metrics)


def event_rates(sums: pd.DataFrame) -> pd.DataFrame:
    """`caught_share` (0 to 1) and, per turbine and month, `false_alarms_per_turbine_month` and `cost_per_turbine_month`."""
    months = sums["days"].astype(float) / DAYS_PER_MONTH
    rates: pd.DataFrame = pd.DataFrame({
        "caught_share": sums["caught"].astype(float) / sums["failures"].astype(float).where(sums["failures"] > 0),
        "false_alarms_per_turbine_month": sums["false_alarms"].astype(float) / months,
        "cost_per_turbine_month": sums["cost"].astype(float) / months,
    })  # fmt: skip
    return rates


def failure_intervals(
    scored: DataFrame, scores: FailureScores, evaluation: EvaluationSettings
) -> dict[str, tuple[float, float]]:
    """Confidence intervals of PR-AUC and of the rates by events. `scored` is what `scores` were made of."""
    scored = scored.where(F.col("failure_within_7d").isNotNull())
    rates = event_rates(resampled_sums(scores.totals, [*TOTALS, "cost"], evaluation.resamplings))
    draws: dict[str, pd.Series[float]] = {name: rates[name] for name in rates.columns}
    counts = score_counts(scored).toPandas()
    if scores.ranking.pr_auc is not None:
        draws["pr_auc"] = resampled_average_precision(scored, score_edges(counts), evaluation.resamplings)
    return {name: interval_of(values, evaluation.confidence) for name, values in draws.items()}


def time_scores(scored: DataFrame, predicted: str, actual: str) -> dict[str, float | None]:
    """Errors of predicted days (mae, mse, rmse, r2_score, rows); rows with `actual` null are left out."""
    totals = error_sums(scored, predicted, actual).agg(*(F.sum(name).alias(name) for name in ERROR_SUMS)).first()
    sums = totals.asDict() if totals else dict.fromkeys(ERROR_SUMS, 0)
    return {**error_metrics(sums), "rows": float(sums["rows"] or 0)}


def time_intervals(
    scored: DataFrame, predicted: str, actual: str, evaluation: EvaluationSettings
) -> dict[str, tuple[float, float]]:
    """Confidence intervals of mae and rmse (days)."""
    draws = resampled_sums(error_sums(scored, predicted, actual), ERROR_SUMS, evaluation.resamplings)
    errors = pd.DataFrame([error_metrics(dict(zip(draws.columns, row, strict=True))) for row in draws.to_numpy()], dtype=float)
    return {name: interval_of(errors[name], evaluation.confidence) for name in ("mae", "rmse") if len(errors)}


def inspection_scores(scored: DataFrame, per_day: int) -> dict[str, float | None]:
    """If only the `per_day` turbines of highest probability could be looked at each day.

    Args:
        scored: Needs `asset_id`, `window_end`, `life_number`, `failure_probability`, `failure_within_7d`.
        per_day: How many.

    Returns:
        `precision` (share of the turbine-days inspected with a failure within the horizon) and `caught_share`
        (of failures that could have been announced), 0 to 1.
    """
    day = F.date_trunc("day", "window_end")
    last_of_day = Window.partitionBy("asset_id", day).orderBy(F.desc("window_end"))
    by_probability = Window.partitionBy(day).orderBy(F.desc("failure_probability"), "asset_id")
    ranked = (
        scored.where(F.col("failure_within_7d").isNotNull())
        .withColumn("row", F.row_number().over(last_of_day))
        .where("row = 1")
        .withColumn("place", F.row_number().over(by_probability))
    )
    is_inspected, is_failing = F.col("place") <= per_day, F.col("failure_within_7d") == 1
    life = F.struct("asset_id", "life_number")
    row = ranked.agg(
        F.avg(F.when(is_inspected, F.col("failure_within_7d"))).alias("precision"),
        F.countDistinct(F.when(is_failing, life)).alias("failures"),
        F.countDistinct(F.when(is_failing & is_inspected, life)).alias("caught"),
    ).first()
    if row is None or not row["failures"]:
        return {"precision": None, "caught_share": None}
    return {"precision": row["precision"], "caught_share": row["caught"] / row["failures"]}
