"""Every job in order on a small fleet: what it leaves, twice, after a kill, on executors of their own, and restored."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import datetime

import duckdb
import pytest
from acceptance.plant import OF_THE_RUN, REPOSITORY, Plant
from deltalake import DeltaTable
from mlflow import MlflowClient

# The first test waits for the walk through all jobs.
pytestmark = pytest.mark.timeout(1_800)

PREDICTIONS = ("gold/failure_predictions", "gold/time_to_failure_predictions")


@pytest.fixture(scope="module")
def expected(undisturbed) -> dict[str, tuple[int, int]]:
    return outcome(undisturbed.plant)


def outcome(plant: Plant) -> dict[str, tuple[int, int]]:
    """All tables but the account of the runs, which tells of every run that there was."""
    checksums = plant.checksums(leaving_out=OF_THE_RUN)
    return {table: checksum for table, checksum in checksums.items() if not table.startswith("ops/")}


def test_the_walk_leaves_every_table_with_rows(expected):
    assert {*PREDICTIONS, "silver/sensor_readings", "quarantine/sensor_readings", "gold/training_examples"} <= set(expected)


def test_every_row_taken_in_is_in_silver_or_in_quarantine(undisturbed, expected):
    account = DeltaTable(undisturbed.plant.lake / "ops/ingest_runs").to_pyarrow_table(columns=["rows_in"])
    assert (
        sum(account["rows_in"].to_pylist()) == expected["silver/sensor_readings"][0] + expected["quarantine/sensor_readings"][0]
    )


def test_jobs_killed_half_way_and_run_again_leave_the_same_tables(undisturbed, expected, tmp_path):
    plant = undisturbed.plant.with_same_landing(tmp_path)
    for job in ("ingest", "build_features"):
        plant.kill(job, after_progress_lines=undisturbed.half_of(job))
        plant.run_warm(job)
    actual = outcome(plant)
    assert actual == {table: expected[table] for table in actual}


def test_a_killed_training_is_marked_failed_and_jobs_after_it_go_on(undisturbed, expected, tmp_path):
    plant = undisturbed.plant.copy(tmp_path)
    for job, half in (("train", 2), ("monitor", 3), ("report", 1)):
        plant.kill(job, after_progress_lines=half)
        plant.run_warm(job)
    assert outcome(plant) == expected
    client = MlflowClient(f"sqlite:///{plant.folder}/mlflow.db")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    assert sorted(run.info.status for run in client.search_runs(experiments)) == ["FAILED"] + 4 * ["FINISHED"]


def test_jobs_run_a_second_time_write_nothing(undisturbed):
    plant = undisturbed.plant
    before = plant.checksums(), plant.versions()
    plant.run_warm("ingest", "build_features", "predict", "monitor")
    assert (plant.checksums(), plant.versions()) == before


def test_train_runs_on_executors_that_are_separate_processes(undisturbed, tmp_path):
    subprocess.run([REPOSITORY / "bin" / "package"], check=True, capture_output=True)
    packaged = ("--py-files", str(REPOSITORY / "dist" / "turbine_health.zip"), "--executor-memory", "1g")
    done = undisturbed.plant.copy(tmp_path).run("train", master="local-cluster[2,1,2048]", submit=packaged)
    assert re.search("^train: ", done.stdout, flags=re.MULTILINE)


@pytest.mark.parametrize("table", PREDICTIONS)
def test_other_engines_read_the_predictions_and_agree(undisturbed, table):
    location = DeltaTable(undisturbed.plant.lake / table)
    by_deltalake = location.to_pyarrow_table().to_pylist()
    by_duckdb = duckdb.sql(f"SELECT * FROM read_parquet({location.file_uris()})").to_arrow_table().to_pylist()
    assert sorted(map(plain, by_duckdb)) == sorted(map(plain, by_deltalake))
    assert by_deltalake


def plain(row: dict[str, object]) -> str:
    """The row as text; DuckDB reads Spark's times without saying that they are UTC."""
    return repr({name: value.replace(tzinfo=None) if isinstance(value, datetime) else value for name, value in row.items()})


def test_commits_say_which_job_made_them(undisturbed):
    (entry,) = DeltaTable(undisturbed.plant.lake / PREDICTIONS[0]).history(1)
    assert '"job": "predict"' in entry["userMetadata"]


def test_a_restored_back_up_predicts_the_same_rows_though_killed_half_way(undisturbed, expected, tmp_path):
    plant = undisturbed.plant
    shutil.copytree(plant.folder, tmp_path / "backup")
    shutil.rmtree(plant.folder)
    shutil.copytree(tmp_path / "backup", plant.folder)
    for table in PREDICTIONS:
        shutil.rmtree(plant.lake / table)
    plant.kill("predict", after_progress_lines=1)
    plant.run("predict")
    assert outcome(plant) == expected
