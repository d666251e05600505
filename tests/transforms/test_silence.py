"""A turbine without a window still has a row: what it says, from when on, and the same in one run or in many."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pytest
from builders import frame, times, utc
from pyspark.sql import DataFrame, SparkSession

from turbine_health.tables import window_features
from turbine_health.transforms.silence import Ends, Freshness, to_newest_windows, to_windows_of_span

TABLE = window_features(["a__mean_24h"])
# Windows end every 12 hours; a turbine is silent when its last reading is more than 30 hours old.
FRESHNESS = Freshness(stale_after_hours=30, shortest_lookback_hours=24)
STEP = 12 * 3_600


def _at(day: str) -> int:
    return int(utc(f"2024-01-{day}").timestamp())


def _ends(first: str, last: str) -> Ends:
    return Ends(_at(first), _at(last), STEP)


@pytest.fixture(scope="module")
def windows(spark: SparkSession) -> DataFrame:
    """T01 from the 1st to the 6th, T02 from the 1st to the 3rd, T03 from the 4th on."""
    spans = {"T01": ("2024-01-01", 11), "T02": ("2024-01-01", 5), "T03": ("2024-01-04", 5)}
    rows = [
        {"asset_id": name, "window_end": end, "coverage": 1, "data_age_hours": 0.5, "a__mean_24h": 60}
        for name, (start, count) in spans.items()
        for end in times(start, count, 720)
    ]
    return frame(spark, rows, TABLE).cache()


def _known(spark: SparkSession, *names: str) -> DataFrame:
    return spark.createDataFrame([(name,) for name in names], "asset_id string")


def _found(rows: DataFrame) -> dict[tuple[str, datetime], tuple[float | None, float | None, float | None]]:
    found = {}
    for row in rows.collect():
        key = (row.asset_id, row.window_end)
        assert key not in found, f"{key} is there twice"
        found[key] = (row.coverage, row.data_age_hours, row.a__mean_24h)
    return found


def _key(name: str, text: str) -> tuple[str, datetime]:
    return name, utc(f"2024-01-{text}").replace(tzinfo=None)


def test_a_silent_turbine_has_its_row_at_the_fleets_last_end_with_the_true_age_of_its_data(
    spark: SparkSession, windows: DataFrame
) -> None:
    newest = _found(to_newest_windows(windows, _known(spark), _ends("06", "06"), FRESHNESS))
    assert newest == {
        _key("T01", "06"): (1.0, 0.5, 60.0), _key("T02", "06"): (0.0, 72.5, None), _key("T03", "06"): (1.0, 0.5, 60.0),
    }  # fmt: skip


def test_until_its_data_is_too_old_the_last_window_of_a_turbine_speaks_for_it(spark: SparkSession, windows: DataFrame) -> None:
    newest = _found(to_newest_windows(windows, _known(spark), _ends("04", "04"), FRESHNESS))
    assert newest[_key("T02", "03")] == (1.0, 0.5, 60.0)
    a_step_later = _found(to_newest_windows(windows, _known(spark), _ends("04", "04 12:00"), FRESHNESS))
    assert a_step_later[_key("T02", "04 12:00")] == (0.0, 36.5, None)
    assert _key("T02", "03") not in a_step_later


def test_a_silence_shorter_than_the_look_back_leaves_the_coverage_open(spark: SparkSession, windows: DataFrame) -> None:
    soon_stale = Freshness(stale_after_hours=6, shortest_lookback_hours=24)
    newest = _found(to_newest_windows(windows, _known(spark), _ends("03", "03 12:00"), soon_stale))
    assert newest[_key("T02", "03 12:00")] == (None, 12.5, None)


def test_a_known_turbine_that_was_never_heard_of_has_a_row_without_an_age(spark: SparkSession, windows: DataFrame) -> None:
    newest = _found(to_newest_windows(windows, _known(spark, "T01", "T09"), _ends("06", "06"), FRESHNESS))
    assert newest[_key("T09", "06")] == (0.0, None, None)


def test_a_known_turbine_has_no_data_before_its_first_window_and_an_unknown_one_no_row(
    spark: SparkSession, windows: DataFrame
) -> None:
    span = _ends("03", "04")
    assert _found(to_windows_of_span(windows, _known(spark, "T03"), span, FRESHNESS))[_key("T03", "03 12:00")] == (
        0.0,
        None,
        None,
    )
    assert _key("T03", "03 12:00") not in _found(to_windows_of_span(windows, _known(spark), span, FRESHNESS))


def test_windows_that_end_after_the_clock_are_not_used(spark: SparkSession, windows: DataFrame) -> None:
    newest = _found(to_newest_windows(windows, _known(spark), _ends("02", "02"), FRESHNESS))
    assert sorted(newest) == [_key("T01", "02"), _key("T02", "02")]


def test_with_a_later_clock_the_whole_fleet_is_silent(spark: SparkSession, windows: DataFrame) -> None:
    newest = _found(to_newest_windows(windows, _known(spark), _ends("09", "09"), FRESHNESS))
    assert newest == {_key(name, "09"): (0.0, age, None) for name, age in (("T01", 72.5), ("T02", 144.5), ("T03", 72.5))}


def test_the_rows_of_a_span_are_those_of_its_parts_and_of_runs_at_each_end(spark: SparkSession, windows: DataFrame) -> None:
    known = _known(spark, "T03", "T09")

    def span(first: str, last: str) -> dict[tuple[str, datetime], object]:
        return dict(_found(to_windows_of_span(windows, known, _ends(first, last), FRESHNESS)))

    whole = span("01", "07")
    assert whole == span("01", "04 12:00") | span("05", "07")
    assert all(whole.items() >= newest.items() for newest in _at_each(windows, known, ["03", "04 12:00", "06", "07"]))


def _at_each(windows: DataFrame, known: DataFrame, ends: Sequence[str]) -> list[dict[tuple[str, datetime], object]]:
    return [dict(_found(to_newest_windows(windows, known, _ends(end, end), FRESHNESS))) for end in ends]
