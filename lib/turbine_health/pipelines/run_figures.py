"""Figures of a training run, from what was found out about both heads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import functions as F

from turbine_health.models.calibration import RAW
from turbine_health.models.views import TEST_VIEW
from turbine_health.pipelines.failure_head import FailureHead
from turbine_health.pipelines.time_head import ACTUAL, TimeHead
from turbine_health.reporting import charts

# Points of a scatter that a browser draws at once and an eye can tell apart.
SAMPLED_POINTS = 4_000


def failure_figures(head: FailureHead, curve: pd.DataFrame) -> dict[str, Any]:
    """Model A's evaluation page: heading → figure. `curve` is the test's, thinned."""
    test = head.scores[TEST_VIEW]
    horizon = head.judging.horizon_days
    figures = {
        "Precision and recall": charts.precision_recall_curve(
            curve, base_rate=test.ranking.base_rate, area=test.ranking.pr_auc
        ),
        "Calibration": charts.calibration(test.reliability),
        "Cost by threshold (validation)": charts.cost_curve(head.curve, chosen_threshold=head.serving.threshold),
        "Warning time": charts.lead_times(_one_row_each(test.lead_times), horizon_days=horizon),
        "By failure mode": charts.metric_by_group(
            _caught_by_mode(test.lead_times), group="failure mode", metric="share of failures announced", counted="failures"
        ),
        "Announced by turbine": charts.metric_by_group(
            _announced_by_turbine(head.by_turbine), group="turbine", metric="share of failures announced", counted="failures"
        ),
        "False alarms by turbine": charts.metric_by_group(
            _by_turbine(head.by_turbine, value="false_alarms", rows="windows"), group="turbine", metric="false alarms"
        ),
        "What the forest leans on": charts.importance(head.importance),
    }
    if len(head.learning):
        figures["Learning curve"] = charts.learning_curve(head.learning, metric="PR-AUC")
    return figures


def time_figures(head: TimeHead) -> dict[str, Any]:
    """Model B's evaluation page: heading → figure."""
    errors = _by_turbine(head.by_turbine, value="mae_days", rows="windows_with_failure")
    figures = {
        "Error by turbine": charts.metric_by_group(errors, group="turbine", metric="mean absolute error (days)"),
        "What the forest leans on": charts.importance(head.importance),
    }
    if len(head.learning):
        figures["Learning curve"] = charts.learning_curve(head.learning, metric="root mean squared error (days)")
    return figures


def thinned(curve: pd.DataFrame) -> pd.DataFrame:
    """A curve with at most `SAMPLED_POINTS` points, its first and last among them."""
    step = max(1, len(curve) // SAMPLED_POINTS)
    kept: pd.DataFrame = pd.concat([curve.iloc[::step], curve.iloc[-1:]]).drop_duplicates()
    return kept


def days_sample(head: TimeHead) -> pd.DataFrame:
    """`actual_days` and `predicted_days` of at most `SAMPLED_POINTS` test rows whose failure is on record."""
    known = head.test.where(F.col(ACTUAL).isNotNull())
    sample: pd.DataFrame = (
        known.orderBy(F.xxhash64("asset_id", "window_end"))
        .limit(SAMPLED_POINTS)
        .select("asset_id", "window_end", F.col(ACTUAL).alias("actual_days"), F.col(RAW).alias("predicted_days"))
        .toPandas()
    )
    return sample


def _caught_by_mode(lead_times: pd.DataFrame) -> pd.DataFrame:
    """`group`, `value` (share announced) and `rows` (failures) by failure mode."""
    caught = lead_times["failures"].where(lead_times["lead_time_days"].notna(), 0)
    sums = lead_times.assign(caught=caught).groupby("failure_mode")[["failures", "caught"]].sum()
    table = pd.DataFrame({"value": sums["caught"] / sums["failures"], "rows": sums["failures"]})
    by_mode: pd.DataFrame = table.rename_axis("group").reset_index()
    return by_mode


def _one_row_each(lead_times: pd.DataFrame) -> pd.DataFrame:
    """`lead_time_days` once per failure, of at most `SAMPLED_POINTS`."""
    each = np.repeat(lead_times["lead_time_days"].to_numpy(float), lead_times["failures"])
    table: pd.DataFrame = pd.DataFrame({"lead_time_days": each[:SAMPLED_POINTS]})
    return table


def _announced_by_turbine(table: pd.DataFrame) -> pd.DataFrame:
    """Share of each turbine's failures that an alert announced; null without failures."""
    share = table["failures_announced"] / table["failures"].where(table["failures"] > 0)
    return _by_turbine(table.assign(share=share), value="share", rows="failures")


def _by_turbine(table: pd.DataFrame, *, value: str, rows: str) -> pd.DataFrame:
    """`group`, `value` and `rows` of a table by `asset_id`."""
    groups: pd.DataFrame = pd.DataFrame({"group": table["asset_id"], "value": table[value], "rows": table[rows]})
    return groups
