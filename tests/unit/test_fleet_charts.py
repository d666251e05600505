"""Charts of turbines, of the fleet and of raw readings: what is drawn, and what is said when nothing can be."""

from __future__ import annotations

import pandas as pd
import pytest

from turbine_health.reporting import exploration_charts, fleet_charts, theme
from turbine_health.reporting.exploration_page import before_failure_of
from turbine_health.reporting.fleet_page import few_predictions

DAYS = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03"])
NO_EVENTS = pd.DataFrame({"kind": [], "started_at": pd.to_datetime([]), "ended_at": pd.to_datetime([])})


def history(**columns: list[object]) -> pd.DataFrame:
    values = {
        "failure_probability": [0.1, 0.4, None],
        "alert_threshold": [0.3] * 3,
        "is_alert": [False, True, None],
        "predicted_time_to_failure_days": [9.0, 5.0, None],
        "lower_days": [7.0, 3.0, None],
        "upper_days": [12.0, None, None],
    }
    return pd.DataFrame({"window_end": DAYS, **values, **columns})


def test_only_windows_that_alert_are_marked():
    drawing = fleet_charts.turbine_predictions(history(), NO_EVENTS, horizon_days=7)
    (alerts,) = [trace for trace in drawing.data if trace.name == "alert"]
    assert list(alerts.y) == [40.0]


def test_a_turbine_without_predictions_says_so():
    drawing = fleet_charts.turbine_predictions(history().head(0), NO_EVENTS, horizon_days=7)
    assert drawing.layout.annotations[-1].text == "not scored in this period"


def test_a_failure_is_a_line_and_its_repair_a_band():
    events = pd.DataFrame({
        "kind": ["failure", "maintenance"], "started_at": DAYS[:2], "ended_at": [DAYS[1], pd.NaT],
    })  # fmt: skip
    drawing = fleet_charts.turbine_predictions(history(), events, horizon_days=7)
    colours = {(shape.type, shape.fillcolor or shape.line.color) for shape in drawing.layout.shapes}
    assert colours == {("rect", theme.RED), ("line", theme.RED), ("line", theme.GREY)}


def test_each_signal_stands_beside_the_median_of_the_fleet():
    daily = pd.DataFrame({"day": DAYS, "oil_c": [60.0, 61, 62], "oil_c_low": [50.0, 51, 52], "oil_c_high": [70.0, 71, 72]})
    fleet = pd.DataFrame({"day": DAYS, "oil_c": [55.0] * 3})
    drawing = fleet_charts.turbine_signals(daily, fleet, NO_EVENTS, {"oil_c": "oil (deg C)"})
    assert {trace.name: list(trace.y) for trace in drawing.data if trace.name} == {
        "this turbine": [60.0, 61.0, 62.0],
        "fleet median": [55.0] * 3,
    }


def test_failures_that_nobody_announced_are_counted_apart():
    monthly = pd.DataFrame({"month": DAYS[:2], "failures": [3, 0], "failures_warned": [1, 0]})
    drawing = fleet_charts.announced_failures(monthly)
    assert {bar.name: list(bar.y) for bar in drawing.data} == {"announced": [1, 0], "not announced": [2, 0]}


def test_failures_are_counted_in_whole_numbers():
    monthly = pd.DataFrame({"month": DAYS[:1], "failures": [2], "failures_warned": [1]})
    assert fleet_charts.announced_failures(monthly).layout.yaxis.dtick == 1


def test_one_scored_window_is_told_in_words_with_the_command_that_scores_the_past():
    words = few_predictions(history().iloc[1:2], pd.Series(DAYS))
    assert "One window is scored so far, as of 02 Jan 2024 00:00" in words
    assert "--from 2024-01-01" in words


def test_a_day_without_any_reading_is_missing_in_the_calendar():
    coverage = pd.DataFrame({"asset_id": ["T01", "T02"], "period_start": DAYS[:2], "coverage": [1.0, 0.5]})
    assert exploration_charts.coverage_calendar(coverage).data[0].z.tolist() == [[1.0, 0.0], [0.0, 0.5]]


def test_a_distribution_is_in_the_units_of_its_axis():
    histogram = pd.DataFrame({"bin": [0, 1], "rows": [1, 3]})
    bars = exploration_charts.distribution(histogram, "oil (deg C)", low=40.0, high=60.0).data[0]
    assert (list(bars.x), list(bars.y), bars.width) == ([45.0, 55.0], [0.25, 0.75], 10.0)


def test_runs_end_in_a_mark_of_their_failure():
    lives = pd.DataFrame({
        "asset_id": ["T01", "T01"], "life_start": DAYS[:2], "life_end": DAYS[1:], "ended_in_failure": [True, False],
        "failure_mode": [None, None],
    })  # fmt: skip
    running, failed = exploration_charts.failure_timeline(lives).data
    assert list(running.y) == ["T01"] * 6
    assert (failed.name, list(pd.to_datetime(failed.x))) == ("not known", [DAYS[1]])


def test_quartiles_become_columns_and_a_day_without_healthy_turbines_nulls():
    table = pd.DataFrame({"days_before": [0], "oil_c__failing": [[1.0, 2.0, 3.0]], "oil_c__healthy": [None]})
    row = before_failure_of(table, "oil_c").iloc[0]
    assert (row["failing_low"], row["failing"], row["failing_high"]) == (1.0, 2.0, 3.0)
    assert pd.isna(row["healthy"])


@pytest.mark.parametrize("longest", [9, 40])
def test_a_long_name_keeps_its_ends(longest):
    shown = theme.short("abcdefghijklmnopqrstuvwxyz" * 4, longest)
    assert len(shown) == longest
    assert (shown[0], shown[-1]) == ("a", "z")
