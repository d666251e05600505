"""The page to read before any model: what each source holds, lacks, and does before failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from turbine_health.reporting import exploration_charts as charts
from turbine_health.reporting.pages import render


@dataclass(frozen=True)
class SourceFrames:
    """Everything on the page about one source, as small frames. Times are UTC."""

    name: str
    description: str
    titles: Mapping[str, str]
    """Signal → what to call it, in the order to show."""
    facts: Mapping[str, str]
    missing: pd.DataFrame
    """`period_start` and a column per signal."""
    coverage: pd.DataFrame
    """`asset_id`, `period_start`, `coverage`."""
    health: pd.DataFrame
    """`asset_id` and a column per signal."""
    flags: pd.DataFrame
    """`signal`, `flag`, `readings`."""
    histograms: pd.DataFrame
    """`signal`, `bin`, `rows`."""
    axes: Mapping[str, tuple[float, float]]
    """Signal → range of its histogram; a signal without values has none."""
    correlations: pd.DataFrame
    """`first`, `second`, `rows`, `correlation`."""
    lives: pd.DataFrame
    """silver.asset_lives of the turbines shown."""
    before_failure: pd.DataFrame
    """`days_before`, `failures`, and per signal `<signal>__failing`, `<signal>__healthy` (quartiles)."""
    turbines_hidden: int
    """Turbines that the charts by turbine leave out."""


def exploration_page(sources: Sequence[SourceFrames], links: Mapping[str, str]) -> str:
    """The whole page as HTML."""
    return render("exploration.html", title="What the readings hold", links=links, sources=[_source(each) for each in sources])


def _source(frames: SourceFrames) -> dict[str, object]:
    return {
        "name": frames.name,
        "description": frames.description,
        "facts": frames.facts,
        "hidden": frames.turbines_hidden,
        "over_time": [charts.missing_over_time(frames.missing, frames.titles), charts.coverage_calendar(frames.coverage)],
        "sensors": [charts.sensor_health(frames.health, frames.titles), charts.flags(frames.flags)],
        "distributions": [_distribution(frames, signal, title) for signal, title in frames.titles.items()],
        "correlations": charts.correlations(frames.correlations, frames.titles),
        "timeline": charts.failure_timeline(frames.lives),
        "failures": int(frames.lives["ended_in_failure"].eq(True).sum()),
        "before_failure": [
            charts.days_before_failure(before_failure_of(frames.before_failure, signal), title)
            for signal, title in frames.titles.items()
        ]
        if len(frames.before_failure)
        else [],
    }


def _distribution(frames: SourceFrames, signal: str, title: str) -> go.Figure:
    low, high = frames.axes.get(signal, (0.0, 1.0))
    is_of_it = frames.histograms["signal"] == signal
    return charts.distribution(frames.histograms.loc[is_of_it], title, low=low, high=high)


def before_failure_of(table: pd.DataFrame, signal: str) -> pd.DataFrame:
    """One signal's quartiles as columns, for `days_before_failure`; an array that is null becomes nulls."""
    columns = {"days_before": table["days_before"]}
    for group in ("failing", "healthy"):
        quartiles = table[f"{signal}__{group}"].tolist()
        for place, name in enumerate((f"{group}_low", group, f"{group}_high")):
            columns[name] = pd.Series([None if row is None else row[place] for row in quartiles], dtype="float64")
    frame: pd.DataFrame = pd.DataFrame(columns)
    return frame
