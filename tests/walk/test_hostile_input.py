"""Names and secrets that must do no harm, after every job has seen them."""

from __future__ import annotations

import duckdb
import pytest
from acceptance.hostile import HOSTILE_NAMES, SCRIPT, SECRET
from deltalake import DeltaTable

# The first test waits for the walk through all jobs.
pytestmark = pytest.mark.timeout(1_800)

FOLLOWED = ("silver/sensor_readings", "silver/asset_lives", "gold/window_features", "gold/failure_predictions")


def test_every_name_passes_through_every_table_unchanged(undisturbed):
    for table in FOLLOWED:
        rows = DeltaTable(undisturbed.plant.lake / table).to_pyarrow_table(columns=["asset_id"])
        assert set(rows["asset_id"].to_pylist()) == set(HOSTILE_NAMES.values()), table


def test_a_name_is_text_in_every_page(undisturbed):
    pages = [path.read_text(encoding="utf-8") for path in undisturbed.plant.folder.rglob("*.html")]
    assert any("alert(" in page for page in pages)
    assert all(SCRIPT not in page for page in pages)


def test_no_name_became_a_path(undisturbed):
    names = [str(path.relative_to(undisturbed.plant.folder)) for path in undisturbed.plant.lake.rglob("*")]
    assert [name for name in names if "passwd" in name or "script" in name] == []


def test_a_secret_of_settings_and_environment_is_in_nothing_that_was_printed(undisturbed):
    assert SECRET not in undisturbed.printed


def test_a_secret_of_settings_and_environment_is_in_no_file(undisturbed):
    files = [path for path in undisturbed.plant.folder.rglob("*") if path.is_file() and path != undisturbed.plant.settings]
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []


def test_a_secret_of_settings_and_environment_is_in_no_table(undisturbed):
    tables = undisturbed.plant.tables()
    assert len(tables) > 15
    for table in tables:
        rows = DeltaTable(undisturbed.plant.lake / table).to_pyarrow_table()
        found = duckdb.sql(f"SELECT count(*) FROM rows WHERE contains(CAST(rows AS VARCHAR), '{SECRET}')").fetchall()
        assert found == [(0,)], f"{rows.num_rows} rows of {table}"
