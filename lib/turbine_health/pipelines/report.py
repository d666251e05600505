"""Report: the newest predictions, what is behind them and how good they are, as a page and a summary."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from turbine_health.io.delta import TableStore
from turbine_health.io.tracking import Tracker
from turbine_health.models.wording import signal_title
from turbine_health.pipelines.report_tables import drawn_signals, gather
from turbine_health.pipelines.run_overview import contests, runs_overview, serving_models
from turbine_health.reporting.console import Contest, print_summary
from turbine_health.reporting.fleet_page import days_left_words, fleet_page
from turbine_health.settings import Settings, StorageSettings

logger = logging.getLogger("turbine_health")

FLEET_PAGE = "index.html"
EXPLORATION_PAGE = "exploration.html"


@dataclass(frozen=True)
class ReportSummary:
    """What was written, and what is in it."""

    turbines: int
    alerts: int
    page: str
    overview: Mapping[str, Any]
    """`as_of`, `runs`, `turbines` and `pages`, ready for JSON."""
    contests: tuple[Contest, ...]

    def __str__(self) -> str:
        alerts = "1 alert" if self.alerts == 1 else f"{self.alerts} alerts"
        return f"{alerts} among {self.turbines} turbines as of {self.overview['as_of']}; {self.page}"

    def show(self, *, as_json: bool) -> None:
        """Print to standard output: tables for people, or JSON for machines."""
        if as_json:
            print(json.dumps(self.overview, indent=1))
        else:
            print_summary(self.overview, self.contests, sys.stdout)


def report(store: TableStore, tracker: Tracker, settings: Settings) -> ReportSummary:
    """Write the fleet page and gather the summary. The same tables give the same page, byte for byte."""
    logger.info("reading predictions, signals and events")
    frames = gather(store, settings)
    logger.info("drawing the %d most urgent of %d turbines", len(frames.newest), frames.totals.turbines)
    links = {"Exploration": EXPLORATION_PAGE} if (_folder(settings.storage) / EXPLORATION_PAGE).exists() else {}
    page = fleet_page(frames, _signal_titles(settings), serving_models(tracker), links)
    path = write_page(settings.storage, FLEET_PAGE, page)
    overview = {
        "as_of": f"{frames.newest['window_end'].max():%Y-%m-%d %H:%M} UTC",
        "runs": runs_overview(tracker),
        "turbines": _turbines(frames.newest.head(settings.report.top_turbines)),
        "pages": {"fleet": str(path)} | {name.lower(): str(path.parent / file) for name, file in links.items()},
    }
    return ReportSummary(frames.totals.turbines, frames.totals.alerts, str(path), overview, contests(tracker))


def write_page(storage: StorageSettings, name: str, page: str) -> Path:
    """Put a page in place in one step, so that a reader never sees half of one."""
    folder = _folder(storage)
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{name}.{os.getpid()}"
    unfinished.write_text(page, encoding="utf-8")
    unfinished.replace(folder / name)
    logger.info("wrote %s (%.1f MB)", folder / name, len(page) / 1e6)
    return folder / name


def _folder(storage: StorageSettings) -> Path:
    return Path(storage.reports).resolve()


def _signal_titles(settings: Settings) -> dict[str, str]:
    units = {signal.name: signal.unit for source in settings.sources for signal in source.signals}
    return {name: signal_title(name, units[name]) for name in drawn_signals(settings)}


def _turbines(newest: pd.DataFrame) -> list[dict[str, Any]]:
    """The work list's rows, ready for JSON: no NaN, no numpy."""
    shown = ["asset_id", "failure_probability", "is_alert", "quality_status", "cost_at_stake", "data_age_hours", "reasons"]
    rows = json.loads(newest[shown].to_json(orient="records"))
    days = newest[["predicted_time_to_failure_days", "lower_days", "upper_days"]].itertuples(index=False)
    return [
        {**row, "is_alert": bool(row["is_alert"]), "reasons": row["reasons"] or [], "days_left": days_left_words(*left)}
        for row, left in zip(rows, days, strict=True)
    ]
