"""Which windows and cells a slice gets, worked out in the head."""

from __future__ import annotations

import pandas as pd
import pytest

from turbine_health.settings import FeatureSettings
from turbine_health.transforms.features import FeaturePlan, feature_plan
from turbine_health.transforms.slicing import one_a_chunk
from turbine_health.transforms.windows import event_times, needed_cells, with_times

HOUR = 3_600 * 1_000_000


def plan(**features) -> FeaturePlan:
    """Cells of an hour, chunks of a day, windows that see 12 hours."""
    values = {"lookback_hours": [3, 12], "statistics": ["mean"], "asset_statistics": [], "every_hours": 1, "chunk_days": 1}
    return feature_plan(FeatureSettings.model_validate({**values, **features}), ["oil_temp_c"])


WITH_BASELINE = plan(statistics=["mean", "deviation"], baseline_hours=5)


def spans(*rows: tuple[str, int, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["asset_id", "first_end", "last_end"])


def pieces_of(wanted: pd.DataFrame) -> pd.DataFrame:
    return one_a_chunk(wanted, "first_end", "last_end", 24)


def listed(rows: pd.DataFrame) -> list[list]:
    return rows.values.tolist()


def test_a_window_that_two_spans_ask_for_is_in_one_piece():
    pieces = pieces_of(spans(("T1", 20, 30), ("T1", 22, 26), ("T2", 3, 3)))
    assert listed(pieces) == [["T1", 0, 20, 23], ["T1", 1, 24, 30], ["T2", 0, 3, 3]]


def test_cells_between_two_ranges_of_a_chunk_are_made_along():
    ranges = pd.DataFrame([("T1", 1, 2), ("T1", 20, 25)], columns=["asset_id", "first_cell", "last_cell"])
    assert listed(one_a_chunk(ranges, "first_cell", "last_cell", 24)) == [["T1", 0, 1, 23], ["T1", 1, 24, 25]]


def test_a_piece_needs_the_cells_of_its_look_back_block_by_block():
    timed = with_times(pieces_of(spans(("T1", 26, 27))), {}, {}, plan())
    assert listed(needed_cells(timed, plan())) == [["T1", 1, 1, 14, 26], ["T1", 1, 2, 14, 26]]


@pytest.mark.parametrize(
    ("born", "first_cell", "last_cell"),
    [
        pytest.param(2 * HOUR, 2, 6, id="on a border"),
        # The cell that holds the start goes along; the baseline begins with the next one.
        pytest.param(2 * HOUR + 1, 2, 7, id="within a cell"),
    ],
)
def test_a_piece_needs_the_baseline_of_the_life_that_it_begins_in(born, first_cell, last_cell):
    pieces = pieces_of(spans(("T1", 60, 60)))
    timed = with_times(pieces, {"T1": [0, born, 70 * HOUR]}, {}, WITH_BASELINE)
    assert listed(needed_cells(timed, WITH_BASELINE))[-1] == ["T1", 2, 0, first_cell, last_cell]


def test_a_baseline_within_the_look_back_and_a_turbine_without_a_life_need_nothing_more():
    pieces = pieces_of(spans(("T1", 60, 60), ("T2", 60, 60)))
    timed = with_times(pieces, {"T1": [50 * HOUR]}, {}, WITH_BASELINE)
    assert {(row[3], row[4]) for row in listed(needed_cells(timed, WITH_BASELINE))} == {(48, 59)}


def test_a_piece_gets_the_events_that_its_windows_can_count():
    counting = plan(event_counts={"events": ["stops"], "lookback_hours": [6, 10]})
    events = pd.DataFrame(
        [("T1", "stop", hour * HOUR) for hour in (19, 9, 10, 20)] + [("T1", "repair", 15 * HOUR)],
        columns=["asset_id", "event_type", "began"],
    )
    pieces = pieces_of(spans(("T1", 20, 20), ("T2", 20, 20)))
    timed = with_times(pieces, {}, event_times(events, counting), counting)
    assert timed["stops_began"].tolist() == [[10 * HOUR, 19 * HOUR], []]
