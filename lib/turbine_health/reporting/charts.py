"""Charts of how good a model is: a small pandas frame in, a plotly figure out.

Every function's docstring names the columns it needs. Shares and rates are 0 to 1.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from turbine_health.reporting.theme import (
    BLUE,
    GREY,
    INK,
    RED,
    SEQUENTIAL,
    figure,
    label,
    say_nothing_to_show,
    whole_step,
)

# As many bars as fit a screen or two.
MOST_BARS = 40
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
    drawing = figure("Cost by alert threshold", "alert threshold (probability)", "cost on the validation rows")
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
    drawing = figure("Error of the days left", "days too early (−) or too late (+)", "share of windows")
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


def importance(table: pd.DataFrame, *, top: int = 25, unit: str = "share of the gain") -> go.Figure:
    """What the model leans on, largest first. Needs `feature`, `importance`."""
    largest = table.nlargest(top, "importance").iloc[::-1]
    drawing = figure("Which features count", unit, height=max(260, 90 + 20 * len(largest)))
    drawing.add_bar(
        x=largest["importance"], y=largest["feature"].map(label), orientation="h", marker={"color": BLUE},
        hovertemplate="%{y}: %{x:.3g}<extra></extra>",
    )  # fmt: skip
    return drawing.update_yaxes(tickfont={"size": 11}).update_xaxes(nticks=5, tickangle=0)


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
        x=caught, xbins={"start": 0, "size": 1}, marker={"color": BLUE}, name="announced",
        hovertemplate="%{x} d: %{y}<extra></extra>",
    )  # fmt: skip
    drawing.add_vline(horizon_days, line={"color": GREY, "dash": "dot"}, annotation_text=f"horizon {horizon_days:g} d")
    most = caught.floordiv(1).value_counts().max()
    return drawing.update_xaxes(rangemode="tozero").update_yaxes(dtick=whole_step(most))


def learning_curve(table: pd.DataFrame, *, metric: str) -> go.Figure:
    """Whether more turbines would help. Needs `turbines`, `rows` (both learned from) and `score`, rising."""
    drawing = figure("Learning curve", "training turbines", f"{metric} on the test")
    drawing.add_scatter(
        x=table["turbines"], y=table["score"], mode="lines+markers", line={"color": BLUE}, customdata=table["rows"],
        hovertemplate="%{x} turbines, %{customdata:,} windows: %{y:.3f}<extra></extra>",
    )  # fmt: skip
    return drawing.update_xaxes(rangemode="tozero", dtick=whole_step(table["turbines"].max())).update_yaxes(rangemode="tozero")


def metric_by_group(table: pd.DataFrame, *, group: str, metric: str, counted: str = "windows") -> go.Figure:
    """One metric by turbine, failure mode or anything else: of the first `MOST_BARS`, largest on top.

    Needs `group`, `value`, `rows` (how many `counted` the value rests on); a null value is left out.
    """
    all_known = table.dropna(subset=["value"])
    known = all_known.head(MOST_BARS).sort_values("value")
    shortened = f" ({MOST_BARS} of {len(all_known)})" if len(all_known) > MOST_BARS else ""
    title = f"{metric[0].upper()}{metric[1:]} by {group}{shortened}"
    drawing = figure(title, metric, height=max(220, 100 + 22 * len(known)))
    if known.empty:
        return say_nothing_to_show(drawing, f"{metric} is not known for any {group}")
    drawing.add_bar(
        x=known["value"], y=known["group"].map(label), orientation="h", marker={"color": BLUE}, customdata=known["rows"],
        text=[f"{value:.3g}" for value in known["value"]], textposition="outside", cliponaxis=False,
        hovertemplate=f"%{{y}}: %{{x:.3g}} (%{{customdata:,}} {counted})<extra></extra>",
    )  # fmt: skip
    return drawing.update_yaxes(type="category").update_xaxes(nticks=6, rangemode="tozero")


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
