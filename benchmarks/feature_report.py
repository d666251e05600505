"""From the feature benchmark's results to a table with ratios, the rules that hold or do not, and a plot.

Writes the part of docs/benchmarks.md between the two marks, and docs/benchmark_features.svg.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

Results = Mapping[str, Mapping[str, Mapping[str, Any]]]

BEGIN, END = "<!-- features: written by benchmarks/features.py -->", "<!-- end of features -->"
PLOT = "benchmark_features.svg"
MILLION_READINGS = {"la_haute_borne": 0.420, "fleet_tiny": 0.035, "fleet_4m": 4.205, "fleet_42m": 42.048}
SMALL, LARGE = "fleet_4m", "fleet_42m"
# What is wanted: the rules that the results are held against.
LARGEST_DIFFERENCE = 1e-9
LEAST_AGAINST_USUAL_WAY = 50.0
MOST_AGAINST_POLARS = 1.5
MOST_SCALING = 1.2
MOST_OF_A_FULL_BUILD = 0.03
POLARS_GB = 8.0
LONGEST_LOOKBACK_HOURS = 720


def write_report(results: Results, docs: Path) -> None:
    """Put the tables, the rules and the plot into the documents."""
    text = "\n".join(report_lines(results))
    print(text)
    page = docs / "benchmarks.md"
    before = page.read_text(encoding="utf-8") if page.exists() else f"# Benchmarks\n\n{BEGIN}\n{END}\n"
    head, _, rest = before.partition(BEGIN)
    _, _, tail = rest.partition(END)
    page.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}", encoding="utf-8")
    _plot(results, docs / PLOT)


def report_lines(results: Results) -> list[str]:
    """Markdown: one table a load, one of the incremental builds, and every rule with what was found."""
    lines: list[str] = []
    for load in MILLION_READINGS:
        of_load = results.get(load, {})
        if "ours" in of_load:
            lines += ["", f"**{load}**, {MILLION_READINGS[load]:.2f} million readings", "", *_rivals_table(of_load)]
        if "incremental_full" in of_load:
            lines += ["", *_incremental_table(of_load)]
    rules = [f"- {'holds' if holds else '**does not hold**'}: {sentence}" for holds, sentence in rules_of(results)]
    return [*lines, "", f"![seconds by readings]({PLOT})", "", *rules, ""]


def _rivals_table(of_load: Mapping[str, Mapping[str, Any]]) -> list[str]:
    ours = of_load["ours"]
    lines = ["| | seconds | × ours | CPU seconds | peak GB | values |", "|---|---|---|---|---|---|"]
    for name, found in of_load.items():
        if name.startswith("incremental") or name.endswith("_values"):
            continue
        values = of_load.get(f"{name}_values", {})
        said = "" if name == "ours" or not values else f"{values['largest_difference']:.1e}" if values["equal"] else "**other**"
        seconds, ratio = _seconds(found), ""
        if seconds is not None and ours.get("seconds"):
            ratio = f"{'> ' if 'stopped_after_minutes' in found else ''}{seconds / ours['seconds']:.2f}"
        memory = " + ".join(f"{found[key]:.2f}" for key in ("peak_gb", "worker_peak_gb") if key in found)
        lines.append(f"| {name} | {_time(found)} | {ratio} | {found.get('cpu_seconds', '')} | {memory} | {said} |")
    return lines


def _incremental_table(of_load: Mapping[str, Mapping[str, Any]]) -> list[str]:
    full = of_load["incremental_full"]
    lines = [
        "| build | seconds | CPU seconds | of the full one's | MB written | of the full one's | |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in ("full", "new_day", "late_day"):
        found = of_load.get(f"incremental_{name}")
        if found:
            cpu, written = (f"{found[key]} | {found[key] / max(full[key], 1e-9):.1%}" for key in ("cpu_seconds", "written_mb"))
            lines.append(f"| {name} | {found['seconds']} | {cpu} | {written} | {found['what']} |")
    return lines


def rules_of(results: Results) -> Iterator[tuple[bool, str]]:
    """Every rule that the results can tell of: whether it holds, and what was found."""
    for load, of_load in results.items():
        for name, found in of_load.items():
            if name == "incremental_values":
                yield found["equal"], f"{load}: day by day and late gives the tables of one build, checksum for checksum"
            elif name.endswith("_values"):
                gap = f"to {found['largest_difference']:.1e} of {LARGEST_DIFFERENCE}"
                yield found["equal"], f"{load}: {name.removesuffix('_values')} has our values, {gap}"
        yield from _usual_way(load, of_load)
        yield from _increments(load, of_load)
    yield from _scaling(results)


def _usual_way(load: str, of_load: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[bool, str]]:
    theirs, ours = _seconds(of_load.get("spark_raw", {})), _seconds(of_load.get("ours", {}))
    if theirs and ours:
        at_least = "at least " if "stopped_after_minutes" in of_load["spark_raw"] else ""
        said = f"{at_least}{theirs / ours:.0f} × faster than frames over raw readings"
        yield theirs / ours >= LEAST_AGAINST_USUAL_WAY, f"{load}: {said}; {LEAST_AGAINST_USUAL_WAY:.0f} wanted"


def _increments(load: str, of_load: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[bool, str]]:
    full, day, late = (of_load.get(f"incremental_{name}") for name in ("full", "new_day", "late_day"))
    if not full or not day or not late:
        return
    for key, what in (("cpu_seconds", "CPU time"), ("written_mb", "bytes")):
        share = day[key] / max(full[key], 1e-9)
        yield share <= MOST_OF_A_FULL_BUILD, f"{load}: a new day costs {share:.1%} of the full build's {what}; 3 % wanted"
    most = 24 + LONGEST_LOOKBACK_HOURS - 1
    yield late["windows"] <= most, f"{load}: a day four weeks late rebuilds {late['windows']:,} windows; it can reach {most:,}"


def _scaling(results: Results) -> Iterator[tuple[bool, str]]:
    small, large = results.get(SMALL, {}), results.get(LARGE, {})
    further = MILLION_READINGS[LARGE] - MILLION_READINGS[SMALL]
    cost = {
        name: (large[name]["seconds"] - small[name]["seconds"]) / further
        for name in set(small) & set(large)
        if "seconds" in small[name] and "seconds" in large[name]
    }
    if "ours" not in cost:
        return
    for rival, most in (("polars", MOST_AGAINST_POLARS), ("polars_streaming", MOST_AGAINST_POLARS), ("duckdb_cells", 1.0)):
        if rival in cost:
            said = f"a further million readings cost {cost['ours']:.2f} s, {rival} {cost[rival]:.2f} s"
            yield cost["ours"] <= most * cost[rival], f"{said}: {cost['ours'] / cost[rival]:.2f} ×; {most:g} wanted"
    per_million = [each["ours"]["seconds"] / MILLION_READINGS[load] for load, each in ((SMALL, small), (LARGE, large))]
    said = f"a million readings take {per_million[1]:.2f} s of 42 million and {per_million[0]:.2f} s of 4.2"
    yield per_million[1] <= MOST_SCALING * per_million[0], f"{said}; at most a fifth more wanted"
    for rival in ("polars", "polars_streaming"):
        if "peak_gb" in large.get(rival, {}):
            peak = large[rival]["peak_gb"]
            yield (
                peak <= POLARS_GB,
                f"(theirs) {rival} does 42 million readings within {POLARS_GB:g} GB: its peak is {peak:.1f}",
            )


def _seconds(found: Mapping[str, Any]) -> float | None:
    """A rival that was stopped took at least so long."""
    if "stopped_after_minutes" in found:
        return 60 * float(found["stopped_after_minutes"])
    return float(found["seconds"]) if "seconds" in found else None


def _time(found: Mapping[str, Any]) -> str:
    if "failed_with" in found:
        return "failed"
    if "stopped_after_minutes" in found:
        return f"stopped after {found['stopped_after_minutes']:g} minutes"
    return str(found["seconds"])


def _plot(results: Results, path: Path) -> None:
    """Seconds by readings, both on logarithmic scales: a straight line is a cost in proportion."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    lines: dict[str, list[tuple[float, float]]] = {}
    for load, millions in MILLION_READINGS.items():
        for name, found in results.get(load, {}).items():
            seconds = None if name.startswith("incremental") else _seconds(found)
            if seconds is not None:
                lines.setdefault(name, []).append((millions, seconds))
                if "stopped_after_minutes" in found:
                    axes.annotate("stopped", (millions, seconds), xytext=(6, -3), textcoords="offset points")
    for name, points in sorted(lines.items(), key=lambda line: -line[1][-1][1]):
        axes.plot(*zip(*points, strict=True), marker="o", label=name, linewidth=3 if name == "ours" else 1)
    axes.set(
        title="84 features from readings every 10 minutes",
        xscale="log",
        yscale="log",
        xlabel="million readings",
        ylabel="seconds",
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
    axes.set_xticks([millions for load, millions in MILLION_READINGS.items() if load in results])
    axes.minorticks_off()
    if lines:
        axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)
    figure.savefig(path, metadata={"Date": None})
