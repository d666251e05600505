"""Where the described columns stand in a file, from its first line."""

from __future__ import annotations

import pytest
from builders import source

from turbine_health.errors import SourceError
from turbine_health.transforms.layouts import layout_of, refuse_unless_some_fit, split_header, time_zone_of

FILE = "file:/landing/T07%20june.csv"
PLAIN = source(signals=("active_power_kw",))


def test_columns_are_found_by_name_in_any_order():
    layout = layout_of(PLAIN, FILE, 0, "active_power_kw,extra,event_time,asset_id")
    assert layout.positions == (3, 2, 0)
    assert layout.columns_in_file == 4
    assert layout.problem is None


def test_a_column_nobody_described_is_reported():
    assert layout_of(PLAIN, FILE, 0, "asset_id,event_time,active_power_kw,NacelleDirection").new_columns == (
        "NacelleDirection",
    )


def test_a_missing_column_is_named_and_costs_the_file():
    problem = layout_of(PLAIN, FILE, 0, "asset_id,event_time,Power").problem
    assert problem is not None
    assert problem.startswith("schema_drift: column active_power_kw of source tests is not in the header")


def test_a_described_column_that_is_there_twice_costs_the_file():
    assert "twice" in str(layout_of(PLAIN, FILE, 0, "asset_id,event_time,active_power_kw,active_power_kw").problem)


def test_a_first_line_that_names_nothing_described_is_kept_as_a_row():
    assert layout_of(PLAIN, FILE, 0, "T07,2024-01-01 00:00:00,5").header is None


@pytest.mark.parametrize(
    ("line", "delimiter", "names"),
    [
        ("\ufeffa,b", ",", ["a", "b"]),
        (" a   b\tc ", "blanks", ["a", "b", "c"]),
        ('"a;1";b', ";", ["a;1", "b"]),
    ],
)
def test_a_header_line_is_split_like_its_file(line: str, delimiter: str, names: list[str]):
    assert split_header(line, delimiter, '"') == names


JSON = source(files={"path": "x", "format": "json"}, signals=("active_power_kw",))


def test_a_key_that_is_in_no_object_of_a_file_costs_the_file():
    layout = layout_of(JSON, FILE, 0, "{}", keys=["asset_id", "event_time", "Power"])
    assert layout.problem == (
        "schema_drift: key active_power_kw of source tests is in no row of the file (asset_id, event_time, Power)"
    )
    assert layout.new_columns == ("Power",)


def test_a_key_that_nobody_described_is_reported():
    layout = layout_of(JSON, FILE, 0, "{}", keys=["active_power_kw", "asset_id", "event_time", "more"])
    assert (layout.problem, layout.new_columns) == (None, ("more",))


@pytest.mark.parametrize("keys", [None, []])
def test_a_file_without_any_object_is_judged_by_its_rows(keys):
    assert layout_of(JSON, FILE, 0, "broken", keys=keys).problem is None


def test_a_header_of_ten_megabytes_is_one_unknown_name():
    assert len(split_header("x" * 10_000_000, ",", '"')) == 1


def test_the_first_batch_is_refused_when_no_file_has_the_column():
    layouts = [layout_of(PLAIN, FILE, place, "asset_id,event_time,Power") for place in range(2)]
    with pytest.raises(SourceError, match=r"column active_power_kw .* is not in the header \(asset_id, event_time, Power\)"):
        refuse_unless_some_fit(PLAIN, layouts)


def test_one_file_that_fits_is_enough():
    good = layout_of(PLAIN, FILE, 0, "asset_id,event_time,active_power_kw")
    refuse_unless_some_fit(PLAIN, [good, layout_of(PLAIN, FILE, 1, "asset_id,event_time,Power")])


def test_columns_named_for_files_without_header_must_hold_the_described_ones():
    headless = source(files={"path": "x", "header": False, "columns": ["asset_id", "event_time"]}, signals=("active_power_kw",))
    with pytest.raises(SourceError, match=r"files\.columns does not name active_power_kw"):
        layout_of(headless, FILE, 0, "T07,2024-01-01 00:00:00")


def test_a_file_name_can_have_a_zone_of_its_own():
    zoned = {"column": "event_time", "time_zone": "UTC", "file_time_zones": {"*june.csv": "Europe/Berlin"}}
    described = source(time={"timestamp": zoned})
    assert time_zone_of(described, FILE) == "Europe/Berlin"
    assert time_zone_of(described, "file:/landing/T07.csv") == "UTC"
