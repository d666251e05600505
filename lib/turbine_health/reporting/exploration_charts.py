"""Charts of what the readings hold, before any model: a small pandas frame in, a plotly figure out."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from turbine_health.reporting.theme import (
    AMBER,
    BAND,
    BLUE,
    DIVERGING,
    GREEN,
    GREY,
    INK,
    RED,
    SERIES,
    VIOLET,
    figure,
    label,
    say_nothing_to_show,
)

# From "nothing is there" to "all is there", and the other way round.
_PRESENT = [[0, RED], [0.5, AMBER], [0.9, BAND], [1, BLUE]]
_MISSING = [[0, BAND], [0.1, AMBER], [1, RED]]
_ROW = 16
_MOST_LABELS = 60
# A colour scale beside a heat map would take half of a narrow screen.
_COLOURS_ABOVE = {
    "orientation": "h", "y": 1, "yanchor": "bottom", "x": 0, "xanchor": "left", "len": 0.6, "thickness": 8, "ypad": 4,
}  # fmt: skip


def missing_over_time(shares: pd.DataFrame, titles: Mapping[str, str]) -> go.Figure:
    """Share of readings without a usable value. Needs `period_start` and a column per signal of `titles`, 0 to 1."""
    drawing = figure("Missing values over time", height=140 + 30 * len(titles))
    values = shares[list(titles)].to_numpy(dtype=float).T
    return _heat(drawing, values, shares["period_start"], list(titles.values()), _MISSING, "missing", top=_most(values))


def coverage_calendar(coverage: pd.DataFrame) -> go.Figure:
    """Which turbine sent data when. Needs `asset_id`, `period_start`, `coverage` (0 to 1); no row: nothing came."""
    table = coverage.pivot_table(index="asset_id", columns="period_start", values="coverage", fill_value=0.0)
    drawing = figure("Readings present, of those expected", height=140 + _ROW * max(len(table), 4))
    return _heat(drawing, table.to_numpy(dtype=float), pd.Series(table.columns), list(table.index), _PRESENT, "present")


def sensor_health(health: pd.DataFrame, titles: Mapping[str, str]) -> go.Figure:
    """Which sensor of which turbine lacks values. Needs `asset_id` and a column per signal, 0 to 1."""
    drawing = figure("Missing values by turbine and signal", height=220 + _ROW * max(len(health), 4))
    values = health[list(titles)].to_numpy(dtype=float)
    names = pd.Series([_wrapped(title) for title in titles.values()])
    assets = list(health["asset_id"])
    drawing = _heat(drawing, values, names, assets, _MISSING, "missing", top=_most(values), over_time=False)
    return drawing.update_xaxes(tickangle=-60, tickfont={"size": 10})


def flags(counts: pd.DataFrame) -> go.Figure:
    """Readings with a quality flag. Needs `signal`, `flag`, `readings`."""
    drawing = figure("Quality flags", "readings", height=max(240, 130 + 24 * counts["signal"].nunique()))
    if counts.empty:
        return say_nothing_to_show(drawing, "no reading carries a flag")
    for place, (flag, rows) in enumerate(counts.groupby("flag")):
        drawing.add_bar(
            x=rows["readings"], y=rows["signal"].map(label), orientation="h", name=label(flag).replace("_", " "),
            marker={"color": SERIES[place % len(SERIES)]}, hovertemplate="%{y}: %{x:,}<extra>%{fullData.name}</extra>",
        )  # fmt: skip
    return _legend_below(drawing.update_layout(barmode="stack"))


def distribution(histogram: pd.DataFrame, title: str, *, low: float, high: float) -> go.Figure:
    """How often a signal takes which value; the end bins hold what lies beyond. Needs `bin`, `rows`."""
    drawing = figure(title, height=220)
    if histogram.empty or not histogram["rows"].sum():
        return say_nothing_to_show(drawing, "no usable value")
    width = (high - low) / (histogram["bin"].max() + 1)
    drawing.add_bar(
        x=low + (histogram["bin"] + 0.5) * width, y=histogram["rows"] / histogram["rows"].sum(), width=width,
        marker={"color": BLUE, "line": {"width": 0}}, hovertemplate="%{x:.4~g}: %{y:.2%}<extra></extra>",
    )  # fmt: skip
    return drawing.update_layout(bargap=0, margin={"t": 40, "b": 32}).update_yaxes(tickformat=".1%", nticks=4)


def correlations(table: pd.DataFrame, titles: Mapping[str, str]) -> go.Figure:
    """Which signals move together. Needs `first`, `second`, `correlation` (-1 to 1; null: never changes)."""
    wide = table.pivot_table(index="first", columns="second", values="correlation", dropna=False)
    values = wide.reindex(index=list(titles), columns=list(titles)).to_numpy(dtype=float)
    names = [_wrapped(title) for title in titles.values()]
    drawing = figure("Correlation of readings", height=max(400, 240 + 30 * len(names)))
    # On small tables the numbers fit into the cells.
    text = np.where(np.isnan(values), "", np.char.mod("%.2f", np.nan_to_num(values))) if len(names) <= 12 else None
    numbers = {} if text is None else {"text": text, "texttemplate": "%{text}"}
    drawing.add_heatmap(
        z=values, x=names, y=names, zmin=-1, zmax=1, colorscale=DIVERGING, **numbers,
        hovertemplate="%{y}<br>%{x}<br>%{z:.2f}<extra></extra>", colorbar=_COLOURS_ABOVE, xgap=1, ygap=1,
    )  # fmt: skip
    _room_for_colours(drawing).update_xaxes(tickangle=-60, tickfont={"size": 10})
    return drawing.update_yaxes(autorange="reversed", tickfont={"size": 10})


def failure_timeline(lives: pd.DataFrame) -> go.Figure:
    """Runs between repairs and how they ended.

    Needs `asset_id`, `life_start`, `life_end`, `ended_in_failure`, `failure_mode` (null: not known).
    """
    assets = list(dict.fromkeys(lives["asset_id"]))
    drawing = figure("Runs and failures", height=130 + _ROW * max(len(assets), 4))
    if lives.empty:
        return say_nothing_to_show(drawing, "no life is on record")
    edges = lives[["life_start", "life_end"]].assign(gap=None).to_numpy().ravel()
    drawing.add_scatter(
        x=edges, y=np.repeat(lives["asset_id"].map(label), 3), mode="lines", line={"color": BLUE, "width": 5}, opacity=0.5,
        name="running", hoverinfo="skip",
    )  # fmt: skip
    failed = lives[lives["ended_in_failure"].eq(True)]
    modes = failed["failure_mode"].fillna("not known")
    for place, mode in enumerate(sorted(modes.unique())):
        rows = failed[modes == mode]
        drawing.add_scatter(
            x=rows["life_end"], y=rows["asset_id"].map(label), mode="markers", name=label(mode).replace("_", " "),
            marker={"size": 10, "symbol": ("x", "diamond", "square", "circle", "triangle-up", "star")[place % 6],
                    "color": (RED, VIOLET, AMBER, GREEN, INK, BLUE)[place % 6]},
            hovertemplate="%{y}: %{x|%d %b %Y}<extra>%{fullData.name}</extra>",
        )  # fmt: skip
    return _legend_below(drawing).update_yaxes(
        type="category", categoryorder="array", categoryarray=[label(name) for name in reversed(assets)]
    )


def days_before_failure(table: pd.DataFrame, title: str) -> go.Figure:
    """A signal of turbines about to fail beside healthy ones: medians and quartile bands.

    Needs `days_before`, `failing_low`, `failing`, `failing_high`, `healthy_low`, `healthy`, `healthy_high`.
    """
    drawing = figure(title, "days before failure", height=260)
    if table["failing"].isna().all():
        return say_nothing_to_show(drawing, "no reading before a failure")
    for group, colour, fill in (("healthy", GREY, GREY), ("failing", RED, RED)):
        edge = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
        drawing.add_scatter(x=table["days_before"], y=table[f"{group}_low"], **edge)
        drawing.add_scatter(x=table["days_before"], y=table[f"{group}_high"], **edge, fill="tonexty", fillcolor=_pale(fill))
        drawing.add_scatter(
            x=table["days_before"], y=table[group], mode="lines", name=group, line={"color": colour, "width": 2},
            hovertemplate=f"%{{x}} days before: %{{y:.4~g}}<extra>{group}</extra>",
        )  # fmt: skip
    return drawing.update_xaxes(autorange="reversed").update_layout(margin={"t": 62})


def _pale(colour: str) -> str:
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.16)"


def _heat(
    drawing: go.Figure, values: np.ndarray, x: pd.Series, y: Sequence[str], colours: list[list[object]], what: str,
    *, top: float = 1.0, over_time: bool = True,
) -> go.Figure:  # fmt: skip
    if not values.size:
        return say_nothing_to_show(drawing, "no readings")
    when = "%{x|%d %b %Y}" if over_time else "%{x}"
    drawing.add_heatmap(
        z=values, x=x, y=[_wrapped(name) for name in y], zmin=0, zmax=top, colorscale=colours,
        colorbar={**_COLOURS_ABOVE, "tickformat": ".3~%"}, hovertemplate=f"%{{y}}, {when}: %{{z:.2%}} {what}<extra></extra>",
    )  # fmt: skip
    few = {"dtick": 1} if len(y) <= _MOST_LABELS else {}
    return _room_for_colours(drawing).update_yaxes(autorange="reversed", type="category", tickfont={"size": 10}, **few)


def _most(shares: np.ndarray) -> float:
    """Where a scale of shares ends: at the largest, so that small ones are told apart, but not below 1 %."""
    return float(max(0.01, np.nanmax(shares))) if shares.size else 1.0


def _wrapped(title: str) -> str:
    """A label on two or three short lines, which leaves room for the plot on a narrow screen."""
    return "<br>".join(textwrap.wrap(label(title), 18)) or "–"


def _room_for_colours(drawing: go.Figure) -> go.Figure:
    """A colour scale above the plot would push the title out of the figure: hold it where it is, in dots from the top."""
    title = {"y": 1 - 28 / drawing.layout.height, "yanchor": "bottom"}
    return drawing.update_layout(title=title, margin={"t": 84}, height=drawing.layout.height + 28)


def _legend_below(drawing: go.Figure) -> go.Figure:
    """Under the axis and its title, in as many columns as the screen has room for."""
    legend = {"yref": "container", "y": 0, "yanchor": "bottom", "xref": "container", "x": 0.02, "entrywidth": 124}
    return drawing.update_layout(legend=legend, margin={"b": 128}, height=drawing.layout.height + 64)
