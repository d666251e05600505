"""A real wind farm's two years through jobs/ingest.py: its known quirks, counted in the raw file and again in the tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from acceptance.plant import CONF, Plant
from deltalake import DeltaTable

FILE = Path("la_haute_borne") / "la-haute-borne-data-2014-2015.csv.gz"
SENSORS = {
    "Ws_avg": "wind_speed_m_s", "P_avg": "active_power_kw", "Ba_avg": "pitch_angle_deg", "Va_avg": "vane_position_deg",
    "Ya_avg": "nacelle_angle_deg", "Wa_avg": "wind_direction_deg", "Ot_avg": "ambient_temp_c",
}  # fmt: skip
KEY = ["asset_id", "event_time"]


@dataclass(frozen=True)
class Farm:
    """The raw lines, in the file's order and with keys in UTC, and what ingest made of them."""

    raw: pd.DataFrame
    silver: pd.DataFrame
    quarantine: pd.DataFrame


@pytest.fixture(scope="module")
def farm(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Farm:
    source = {"extends": str(CONF / "sources" / "la_haute_borne.yaml"), "files": {"path": str(shared_data / FILE)}}
    plant = Plant.in_folder(tmp_path_factory.mktemp("la_haute_borne"))
    plant.write_settings({"sources": [source]})
    plant.run("ingest")
    raw = pd.read_csv(shared_data / FILE).rename(columns={"Wind_turbine_name": "asset_id"})
    raw["event_time"] = pd.to_datetime(raw["Date_time"], utc=True)
    silver = DeltaTable(plant.lake / "silver/sensor_readings").to_pyarrow_dataset()
    columns = ", ".join([*KEY, *SENSORS.values()])
    with duckdb.connect() as sql:
        sql.register("silver", silver)
        readings = sql.sql(f"SELECT {columns} FROM silver").df()
    readings["event_time"] = pd.to_datetime(readings["event_time"], utc=True)
    quarantine = DeltaTable(plant.lake / "quarantine/sensor_readings").to_pandas(columns=["reasons", "value"])
    return Farm(raw, readings, quarantine)


def test_every_key_is_in_silver_once_and_what_was_superseded_is_in_quarantine(farm: Farm):
    assert len(farm.raw) == 420_480
    assert len(farm.silver) == len(farm.silver[KEY].drop_duplicates()) == 420_432
    assert len(farm.quarantine) == 48
    assert {reason.split(":")[0] for reasons in farm.quarantine["reasons"] for reason in reasons} == {"superseded"}


def test_all_times_are_those_of_the_file_in_utc(farm: Farm):
    both = farm.silver[KEY].merge(farm.raw[KEY].drop_duplicates(), how="outer", indicator=True)
    assert set(both["_merge"]) == {"both"}


def test_of_two_lines_with_one_key_the_later_one_is_kept(farm: Farm):
    repeated = farm.raw[farm.raw.duplicated(KEY, keep=False)]
    kept = repeated.drop_duplicates(KEY, keep="last").merge(farm.silver, on=KEY)
    assert len(kept) == 48
    for column, signal in SENSORS.items():
        pd.testing.assert_series_equal(kept[signal], kept[column].astype(float), check_names=False)


def test_rows_without_a_single_value_are_there(farm: Farm):
    assert int(farm.raw[list(SENSORS)].isna().all(axis="columns").sum()) == 2_569
    kept = farm.raw.drop_duplicates(KEY, keep="last")
    empty = kept[kept[list(SENSORS)].isna().all(axis="columns")]
    found = farm.silver[farm.silver[list(SENSORS.values())].isna().all(axis="columns")]
    assert set(map(tuple, found[KEY].to_numpy())) == set(map(tuple, empty[KEY].to_numpy()))
    assert len(found) > 2_500
