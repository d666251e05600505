"""What a user can get wrong: exit code 2, and what, where and what to do in one line."""

from __future__ import annotations

import subprocess

import pytest
from acceptance.plant import CONF, Plant, job_environment

ROWS = "turbine,time,temp\nT01,2024-01-01 00:00:00,50\nT01,2024-01-01 00:10:00,51\n"
SOURCE = {
    "name": "plant",
    "asset_id": {"column": "turbine"},
    "time": {"timestamp": {"column": "time", "time_zone": "UTC"}},
    "sampling_minutes": 10,
    "signals": [{"name": "bearing_temp_c", "column": "temp", "unit": "deg C"}],
}


@pytest.fixture
def plant(tmp_path) -> Plant:
    plant = Plant.in_folder(tmp_path)
    plant.landing.mkdir()
    (plant.landing / "logs.csv").write_text(ROWS, encoding="utf-8")
    plant.write_settings(
        {"extends": str(CONF / "base.yaml"), "sources": [{**SOURCE, "files": {"path": f"{plant.landing}/*.csv"}}]}
    )
    return plant


def refusal(plant: Plant, job: str, *more: str) -> str:
    """The one line that a job ends with."""
    done = subprocess.run(
        [*plant.by_python(job), "--quiet", *more], cwd=plant.folder, env=job_environment(),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith(f"{job}: ")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return lines[0]


def test_a_settings_file_that_is_not_there(plant):
    assert "nowhere.yaml: no such file" in refusal(plant, "ingest", "--config", "nowhere.yaml")


def test_an_unknown_setting(plant):
    assert "labels.horizon: unknown key" in refusal(plant, "ingest", "--set", "labels.horizon=7")


def test_an_embargo_shorter_than_the_horizon(plant):
    line = refusal(plant, "train", "--set", "split.embargo_days=6")
    assert "split.embargo_days (6) is shorter than labels.horizon_days (7), so training would see the test's future" in line


def test_scores_for_no_inspections_a_day(plant):
    assert "evaluation.inspections_per_day" in refusal(plant, "train", "--set", "evaluation.inspections_per_day=[]")


def test_a_folder_that_is_not_there(plant):
    (plant.landing / "logs.csv").unlink()
    plant.landing.rmdir()
    assert str(plant.landing) in refusal(plant, "ingest")


def test_a_folder_without_files(plant):
    (plant.landing / "logs.csv").unlink()
    assert str(plant.landing) in refusal(plant, "ingest")


def test_a_described_column_that_the_file_has_not(plant):
    (plant.landing / "logs.csv").write_text(ROWS.replace("temp", "temperature"), encoding="utf-8")
    line = refusal(plant, "ingest")
    assert "temp" in line
    assert "logs.csv" in line


def test_a_job_whose_input_table_is_not_there_yet(plant):
    assert "run" in refusal(plant, "build_features")
