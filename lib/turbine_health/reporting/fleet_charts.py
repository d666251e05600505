"""Charts of single turbines and of the fleet: a small pandas frame in, a plotly figure out."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from turbine_health.reporting.theme import (
    AMBER,
    BAND,
    BLUE,
    GREEN,
    GREY,
    RED,
    SERIES,
    figure,
    label,
    say_nothing_to_show,
    whole_step,
)

_ROW_HEIGHT = 118


def turbine_predictions(history: pd.DataFrame, events: pd.DataFrame, *, horizon_days: float) -> go.Figure:
    """Risk and days left of one turbine over time.

    Args:
        history: One row per `window_end`, ordered: `failure_probability`, `alert_threshold`, `is_alert`,
            `predicted_time_to_failure_days`, `lower_days`, `upper_days`; null where not scored. Needs `window_end` too.
        events: As for `turbine_signals`.
        horizon_days: How far ahead the probability looks.
    """
    drawing = make_subplots(
        rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.14,
        subplot_titles=[f"risk of a failure within {horizon_days:g} days (%)", "days left, with interval"],
    )  # fmt: skip
    _dress(drawing, rows=2, row_height=190)
    if history.empty:
        return say_nothing_to_show(drawing, "not scored in this period")
    times = history["window_end"]
    # A turbine scored once so far is a point, which a line alone would not show.
    mode = "lines+markers" if len(history) < 20 else "lines"
    _band(drawing, times, history["lower_days"], history["upper_days"], row=2)
    _line(drawing, times, 100 * history["failure_probability"], "risk", BLUE, row=1, mode=mode, unit="%")
    _line(drawing, times, 100 * history["alert_threshold"], "alert threshold", GREY, row=1, dash="dot", unit="%")
    alerts = history[history["is_alert"].eq(True)]
    drawing.add_scatter(
        x=alerts["window_end"], y=100 * alerts["failure_probability"], mode="markers", name="alert",
        marker={"color": RED, "size": 6}, hovertemplate="%{x|%d %b %H:%M}: alert, %{y:.1f} %<extra></extra>", row=1, col=1,
    )  # fmt: skip
    _line(drawing, times, history["predicted_time_to_failure_days"], "days left", BLUE, row=2, mode=mode, unit="d")
    _mark_events(drawing, events)
    return drawing.update_yaxes(rangemode="tozero")


def turbine_signals(daily: pd.DataFrame, fleet: pd.DataFrame, events: pd.DataFrame, signals: Mapping[str, str]) -> go.Figure:
    """Daily mean of each signal of one turbine, its daily range, and the fleet's median turbine.

    Args:
        daily: One row per `day`, ordered: for each signal `<signal>`, `<signal>_low`, `<signal>_high`. Needs `day` too.
        fleet: One row per `day` with the median of each `<signal>`.
        events: `started_at`, `ended_at` (null: not known), `kind` and `words` of failures and repairs.
        signals: Column of each signal, and what to call it.
    """
    rows = max(len(signals), 1)
    drawing = make_subplots(
        rows=rows, cols=1, shared_xaxes=True, subplot_titles=list(signals.values()), vertical_spacing=0.3 / rows
    )
    _dress(drawing, rows=rows, row_height=_ROW_HEIGHT)
    if daily.empty or not signals:
        return say_nothing_to_show(drawing, "no readings in this period")
    for row, signal in enumerate(signals, start=1):
        _band(drawing, daily["day"], daily[f"{signal}_low"], daily[f"{signal}_high"], row=row)
        _line(drawing, fleet["day"], fleet[signal], "fleet median", GREY, row=row, dash="dot", legend=row == 1)
        _line(drawing, daily["day"], daily[signal], "this turbine", BLUE, row=row, legend=row == 1)
    _mark_events(drawing, events)
    return drawing


def realised_quality(monthly: pd.DataFrame) -> go.Figure:
    """How good served predictions turned out. Needs `month`, `precision`, `recall` (null: not known)."""
    drawing = figure("Served predictions, as they turned out", "", "share of windows")
    if monthly.empty:
        return say_nothing_to_show(drawing, "no served prediction is older than its horizon yet")
    for name, colour in (("precision", AMBER), ("recall", BLUE)):
        drawing.add_scatter(
            x=monthly["month"], y=monthly[name], mode="lines+markers", name=name, line={"color": colour},
            hovertemplate=f"%{{x|%b %Y}}: {name} %{{y:.2f}}<extra></extra>",
        )  # fmt: skip
    return drawing.update_yaxes(range=[-0.02, 1.02])


def announced_failures(monthly: pd.DataFrame) -> go.Figure:
    """Failures with and without a warning. Needs `month`, `failures`, `failures_warned`."""
    drawing = figure("Failures, announced and not", "", "failures")
    if monthly.empty or not monthly["failures"].sum():
        return say_nothing_to_show(drawing, "no failure since scoring began")
    missed = monthly["failures"] - monthly["failures_warned"]
    for name, counts, colour in (("announced", monthly["failures_warned"], GREEN), ("not announced", missed, RED)):
        drawing.add_bar(x=monthly["month"], y=counts, name=name, marker={"color": colour})
    step = whole_step(monthly["failures"].max())
    return drawing.update_layout(barmode="stack").update_yaxes(dtick=step)


def flagged_share(days: pd.DataFrame) -> go.Figure:
    """Share of readings with each kind of flag, by day. Needs `day`, `flag`, `share`."""
    drawing = figure("Readings with a quality flag", "", "share of the day's readings", height=420)
    if days.empty:
        return say_nothing_to_show(drawing, "no reading was flagged in this period")
    largest = days.groupby("flag")["share"].sum().nlargest(len(SERIES)).index
    for flag, colour in zip(largest, SERIES, strict=False):
        rows = days[days["flag"] == flag]
        drawing.add_scatter(
            x=rows["day"], y=rows["share"], mode="lines+markers", name=label(flag), line={"color": colour},
            hovertemplate="%{x|%d %b}: %{y:.2%}<extra>" + label(flag) + "</extra>",
        )  # fmt: skip
    drawing.update_layout(legend={"y": -0.18, "yanchor": "top"})
    # A day on each side: the axis of a single day would show milliseconds.
    around = [days["day"].min() - pd.Timedelta(days=1), days["day"].max() + pd.Timedelta(days=1)]
    return drawing.update_yaxes(tickformat=".1%", rangemode="tozero").update_xaxes(range=around)


def _dress(drawing: go.Figure, *, rows: int, row_height: int) -> None:
    """The project's looks, on a figure of several rows. The page gives it its heading."""
    model = figure("", height=100 + row_height * rows)
    axis = model.layout.xaxis.to_plotly_json()
    axis.pop("title", None)
    drawing.update_layout(model.layout).update_xaxes(axis).update_yaxes(axis)
    above_first_row = 1 + 26 / (row_height * rows)
    drawing.update_layout(margin={"t": 76}, legend={"y": above_first_row, "yanchor": "bottom"})
    drawing.update_annotations(font={"size": 12}, x=0, xanchor="left")


def _line(
    drawing: go.Figure, x: pd.Series, y: pd.Series, name: str, colour: str, *, row: int,
    mode: str = "lines", dash: str = "solid", unit: str = "", legend: bool = True,
) -> None:  # fmt: skip
    drawing.add_scatter(
        x=x, y=y, mode=mode, name=name, legendgroup=name, showlegend=legend, line={"color": colour, "dash": dash, "width": 1.8},
        hovertemplate=f"%{{x|%d %b %H:%M}}: %{{y:.4~g}} {unit}<extra>{name}</extra>", row=row, col=1,
    )  # fmt: skip


def _band(drawing: go.Figure, x: pd.Series, low: pd.Series, high: pd.Series, *, row: int) -> None:
    edge = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
    drawing.add_scatter(x=x, y=low, **edge, row=row, col=1)
    drawing.add_scatter(x=x, y=high, **edge, fill="tonexty", fillcolor=BAND, row=row, col=1)


def _mark_events(drawing: go.Figure, events: pd.DataFrame) -> None:
    """A line where the turbine failed, a band while it was down, over all panels.

    Set all at once: plotly copies every shape there is for each one added, and asks each panel.
    """
    over_all_panels = {"type": "rect", "xref": "x", "yref": "paper", "y0": 0, "y1": 1}
    shapes = []
    for event, is_over in zip(events.to_dict("records"), events["ended_at"].notna(), strict=True):
        colour = RED if event["kind"] == "failure" else GREY
        start = {**over_all_panels, "x0": event["started_at"]}
        if is_over:
            shapes.append({**start, "x1": event["ended_at"], "fillcolor": colour, "opacity": 0.12, "line": {"width": 0}})
        shapes.append({**start, "type": "line", "x1": event["started_at"], "line": {"color": colour, "width": 1}})
    drawing.update_layout(shapes=shapes)
