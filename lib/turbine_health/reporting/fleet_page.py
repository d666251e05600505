"""The page that a planner opens in the morning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from turbine_health.reporting import fleet_charts
from turbine_health.reporting.pages import render


@dataclass(frozen=True)
class FleetTotals:
    """The whole fleet now, also those turbines that the page leaves out."""

    turbines: int
    alerts: int
    expected_failures: float
    cost_at_stake: float
    """Where a visit saves more than it costs."""
    without_fresh_data: int


@dataclass(frozen=True)
class FleetFrames:
    """Everything on the page, as small frames. Times are UTC."""

    newest: pd.DataFrame
    """One row per turbine, most urgent first: columns of `to_newest_predictions`."""
    totals: FleetTotals
    history: pd.DataFrame
    """Columns of `to_prediction_history`, by turbine and time."""
    daily: pd.DataFrame
    """Columns of `to_daily_signals`, by turbine and day."""
    fleet: pd.DataFrame
    """Columns of `to_fleet_medians`."""
    events: pd.DataFrame
    """`asset_id`, `kind` (failure, maintenance …), `started_at`, `ended_at`, `component`."""
    monthly: pd.DataFrame
    """Realised quality of the whole fleet by month; empty when the monitor has not run."""
    flags: pd.DataFrame
    """`day`, `flag`, `share` of the day's readings."""
    quarantine: pd.DataFrame
    """`code`, `rows`, `newest`."""
    batches: pd.DataFrame
    """The last rows of ops.ingest_runs."""


def fleet_page(
    frames: FleetFrames, signals: Mapping[str, str], models: Sequence[Mapping[str, object]], links: Mapping[str, str]
) -> str:
    """The whole page as HTML.

    Args:
        frames: What to show.
        signals: Column of each signal, and what to call it.
        models: One row per serving model and its main metrics.
        links: Further pages, by name.
    """
    newest = frames.newest
    turbines = [_turbine(row, frames, signals, place) for place, row in enumerate(_records(newest))]
    hidden = frames.totals.turbines - len(turbines)
    return render(
        "fleet.html",
        title="Turbines to look at",
        as_of=newest["window_end"].max() if len(newest) else None,
        horizon_days=float(newest["horizon_days"].max()) if len(newest) else 7.0,
        facts=_facts(frames),
        links=links,
        turbines=turbines,
        shortened=f"{hidden} less urgent turbines are not on this page; `make sql` shows all." if hidden > 0 else "",
        models=models,
        quality_words=_quality_words(frames.monthly),
        quality_figures=[fleet_charts.realised_quality(frames.monthly), fleet_charts.announced_failures(frames.monthly)],
        data_figures=[fleet_charts.flagged_share(frames.flags)],
        quarantine=_quarantine_rows(frames.quarantine),
        batches=_batch_rows(frames.batches),
    )


def days_left_words(days: float | None, lower: float | None, upper: float | None) -> str:
    """Days left with their interval; an interval open above ends in `or more`.

    >>> days_left_words(12.34, 8.0, 20.0), days_left_words(55.0, 31.0, None), days_left_words(None, None, None)
    ('12.3 (8.0 to 20.0)', '31 or more', '–')
    """
    if days is None or pd.isna(days):
        return "–"
    if upper is None or pd.isna(upper):
        return f"{days if lower is None or pd.isna(lower) else lower:.0f} or more"
    return f"{days:.1f} ({lower:.1f} to {upper:.1f})"


def few_predictions(scored: pd.DataFrame, days: pd.Series[Any]) -> str:
    """What to say where there is no line to draw, and how to get one."""
    if scored.empty:
        return "No window was scored in this period."
    first = min(days.min(), scored["window_end"].min())
    return (
        f"One window is scored so far, as of {scored['window_end'].iloc[0]:%d %b %Y %H:%M}; each jobs/predict.py adds one. "
        f"With --from {first:%Y-%m-%d} it scores the past too, though weeks that the model learned from flatter it."
    )


def _turbine(row: Mapping[str, Any], frames: FleetFrames, signals: Mapping[str, str], place: int) -> dict[str, Any]:
    asset_id = row["asset_id"]
    events, history = _of(frames.events, asset_id), _of(frames.history, asset_id)
    scored = history[history["failure_probability"].notna()]
    known = {name: None if not isinstance(value, list) and _is_missing(value) else value for name, value in row.items()}
    return {
        **known,
        "reasons": list(row["reasons"]) if row["reasons"] is not None else [],
        "anchor": f"turbine-{place + 1}",
        "days_left": days_left_words(row["predicted_time_to_failure_days"], row["lower_days"], row["upper_days"]),
        "events": [_event_words(event) for event in _records(events.iloc[::-1])],
        "predictions": fleet_charts.turbine_predictions(history, events, horizon_days=float(row["horizon_days"]))
        if len(scored) > 1
        else None,
        "few_predictions": few_predictions(scored, frames.daily["day"]),
        "signals": fleet_charts.turbine_signals(_of(frames.daily, asset_id), frames.fleet, events, signals),
    }


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _of(frame: pd.DataFrame, asset_id: str) -> pd.DataFrame:
    rows: pd.DataFrame = frame[frame["asset_id"] == asset_id]
    return rows


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and pd.isna(value))


def _event_words(event: Mapping[str, Any]) -> str:
    component = (event["component"] or "").replace("_", " ")
    what = event["kind"].capitalize()
    if component:
        what += f" of {component}" if event["kind"] == "failure" else f" ({component})"
    until = "" if pd.isna(event["ended_at"]) else f", running again {event['ended_at']:%d %b %Y %H:%M}"
    return f"{what}: {event['started_at']:%d %b %Y %H:%M}{until}"


def _facts(frames: FleetFrames) -> dict[str, str]:
    totals = frames.totals
    return {
        "Turbines": f"{totals.turbines:,}",
        "Alerts now": f"{totals.alerts:,}",
        "Failures to expect": f"{totals.expected_failures:.1f}",
        "Cost at stake": f"{totals.cost_at_stake:,.0f}",
        "Without fresh data": f"{totals.without_fresh_data:,}",
        "Failure model": " ".join(sorted({f"version {version}" for version in frames.newest["model_version"]})),
    }


def _quality_words(monthly: pd.DataFrame) -> str:
    if monthly.empty:
        return "How served predictions turned out is known once jobs/monitor.py has run and their horizon has passed."
    failures, warned = int(monthly["failures"].sum()), int(monthly["failures_warned"].sum())
    return f"{warned} of {failures} failures since scoring began were announced by an alert within the horizon before."


def _quarantine_rows(quarantine: pd.DataFrame) -> list[dict[str, object]]:
    return [
        {
            "reason": row["code"].replace("_", " "),
            "rows": row["rows"],
            "newest reading": "not known" if pd.isna(row["newest"]) else f"{row['newest']:%d %b %Y}",
        }
        for row in _records(quarantine)
    ]


def _batch_rows(batches: pd.DataFrame) -> list[dict[str, object]]:
    names = {
        "_source": "source", "finished_at": "finished", "files": "files", "rows_in": "rows in",
        "rows_to_silver": "to silver", "rows_to_quarantine": "to quarantine", "rows_superseded": "superseded",
    }  # fmt: skip
    shown = batches[list(names)].rename(columns=names)
    return [{**row, "finished": f"{row['finished']:%d %b %Y %H:%M}"} for row in _records(shown)]
