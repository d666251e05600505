"""The feature benchmark's report: which rules hold, and what it leaves of the page."""

from __future__ import annotations

from typing import Any

from benchmarks.feature_report import BEGIN, END, rules_of, write_report

SAME = {"windows": 10, "unmatched": 0, "only_one": 0, "largest_difference": 1e-12, "in": "x", "equal": True}


def load(seconds: float, **more: Any) -> dict[str, Any]:
    return {"ours": {"seconds": seconds, "cpu_seconds": 1.0}, **more}


def broken(results: dict[str, Any]) -> list[str]:
    return [sentence for holds, sentence in rules_of(results) if not holds]


def test_another_value_breaks_a_rule():
    other = {**SAME, "largest_difference": 1e-3, "equal": False}
    assert broken({"fleet_4m": load(1, polars_values=SAME)}) == []
    assert broken({"fleet_4m": load(1, polars_values=other)}) == ["fleet_4m: polars has our values, to 1.0e-03 of 1e-09"]


def test_the_usual_way_that_was_stopped_took_at_least_so_long():
    stopped = {"stopped_after_minutes": 30}
    assert broken({"la_haute_borne": load(36, spark_raw=stopped)}) == []
    (sentence,) = broken({"la_haute_borne": load(40, spark_raw=stopped)})
    assert sentence == "la_haute_borne: at least 45 × faster than frames over raw readings; 50 wanted"


def test_a_further_million_readings_may_cost_half_more_than_polars_takes():
    def fleets(ours: float) -> dict[str, Any]:
        return {"fleet_4m": load(6, polars={"seconds": 4}), "fleet_42m": load(ours, polars={"seconds": 41.8})}

    assert broken(fleets(6 + 1.4 * 37.8)) == []
    assert broken(fleets(6 + 1.6 * 37.8))[0].startswith("a further million readings cost 1.60 s, polars 1.00 s: 1.60 ×")


def test_a_new_day_may_cost_three_percent():
    def increments(cpu: float) -> dict[str, Any]:
        full, day = {"cpu_seconds": 100.0, "written_mb": 100.0}, {"cpu_seconds": cpu, "written_mb": 1.0}
        late = {"cpu_seconds": 1.0, "written_mb": 1.0, "windows": 743}
        return load(1, incremental_full=full, incremental_new_day=day, incremental_late_day=late)

    assert broken({"fleet_4m": increments(3.0)}) == []
    (sentence,) = broken({"fleet_4m": increments(3.1)})
    assert "3.1% of the full build's CPU time" in sentence


def test_only_what_stands_between_the_marks_is_written_anew(tmp_path):
    page = tmp_path / "benchmarks.md"
    page.write_text(f"# Benchmarks\n\nbefore\n{BEGIN}\nyesterday\n{END}\nafter\n", encoding="utf-8")
    for _ in range(2):
        write_report({"fleet_tiny": load(1, polars={"seconds": 2.0}, polars_values=SAME)}, tmp_path)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# Benchmarks\n\nbefore\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "yesterday" not in text
    assert text.count("| polars | 2.0 | 2.00 |") == 1
    assert (tmp_path / "benchmark_features.svg").stat().st_size > 1_000
