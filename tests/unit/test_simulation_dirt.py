"""The account in truth.json, recounted from the files by other means."""

from __future__ import annotations

import csv
import json
from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from turbine_health.settings import SimulationSettings, load_settings
from turbine_health.simulation.fleet import Fleet
from turbine_health.simulation.log_files import CHANNELS, FIELDS, HEADER
from turbine_health.simulation.machine import SIGNALS

Line = tuple[str, int, bytes]


class Logs:
    """A fleet's files, as a reader meets them."""

    def __init__(self, **changes: Any) -> None:
        settings = SimulationSettings.model_validate({"turbines": 5, "days": 120, "dirt": 6, **changes})
        self.files = {name.removeprefix("readings/"): content for name, content in Fleet(settings).files()}
        self.truth = json.loads(self.files.pop("truth.json"))
        self.events = list(csv.DictReader(self.files.pop("events.csv").decode().splitlines()))
        self.lines: list[Line] = [
            (name, number, line)
            for name, content in self.files.items()
            for number, line in enumerate(content.splitlines()[1:], start=2)
        ]
        self.codes = {(each["file"], each["line"]): each["code"] for each in self.truth["bad_lines"]}
        self.good = [line for line in self.lines if self.codes.get(line[:2], "superseded") == "superseded"]
        self.columns = {name: content.partition(b"\n")[0].decode().split(",") for name, content in self.files.items()}

    def bad(self, code: str) -> list[bytes]:
        """The lines that the truth says have this code."""
        return [line[2] for line in self.lines if self.codes.get(line[:2]) == code]


def key(line: Line) -> tuple[bytes, datetime]:
    """Turbine and time in UTC, by Python's own reading of the clock."""
    name, _, text = line
    asset_id, time = text.split(b",")[:2]
    zone = ZoneInfo("Europe/Berlin") if name.endswith("_local.csv") else timezone.utc
    return asset_id, datetime.fromisoformat(time.decode()).replace(tzinfo=zone).astimezone(timezone.utc)


def flag_of(text: str) -> str | None:
    """What keeps a text from being a reading."""
    if text == "-999":
        return "missing_code"
    if text in ("99999", "-99990"):
        return "out_of_range"
    return None if text.replace(".", "", 1).removeprefix("-").isdigit() else "unreadable_number"


@pytest.fixture(scope="module")
def logs() -> Logs:
    return Logs()


def test_the_account_balances(logs: Logs):
    readings = logs.truth["readings"]
    assert readings["files"] == len(logs.files)
    assert readings["rows"] == len(logs.lines) == readings["rows_in_silver"] + readings["rows_in_quarantine"]
    assert readings["rows_in_quarantine"] == sum(logs.truth["quarantine"].values()) == len(logs.truth["bad_lines"])
    assert logs.truth["files"] == Counter(name for name, _, _ in logs.lines)


def test_no_line_is_bad_in_two_ways(logs: Logs):
    places = [(each["file"], each["line"]) for each in logs.truth["bad_lines"]]
    assert len(set(places)) == len(places)


@pytest.mark.parametrize(
    "size",
    [{"days": 1}, {"days": 40, "start": "2023-10-20"}, {"days": 400, "sampling_minutes": 60}, {"look_alikes": 10, "days": 30}],
)
def test_the_account_balances_at_any_size(size: dict[str, Any]):
    logs = Logs(turbines=1, dirt=10, **size)
    test_the_account_balances(logs)
    test_superseded_lines_are_those_whose_key_comes_again_later(logs)


def test_every_kind_of_dirt_is_there(logs: Logs):
    kinds = {"superseded", "unreadable_time", "future_time", "unknown_asset", "missing_asset", "field_count", "broken_encoding"}
    assert kinds <= set(logs.truth["quarantine"])
    assert {"gap", "frozen", "spike", "late"} <= {span["kind"] for span in logs.truth["spans"]}
    assert any(name.endswith("_local.csv") for name in logs.files)
    assert any("_late_" in name for name in logs.files)


def test_superseded_lines_are_those_whose_key_comes_again_later(logs: Logs):
    newest: dict[tuple[bytes, datetime], tuple[str, int]] = {}
    superseded = []
    for line in sorted(logs.good, key=lambda each: each[:2]):
        if key(line) in newest:
            superseded.append(newest[key(line)])
        newest[key(line)] = line[:2]
    planted = [(each["file"], each["line"]) for each in logs.truth["bad_lines"] if each["code"] == "superseded"]
    assert sorted(superseded) == sorted(planted)
    assert len(newest) == logs.truth["readings"]["rows_in_silver"]


def test_local_files_say_the_time_of_their_zone(logs: Logs):
    local = next(name for name in logs.files if name.endswith("_local.csv"))
    month = datetime.fromisoformat(f"{local[4:11]}-01").replace(tzinfo=timezone.utc)
    moments = [key(line)[1] for line in logs.good if line[0] == local]
    assert all(month - timedelta(days=1) < moment < month + timedelta(days=32) for moment in moments)
    assert {moment.minute % 10 for moment in moments} == {0}


def test_planted_lines_are_what_their_code_says(logs: Logs):
    for line in logs.lines:
        is_miscounted = line[2].count(b",") + 1 != len(logs.columns[line[0]])
        assert is_miscounted == (logs.codes.get(line[:2]) == "field_count")
    assert all(not line.split(b",")[0] for line in logs.bad("missing_asset"))
    assert all(line.split(b",")[0].decode() not in logs.truth["turbines"] for line in logs.bad("unknown_asset"))
    assert all(line.split(b",")[1].startswith(b"2099-") for line in logs.bad("future_time"))
    assert all(b"\xff" in line for line in logs.bad("broken_encoding"))
    for line in logs.bad("unreadable_time"):
        with pytest.raises(ValueError, match=r"."):
            datetime.fromisoformat(line.split(b",")[1].decode())


def test_flags_count_the_values_that_are_no_readings(logs: Logs):
    found: Counter[str] = Counter()
    places = {
        name: [(signal, logs.columns[name].index(CHANNELS[signal].column)) for signal in SIGNALS]
        for name in {line[0] for line in logs.good}
    }
    for name, _, line in logs.good:
        fields = line.decode().split(",")
        for signal, place in places[name]:
            flag = flag_of(fields[place])
            if flag:
                found[f"{signal}:{flag}"] += 1
    assert found == logs.truth["flags"]


def test_gaps_hold_no_reading(logs: Logs):
    keys = {key(line) for line in logs.good}
    gap = next(span for span in logs.truth["spans"] if span["kind"] == "gap")
    start, end = (datetime.fromisoformat(gap[side]).replace(tzinfo=timezone.utc) for side in ("start", "end"))
    moments = {moment for asset_id, moment in keys if asset_id.decode() == gap["asset_id"]}
    assert not any(start <= moment < end for moment in moments)
    assert start - timedelta(minutes=10) in moments
    assert end in moments


def test_a_day_under_a_renamed_column_is_one_file_of_quarantine():
    logs = Logs(dirt=10)
    drifted = {each["file"] for each in logs.truth["bad_lines"] if each["code"] == "schema_drift"}
    assert drifted == {name for name in logs.files if name.endswith("_export.csv")}
    assert drifted
    assert all(HEADER.encode() != logs.files[name].partition(b"\n")[0] for name in drifted)


def test_without_dirt_every_line_is_a_reading():
    logs = Logs(dirt=0, turbines=2)
    assert logs.truth["quarantine"] == logs.truth["flags"] == {}
    assert logs.truth["spans"] == []
    assert {len(line.split(b",")) for _, _, line in logs.lines} == {FIELDS}
    assert len({key(line) for line in logs.lines}) == len(logs.lines)
    assert not any(name.endswith(("_local.csv", "_export.csv")) or "_late_" in name for name in logs.files)


def test_the_event_log_tells_every_failure_with_its_repair(logs: Logs):
    logged = {
        (row["asset_id"], row["component"], row["started_at"]): row for row in logs.events if row["event_type"] == "failure"
    }
    end_of_records = "2023-05-01 00:00:00"
    assert logs.truth["failures"]
    for failure in logs.truth["failures"]:
        row = logged.pop((failure["asset_id"], failure["failure_mode"], failure["failed_at"]))
        assert row["ended_at"] == (failure["repaired_at"] if failure["repaired_at"] < end_of_records else "")
    planted = logs.truth["events"]
    assert len(logged) == planted["unknown_asset"] + planted["overlapping_failures"] == 2


def test_a_repair_that_is_not_over_when_the_records_end_has_no_end_yet():
    planted = {"asset_id": "T01", "failure_mode": "pitch", "fails_on": "2023-03-01"}
    logs = Logs(dirt=0, turbines=1, days=60, planted=[planted])
    (row,) = [row for row in logs.events if row["started_at"] == "2023-03-01 12:00:00"]
    assert (row["event_type"], row["ended_at"]) == ("failure", "")


def test_the_event_log_has_its_own_dirt(logs: Logs):
    planted = logs.truth["events"]
    assert planted["rows"] == len(logs.events)
    assert sum(row["asset_id"] not in logs.truth["turbines"] for row in logs.events) == planted["unknown_asset"] == 1
    assert len(logs.events) - len({tuple(row.values()) for row in logs.events}) == planted["exact_duplicates"] == 1
    started = [row["started_at"] for row in logs.events]
    assert started[: -planted["out_of_order"]] == sorted(started[: -planted["out_of_order"]])
    assert started != sorted(started)


def test_the_source_description_fits_the_vendors_columns():
    (source,) = load_settings("conf/simulated.yaml").sources
    assert [signal.name for signal in source.signals] == list(SIGNALS)
    for signal in source.signals:
        channel = CHANNELS[signal.name]
        assert signal.column == channel.column
        assert signal.scale == pytest.approx(1 / channel.raw_units)
        assert signal.valid_range is not None
        assert signal.valid_range[0] <= channel.lowest < channel.highest < signal.valid_range[1]
