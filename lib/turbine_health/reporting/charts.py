"""Charts of how good a model is: a small pandas frame in, a plotly figure out.

Every function's docstring names the columns it needs. Shares and rates are 0 to 1.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from turbine_health.reporting.theme import (
    AMBER,
    BLUE,
    GREY,
    INK,
    RED,
    SEQUENTIAL,
    figure,
    label,
    say_nothing_to_show,
)

_CHANCE = {"color": GREY, "dash": "dot", "width": 1.5}


def confusion_matrix(tn: int, fp: int, fn: int, tp: int, *, horizon_days: float = 7) -> go.Figure:
    """What the alerts said against what happened, as counts and shares of what happened."""
    counts = np.array([[tn, fp], [fn, tp]])
    happened = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, happened, out=np.zeros((2, 2)), where=happened > 0)
    text = [[f"<b>{counts[r, c]:,}</b><br>{shares[r, c]:.1%}" for c in (0, 1)] for r in (0, 1)]
    drawing = figure("Alerts against what happened", "model said", "what happened")
    drawing.add_heatmap(
        z=shares, x=["no alert", "alert"], y=["no failure", f"failed within {horizon_days:g} days"],
        text=text, texttemplate="%{text}", textfont={"size": 16}, colorscale=SEQUENTIAL, zmin=0, zmax=1, showscale=False,
        hovertemplate="%{y}, %{x}: %{text}<extra></extra>", xgap=3, ygap=3,
    )  # fmt: skip
    return drawing.update_yaxes(autorange="reversed", tickangle=0).update_xaxes(side="bottom")


def roc_curve(points: pd.DataFrame, *, auc: float | None = None) -> go.Figure:
    """Failures found against false alarms. Needs `false_positive_rate`, `true_positive_rate`; may have `threshold`."""
    drawing = figure("ROC curve" + _in_brackets("AUC", auc), "false positive rate", "true positive rate (recall)", height=420)
    drawing.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line=_CHANCE, name="chance", hoverinfo="skip")
    _add_curve(drawing, points, "false_positive_rate", "true_positive_rate", "model")
    return _unit_square(drawing)


def precision_recall_curve(points: pd.DataFrame, *, base_rate: float | None = None, area: float | None = None) -> go.Figure:
    """How many alerts are right against how many failures are found. Needs `recall`, `precision`; may have `threshold`."""
    drawing = figure("Precision and recall" + _in_brackets("area", area), "recall", "precision", height=420)
    if base_rate is not None:
        drawing.add_scatter(x=[0, 1], y=[base_rate] * 2, mode="lines", line=_CHANCE, name="chance", hoverinfo="skip")
    _add_curve(drawing, points, "recall", "precision", "model")
    return _unit_square(drawing)


def calibration(table: pd.DataFrame) -> go.Figure:
    """Whether 20 % means one in five. Needs `mean_predicted`, `observed_rate`, `rows` per bin of predictions."""
    drawing = figure("Calibration", "predicted probability (mean of the bin)", "share that failed", height=420)
    drawing.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line=_CHANCE, name="perfect", hoverinfo="skip")
    largest = max(table["rows"].max(), 1) if len(table) else 1
    drawing.add_scatter(
        x=table["mean_predicted"], y=table["observed_rate"], mode="lines+markers", name="model", line={"color": BLUE},
        marker={"size": 6 + 14 * np.sqrt(table["rows"] / largest), "color": BLUE}, customdata=table["rows"],
        hovertemplate="predicted %{x:.1%}<br>failed %{y:.1%}<br>%{customdata:,} windows<extra></extra>",
    )  # fmt: skip
    return drawing


def cost_curve(table: pd.DataFrame, *, chosen_threshold: float | None = None) -> go.Figure:
    """What alerting from each threshold would have cost. Needs `threshold`, `cost`."""
    drawing = figure("Cost by alert threshold", "alert threshold (probability)", "cost over the test period")
    drawing.add_scatter(
        x=table["threshold"], y=table["cost"], mode="lines", line={"color": BLUE}, name="cost",
        hovertemplate="threshold %{x:.3f}<br>cost %{y:,.0f}<extra></extra>",
    )  # fmt: skip
    if chosen_threshold is not None:
        drawing.add_vline(
            chosen_threshold, line={"color": RED, "dash": "dash"}, annotation_text=f"chosen {chosen_threshold:.3f}"
        )
    return drawing.update_yaxes(rangemode="tozero")


def predictions_scatter(sample: pd.DataFrame) -> go.Figure:
    """Days left as predicted against as they were. Needs `actual_days`, `predicted_days`."""
    drawing = figure("Days left: predicted against actual", "actual (days)", "predicted (days)", height=420)
    if sample.empty:
        return say_nothing_to_show(drawing, "no failure was observed in the test part")
    longest = float(max(sample["actual_days"].max(), sample["predicted_days"].max()))
    drawing.add_scatter(x=[0, longest], y=[0, longest], mode="lines", line=_CHANCE, name="perfect", hoverinfo="skip")
    drawing.add_scatter(
        x=sample["actual_days"], y=sample["predicted_days"], mode="markers", name="window",
        marker={"size": 5, "color": BLUE, "opacity": 0.45},
        hovertemplate="actual %{x:.1f} d<br>predicted %{y:.1f} d<extra></extra>",
    )  # fmt: skip
    return drawing


def error_distribution(sample: pd.DataFrame) -> go.Figure:
    """How far predictions were off, early (left of zero) and late. Needs `actual_days`, `predicted_days`."""
    drawing = figure("Error of the days left", "predicted minus actual (days); right of zero is too late", "share of windows")
    if sample.empty:
        return say_nothing_to_show(drawing, "no failure was observed in the test part")
    errors = sample["predicted_days"] - sample["actual_days"]
    drawing.add_histogram(
        x=errors, histnorm="probability", nbinsx=50, marker={"color": BLUE}, name="windows",
        hovertemplate="%{x} d: %{y:.1%}<extra></extra>",
    )  # fmt: skip
    drawing.add_vline(0, line={"color": INK, "width": 1})
    drawing.add_vline(errors.mean(), line={"color": RED, "dash": "dash"}, annotation_text=f"mean {errors.mean():+.1f} d")
    return drawing.update_yaxes(tickformat=".0%")


def importance(table: pd.DataFrame, *, top: int = 25, unit: str = "share of the forest's splits' gain") -> go.Figure:
    """What the model leans on, largest first. Needs `feature`, `importance`."""
    largest = table.nlargest(top, "importance").iloc[::-1]
    drawing = figure("Which features count", unit, height=max(260, 90 + 20 * len(largest)))
    drawing.add_bar(
        x=largest["importance"], y=largest["feature"].map(label), orientation="h", marker={"color": BLUE},
        hovertemplate="%{y}: %{x:.3g}<extra></extra>",
    )  # fmt: skip
    return drawing.update_yaxes(tickfont={"size": 11})


def lead_times(table: pd.DataFrame, *, horizon_days: float = 7) -> go.Figure:
    """How long before a failure the first alert came. Needs `lead_time_days`, one row per failure; null: never alerted."""
    caught = table["lead_time_days"].dropna()
    missed = len(table) - len(caught)
    drawing = figure(
        f"Warning time: {len(caught)} of {len(table)} failures announced", "days from first alert to failure", "failures"
    )
    if caught.empty:
        return say_nothing_to_show(drawing, f"none of {missed} failures was announced")
    drawing.add_histogram(
        x=caught, nbinsx=20, marker={"color": BLUE}, name="announced", hovertemplate="%{x} d: %{y}<extra></extra>"
    )
    drawing.add_vline(horizon_days, line={"color": GREY, "dash": "dot"}, annotation_text=f"horizon {horizon_days:g} d")
    return drawing.update_xaxes(rangemode="tozero")


def learning_curve(table: pd.DataFrame, *, metric: str) -> go.Figure:
    """Whether more data would help. Needs `rows`, `training`, `validation` (the metric on each)."""
    drawing = figure("Learning curve", "training windows", metric)
    for name, colour in (("training", AMBER), ("validation", BLUE)):
        drawing.add_scatter(x=table["rows"], y=table[name], mode="lines+markers", name=name, line={"color": colour})
    return drawing


def metric_by_group(table: pd.DataFrame, *, group: str, metric: str) -> go.Figure:
    """One metric by turbine, failure mode or anything else. Needs `group`, `value`, `rows`; a null value is left out."""
    known = table.dropna(subset=["value"]).sort_values("value")
    drawing = figure(f"{metric} by {group}", metric, height=max(220, 100 + 22 * len(known)))
    if known.empty:
        return say_nothing_to_show(drawing, f"{metric} is not known for any {group}")
    drawing.add_bar(
        x=known["value"], y=known["group"].map(label), orientation="h", marker={"color": BLUE}, customdata=known["rows"],
        hovertemplate="%{y}: %{x:.3g} (%{customdata:,} rows)<extra></extra>",
    )  # fmt: skip
    return drawing.update_yaxes(type="category")


def _in_brackets(name: str, value: float | None) -> str:
    return "" if value is None else f" ({name} {value:.3f})"


def _add_curve(drawing: go.Figure, points: pd.DataFrame, x: str, y: str, name: str) -> None:
    threshold = points["threshold"] if "threshold" in points else pd.Series(np.nan, index=points.index)
    x_words, y_words = x.replace("_", " "), y.replace("_", " ")
    drawing.add_scatter(
        x=points[x], y=points[y], mode="lines", line={"color": BLUE, "width": 2.5}, name=name, customdata=threshold,
        hovertemplate=f"{x_words} %{{x:.3f}}<br>{y_words} %{{y:.3f}}<br>threshold %{{customdata:.3f}}<extra></extra>",
    )  # fmt: skip


def _unit_square(drawing: go.Figure) -> go.Figure:
    return drawing.update_xaxes(range=[-0.01, 1.01]).update_yaxes(range=[-0.01, 1.02])
