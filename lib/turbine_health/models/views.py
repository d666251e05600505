"""Scores of many sets of rows at once, side by side, with intervals from drawing turbines again.

A *view* names a set of scored rows: what their forest had not seen, or which baseline scored them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
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
from turbine_health.models.events import DAYS_PER_MONTH, TOTALS, lead_time_counts, to_failures, totals_by_view, with_cost
from turbine_health.models.resampling import interval_of, resampled_average_precision, resampled_sums
from turbine_health.settings import CostSettings, EvaluationSettings

VIEW = "view"
TEST_VIEW, FUTURE, UNSEEN, BOTH, RANDOM = "test", "future weeks", "unseen turbines", "both", "random rows (optimistic)"
CHAMPION_VIEW = "the champion"

Metrics = Mapping[str, float | None]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Judging:
    """What it takes to judge alerts."""

    horizon_days: float
    hours_per_row: float
    costs: CostSettings
    evaluation: EvaluationSettings


@dataclass(frozen=True)
class FailureScores:
    """How good the alerts of one view were."""

    ranking: Ranking
    confusion: Confusion
    reliability: pd.DataFrame
    lead_times: pd.DataFrame
    """`failure_mode`, `lead_time_days` (null: missed), `failures` (how many)."""
    metrics: Metrics
    intervals: Mapping[str, Interval]
    cost_draws: pd.Series[float]
    """Cost per turbine-month in each drawn fleet; the same draws in every view."""


def failure_scores(scored: DataFrame, judging: Judging) -> dict[str, FailureScores]:
    """Judge every view's alerts.

    Args:
        scored: Cached; labelled rows only. Needs `view`, keys, labels, `raw_score`, `failure_probability`, `is_alert`.
        judging: Horizon (days), hours a row stands for, costs, draws.

    Returns:
        View → its scores.
    """
    evaluation = judging.evaluation
    counts = score_counts(scored, VIEW).toPandas()
    totals = totals_by_view(scored, VIEW, judging.horizon_days, judging.hours_per_row)
    sums = resampled_sums(totals.transform(with_cost, judging.costs), [*TOTALS, "cost"], evaluation.resamplings, by=[VIEW])
    # Where scores are cut must not depend on whether there is a champion to compare with.
    own = counts[counts[VIEW] != CHAMPION_VIEW]
    areas = resampled_average_precision(scored, VIEW, own, evaluation.resamplings)
    lead_times = lead_time_counts(to_failures(scored, VIEW, judging.horizon_days), VIEW)
    return {
        str(view): _failure_scores(
            of_view,
            sums[sums[VIEW] == view].set_index("draw"),
            areas[areas[VIEW] == view].set_index("draw")["pr_auc"],
            lead_times[lead_times[VIEW] == view],
            evaluation.confidence,
        )
        for view, of_view in counts.groupby(VIEW)
    }


def time_scores(scored: DataFrame, evaluation: EvaluationSettings) -> tuple[dict[str, Metrics], pd.DataFrame]:
    """Errors of predicted days in every view, against days capped and not.

    Args:
        scored: Cached. Needs `view`, `asset_id`, `raw_time_to_failure_days`, `actual_days` (capped; null: not on record),
            `time_to_failure_days`, `days_known` (capped; also the cap itself for lives known to have run so long).
        evaluation: Draws and confidence.

    Returns:
        View → mae, mse, rmse, r2_score, rows, `_low` and `_high` of mae and rmse, and `<metric>_uncapped`,
        `<metric>_known`; and rmse_known of every drawn fleet, one column a view. Only the last two are fair to healthy
        turbines: a failure on record at the end of the records came soon, or it would not be on record.
    """
    raw = "raw_time_to_failure_days"
    capped = resampled_sums(error_sums(scored, VIEW, raw, "actual_days"), ERROR_SUMS, evaluation.resamplings, by=[VIEW])
    known = resampled_sums(error_sums(scored, VIEW, raw, "days_known"), ERROR_SUMS, evaluation.resamplings, by=[VIEW])
    uncapped = error_sums(scored, VIEW, raw, "time_to_failure_days").groupBy(VIEW)
    whole = uncapped.agg(*(F.sum(name).alias(name) for name in ERROR_SUMS)).toPandas().set_index(VIEW)
    metrics: dict[str, Metrics] = {}
    for view, sums in capped.groupby(VIEW):
        errors = pd.DataFrame({"mae": sums["absolute"] / sums["rows"], "rmse": np.sqrt(sums["squared"] / sums["rows"])})
        errors = errors.set_index(sums["draw"])
        ends = {name: interval_of(errors[name], evaluation.confidence) for name in ("mae", "rmse")}
        first = sums[sums["draw"] == 0].iloc[0]
        others = {"uncapped": whole.loc[view], "known": known[(known[VIEW] == view) & (known["draw"] == 0)].iloc[0]}
        further = {f"{name}_{kind}": value for kind, row in others.items() for name, value in error_metrics(row).items()}
        metrics[str(view)] = {**error_metrics(first), "rows": float(first["rows"]), **as_ends(ends), **further}
    draws: pd.DataFrame = known.assign(rmse=np.sqrt(known["squared"] / known["rows"])).pivot(
        index="draw", columns=VIEW, values="rmse"
    )
    return metrics, draws


def as_ends(intervals: Mapping[str, Interval]) -> dict[str, float]:
    """`x: (low, high)` → `x_low`, `x_high`."""
    return {
        f"{name}_{end}": value for name, ends in intervals.items() for end, value in zip(("low", "high"), ends, strict=True)
    }


def _failure_scores(
    counts: pd.DataFrame, sums: pd.DataFrame, areas: pd.Series[float], lead_times: pd.DataFrame, confidence: float
) -> FailureScores:
    ranked, alerts = ranking(counts), confusion(counts)
    said = reliability(counts, "failure_probability")
    rates = _event_rates(sums)
    caught = lead_times.dropna(subset=["lead_time_days"])
    days = pd.Series(np.repeat(caught["lead_time_days"].to_numpy(float), caught["failures"]))
    metrics: dict[str, float | None] = {
        **alerts.metrics(),
        "roc_auc": ranked.roc_auc,
        "pr_auc": ranked.pr_auc,
        "base_rate": ranked.base_rate,
        "ece": expected_calibration_error(said),
        "ece_uncalibrated": expected_calibration_error(reliability(counts, "raw_score")),
        **{str(name): float(value) for name, value in rates.loc[0].items()},
        "failures": float(sums["failures"].loc[0]),
        "failures_caught": float(sums["caught"].loc[0]),
        "lead_time_days_median": float(days.median()) if len(days) else None,
        "lead_time_days_p10": float(days.quantile(0.1)) if len(days) else None,
    }
    draws = {"pr_auc": areas, **{name: rates[name] for name in rates.columns}}
    intervals = {name: interval_of(values, confidence) for name, values in draws.items()}
    return FailureScores(ranked, alerts, said, lead_times, metrics, intervals, rates["cost_per_turbine_month"])


def _event_rates(sums: pd.DataFrame) -> pd.DataFrame:
    """`caught_share` (0 to 1; NaN without failures), and false alarms and cost per turbine and month."""
    months = sums["days"].astype(float) / DAYS_PER_MONTH
    failures = sums["failures"].astype(float)
    rates: pd.DataFrame = pd.DataFrame({
        "caught_share": sums["caught"].astype(float) / failures.where(failures > 0),
        "false_alarms_per_turbine_month": sums["false_alarms"].astype(float) / months,
        "cost_per_turbine_month": sums["cost"].astype(float) / months,
    })  # fmt: skip
    return rates
