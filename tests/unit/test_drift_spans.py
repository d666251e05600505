"""Which days drift compares with which."""

from __future__ import annotations

from builders import utc

from turbine_health.pipelines.monitor import spans_to_compare
from turbine_health.settings import DriftSettings

NEWEST = utc("2024-03-15 17:00")
SETTINGS = DriftSettings(recent_days=10)


def test_recent_days_end_with_the_last_whole_one() -> None:
    spans = spans_to_compare(NEWEST, SETTINGS, None)
    assert (spans.recent_from, spans.recent_to) == (utc("2024-03-05"), utc("2024-03-15"))


def test_they_are_compared_with_the_days_that_the_champion_was_trained_on() -> None:
    assert spans_to_compare(NEWEST, SETTINGS, utc("2023-10-01")).reference_to == utc("2023-10-01")


def test_recent_days_are_no_reference_however_late_the_training() -> None:
    assert spans_to_compare(NEWEST, SETTINGS, utc("2024-03-14")).reference_to == utc("2024-03-05")


def test_without_a_champion_as_many_days_again_are_left_out() -> None:
    assert spans_to_compare(NEWEST, SETTINGS, None).reference_to == utc("2024-02-24")
