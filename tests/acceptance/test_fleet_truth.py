"""What jobs/ingest.py makes of a dirty fleet, against the account of what was planted and the fleet without dirt."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from acceptance.plant import Plant
from deltalake import DeltaTable

from turbine_health.settings import SimulationSettings
from turbine_health.simulation.fleet import Fleet

FLEET = {"turbines": 5, "days": 120, "dirt": 6, "seed": 7}
RAW_UNITS_OF_PRESSURE = 100


@dataclass
class Dirty:
    """The truth, the files, and the lake that ingest made of them."""

    plant: Plant
    truth: dict[str, Any]
    sql: duckdb.DuckDBPyConnection

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.sql.sql(query).fetchall()

    def one(self, query: str) -> Any:
        (row,) = self.rows(query)
        return row[0]


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dirty]:
    plant = Plant.in_folder(tmp_path_factory.mktemp("dirty"))
    plant.write_settings({"simulation": {**FLEET, "output": str(plant.landing)}})
    plant.run_warm("simulate", "ingest")
    with duckdb.connect() as sql:
        sql.execute("SET TimeZone = 'UTC'")
        for table in plant.tables():
            sql.register(table.replace("/", "_"), DeltaTable(plant.lake / table).to_pyarrow_dataset())
        sql.register("clean", clean_readings())
        yield Dirty(plant, json.loads((plant.landing / "truth.json").read_text()), sql)


def clean_readings() -> pd.DataFrame:
    """The same fleet as it would have been logged without dirt."""
    settings = SimulationSettings.model_validate({**FLEET, "dirt": 0})
    months = [pd.read_csv(io.BytesIO(content)) for name, content in Fleet(settings).files() if name.startswith("readings/")]
    readings = pd.concat(months, ignore_index=True)
    readings["event_time"] = pd.to_datetime(readings["Timestamp"], utc=True)
    return readings.assign(hydraulic_pressure_bar=readings["HydPressure"] / RAW_UNITS_OF_PRESSURE)


def lines_of(landing: Path, places: list[dict[str, Any]]) -> list[tuple[str, str, bytes]]:
    """Code, file and text of lines given by file and line number."""
    lines = {file: (landing / "readings" / file).read_bytes().split(b"\n") for file in {place["file"] for place in places}}
    return [(place["code"], place["file"], lines[place["file"]][place["line"] - 1]) for place in places]


def test_rows_in_are_rows_in_silver_plus_rows_in_quarantine(dirty: Dirty):
    readings = dirty.truth["readings"]
    assert dirty.one("SELECT count(*) FROM silver_sensor_readings") == readings["rows_in_silver"]
    assert dirty.one("SELECT count(*) FROM quarantine_sensor_readings") == readings["rows_in_quarantine"]
    assert readings["rows"] == readings["rows_in_silver"] + readings["rows_in_quarantine"]


def test_quarantine_holds_what_was_planted_kind_by_kind(dirty: Dirty):
    found = dirty.rows(
        "SELECT split_part(reason, ':', 1) AS code, count(*)"
        " FROM (SELECT unnest(reasons) AS reason FROM quarantine_sensor_readings) GROUP BY code"
    )
    assert dict(found) == dirty.truth["quarantine"]


def test_quarantine_holds_the_very_lines(dirty: Dirty):
    found = dirty.rows(
        "SELECT split_part(reasons[1], ':', 1), split_part(_source_file, '/', -1), encode(value)"
        " FROM quarantine_sensor_readings WHERE NOT contains(reasons[1], 'broken_encoding')"
    )
    planted = [each for each in lines_of(dirty.plant.landing, dirty.truth["bad_lines"]) if each[0] != "broken_encoding"]
    assert sorted(found) == sorted(planted)


def test_bad_values_are_null_and_flagged_as_often_as_planted(dirty: Dirty):
    found = dirty.rows(
        "SELECT flag, count(*) FROM (SELECT unnest(quality_flags) AS flag FROM silver_sensor_readings)"
        " WHERE split_part(flag, ':', 2) IN ('missing_code', 'out_of_range', 'unreadable_number') GROUP BY flag"
    )
    assert dict(found) == dirty.truth["flags"]
    rotor_flags = sum(count for flag, count in dirty.truth["flags"].items() if flag.startswith("rotor_speed_rpm:"))
    assert dirty.one("SELECT count(*) FROM silver_sensor_readings WHERE rotor_speed_rpm IS NULL") == rotor_flags > 0


def test_every_reading_has_the_turbine_and_the_utc_time_it_was_taken_at(dirty: Dirty):
    strangers = "SELECT asset_id, event_time FROM silver_sensor_readings EXCEPT SELECT Turbine, event_time FROM clean"
    assert dirty.rows(strangers) == []


def test_what_was_not_soiled_has_the_value_that_was_measured(dirty: Dirty):
    wrong = dirty.one(
        "SELECT count(*) FROM silver_sensor_readings AS found JOIN clean"
        " ON found.asset_id = clean.Turbine AND found.event_time = clean.event_time"
        " WHERE abs(rotor_speed_rpm - RotorRpm) > 1e-9 OR abs(pitch_angle_deg - PitchAngle) > 1e-9"
    )
    assert wrong == 0


def test_of_two_readings_of_one_time_the_later_one_is_kept(dirty: Dirty):
    late = [span for span in dirty.truth["spans"] if span["kind"] == "late"]
    assert late
    for span in late:
        kept_from = dirty.rows(
            "SELECT DISTINCT split_part(_source_file, '/', -1) FROM silver_sensor_readings"
            f" WHERE asset_id = '{span['asset_id']}' AND event_time >= '{span['start']}' AND event_time < '{span['end']}'"
        )
        assert kept_from == [(span["file"],)]
        before = dirty.one(
            "SELECT count(*) FROM silver_sensor_readings AS found JOIN clean"
            " ON found.asset_id = clean.Turbine AND found.event_time = clean.event_time"
            f" WHERE _source_file LIKE '%{span['file']}' AND found.event_time < '{span['start']}'"
            " AND abs(active_power_kw - round(0.98 * Power, 1)) < 0.11"
        )
        assert before >= 12, "the hours before the late days came again, corrected"


@pytest.mark.parametrize(("kind", "least"), [("frozen", 1.0), ("spike", 0.9), ("gap", 1.0)])
def test_sensor_troubles_are_flagged_where_they_were_planted(dirty: Dirty, kind: str, least: float):
    spans = [span for span in dirty.truth["spans"] if span["kind"] == kind]
    flagged = [span for span in spans if _is_flagged(dirty, span) or (kind == "gap" and _stood_in_calm_wind(dirty, span))]
    assert spans
    assert len(flagged) >= least * len(spans), [span for span in spans if span not in flagged]


def test_no_sensor_is_called_frozen_or_spiking_that_was_not(dirty: Dirty):
    found = dirty.rows(
        "SELECT asset_id, split_part(flag, ':', 1), split_part(flag, ':', 2), strftime(event_time, '%Y-%m-%d %H:%M:%S')"
        " FROM (SELECT asset_id, event_time, unnest(quality_flags) AS flag FROM silver_sensor_readings)"
        " WHERE split_part(flag, ':', 2) IN ('frozen', 'spike')"
    )
    planted = [span for span in dirty.truth["spans"] if span["kind"] in ("frozen", "spike")]
    unexplained = [
        each
        for each in found
        if not any(
            (span["asset_id"], span["signal"], span["kind"]) == each[:3] and span["start"] <= each[3] < span["end"]
            for span in planted
        )
    ]
    assert found
    assert unexplained == []


def test_every_failure_ends_a_life(dirty: Dirty):
    found = dirty.rows(
        "SELECT asset_id, failure_mode, strftime(life_end, '%Y-%m-%d %H:%M:%S') FROM silver_asset_lives WHERE ended_in_failure"
    )
    planted = [(each["asset_id"], each["failure_mode"], each["failed_at"]) for each in dirty.truth["failures"]]
    assert sorted(found) == sorted(planted)


def test_turbines_that_never_failed_have_one_life_that_still_runs(dirty: Dirty):
    for asset_id in dirty.truth["never_failing"]:
        assert dirty.rows(f"SELECT is_running FROM silver_asset_lives WHERE asset_id = '{asset_id}'") == [(True,)]


def test_events_of_unknown_turbines_and_repeated_rows_are_no_events(dirty: Dirty):
    planted = dirty.truth["events"]
    found = dirty.one("SELECT count(*) FROM silver_asset_events")
    assert found == planted["rows"] - planted["unknown_asset"] - planted["exact_duplicates"]


def _is_flagged(dirty: Dirty, span: dict[str, Any]) -> bool:
    """A gap is flagged on the first reading after it, the others within."""
    flag = f"{span['signal']}:{span['kind']}" if "signal" in span else "asset:gap"
    when = (
        f"event_time >= '{span['end']}' ORDER BY event_time LIMIT 1"
        if span["kind"] == "gap"
        else f"event_time >= '{span['start']}' AND event_time < '{span['end']}'"
    )
    query = f"SELECT quality_flags FROM silver_sensor_readings WHERE asset_id = '{span['asset_id']}' AND {when}"
    return any(flag in flags for (flags,) in dirty.rows(query))


def _stood_in_calm_wind(dirty: Dirty, span: dict[str, Any]) -> bool:
    """Many loggers stop while a turbine is parked, so silence after a calm standstill is no gap."""
    last = dirty.rows(
        "SELECT active_power_kw <= 0 AND wind_speed_m_s <= 3 FROM silver_sensor_readings"
        f" WHERE asset_id = '{span['asset_id']}' AND event_time < '{span['start']}' ORDER BY event_time DESC LIMIT 1"
    )
    return last == [(True,)]
