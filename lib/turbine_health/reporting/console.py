"""The summary at the end of a run, for a terminal or a log file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from turbine_health.reporting.theme import short

# Wide enough for every column; a log file has no width of its own to keep to.
_WIDTH_WITHOUT_TERMINAL = 160


@dataclass(frozen=True)
class Contest:
    """How runs of one experiment are compared.

    `metrics` and `params` are those to show, in order; the best run has the highest value of the metric
    `decided_by`, or the lowest where `lower_is_better`.
    """

    experiment: str
    metrics: tuple[str, ...]
    params: tuple[str, ...]
    decided_by: str
    lower_is_better: bool


def best_run(runs: Sequence[Mapping[str, Any]], contest: Contest) -> str | None:
    """The run_id of the best finished run; None where none has the deciding metric."""
    sign = 1 if contest.lower_is_better else -1
    known = [run for run in runs if run["status"] == "FINISHED" and contest.decided_by in run["metrics"]]
    ranked = sorted(known, key=lambda run: sign * run["metrics"][contest.decided_by])
    return str(ranked[0]["run_id"]) if ranked else None


def print_summary(summary: Mapping[str, Any], contests: Sequence[Contest], file: TextIO) -> None:
    """Experiments with their runs, the turbines to look at, and where the pages are.

    Args:
        summary: `runs` (experiment → list of run mappings), `turbines` (list of mappings), `pages`
            (name → path), as `--json` prints them.
        contests: One per experiment.
        file: Where to.
    """
    console = Console(file=file, width=None if file.isatty() else _WIDTH_WITHOUT_TERMINAL, highlight=False)
    for contest in contests:
        console.print(_runs_table(summary["runs"].get(contest.experiment, []), contest))
    console.print(_turbines_table(summary["turbines"]))
    for name, path in summary["pages"].items():
        console.print(Text(f"{name}: {path}"), soft_wrap=True)


def _runs_table(runs: Sequence[Mapping[str, Any]], contest: Contest) -> Table:
    better = "lowest" if contest.lower_is_better else "highest"
    table = Table(title=f"{contest.experiment}  (★ best: {better} {contest.decided_by})", title_justify="left")
    for heading in ("", "run", "started (UTC)", "status", "model", *contest.params):
        table.add_column(heading, overflow="fold")
    for metric in contest.metrics:
        table.add_column(metric, justify="right")
    best = best_run(runs, contest)
    for run in runs:
        is_best = run["run_id"] == best
        cells = [
            "★" if is_best else "",
            run["name"],
            run["started_at"][:16].replace("T", " "),
            run["status"].lower(),
            run["model"],
            *[run["params"].get(name, "") for name in contest.params],
            *[_number(run["metrics"].get(name)) for name in contest.metrics],
        ]
        table.add_row(*[Text(cell) for cell in cells], style="bold" if is_best else "")
    if not runs:
        table.add_row("", "no run yet")
    return table


def _turbines_table(turbines: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title="Turbines, most urgent first", title_justify="left")
    for heading in ("turbine", "risk", "", "days left", "cost at stake", "data age", "why"):
        is_number = heading in ("risk", "days left", "cost at stake", "data age")
        table.add_column(heading, justify="right" if is_number else "left", overflow="fold")
    for turbine in turbines:
        risk = turbine["failure_probability"]
        cells = [
            short(turbine["asset_id"]),
            "–" if risk is None else f"{risk:.1%}",
            "ALERT" if turbine["is_alert"] else turbine["quality_status"].replace("ok", ""),
            turbine["days_left"],
            "–" if turbine["cost_at_stake"] is None else f"{turbine['cost_at_stake']:,.0f}",
            "–" if turbine["data_age_hours"] is None else f"{turbine['data_age_hours']:.0f} h",
            "; ".join(turbine["reasons"][:1]),
        ]
        table.add_row(*[Text(cell) for cell in cells], style="bold" if turbine["is_alert"] else "")
    if not turbines:
        table.add_row("no prediction yet")
    return table


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
