"""Tracking stores other than a local SQLite file: a real PostgreSQL, a real server, and none at all."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from turbine_health.errors import TrackingError
from turbine_health.io.tracking import Tracker
from turbine_health.io.tracking_ui import free_port
from turbine_health.settings import MlflowSettings

REPOSITORY = Path(__file__).resolve().parents[2]


@contextmanager
def tracking_server(folder: Path) -> Iterator[str]:
    """MLflow's own server with a store and artifacts of its own."""
    address = f"http://127.0.0.1:{free_port('127.0.0.1', 58_000)}"
    command = [
        sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{folder}/server.db",
        "--artifacts-destination", str(folder / "served"), "--port", address.rpartition(":")[2], "--workers", "1",
    ]  # fmt: skip
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    server = subprocess.Popen(command, cwd=folder, env=environment, **quiet)
    try:
        wait_for(address)
        yield address
    finally:
        os.killpg(server.pid, 15)
        server.wait(timeout=30)


def wait_for(address: str) -> None:
    host, port = address.removeprefix("http://").split(":")
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            return
        except OSError:
            time.sleep(0.3)
    pytest.fail(f"nothing listens at {address}")


def leave_a_run(tracker: Tracker) -> str:
    with tracker.run("Turbine_Failure_Prediction_Classification", "kept elsewhere") as run:
        run.log_params({"target": "failure_within_7d"})
        run.log_metrics({"roc_auc": 0.9})
        run.log_json({"threshold": 0.3}, "serving.json")
    return run.run_id


def test_one_setting_keeps_runs_in_postgresql(postgresql, tmp_path):
    tracker = Tracker(MlflowSettings(tracking_uri=postgresql, artifact_location=str(tmp_path)))
    run_id = leave_a_run(tracker)
    (run,) = tracker.runs("Turbine_Failure_Prediction_Classification")
    assert (run.run_id, run.status, run.metrics) == (run_id, "FINISHED", {"roc_auc": 0.9})
    assert tracker.load_json(run_id, "serving.json") == {"threshold": 0.3}


def test_a_tracking_server_keeps_artifacts_where_it_wants_them(tmp_path):
    with tracking_server(tmp_path) as address:
        tracker = Tracker(MlflowSettings(tracking_uri=address, artifact_location=str(tmp_path / "not here")))
        run_id = leave_a_run(tracker)
        assert tracker.load_json(run_id, "serving.json") == {"threshold": 0.3}
        assert tracker.runs("Turbine_Failure_Prediction_Classification")[0].artifact_uri.startswith("mlflow-artifacts:/")
    assert not (tmp_path / "not here").exists()


def test_a_database_that_refuses_is_told_at_once(postgresql):
    with pytest.raises(TrackingError, match="does not exist") as caught:
        Tracker(MlflowSettings(tracking_uri=f"{postgresql}_not"))
    assert "s3cret" not in str(caught.value)


def test_a_server_that_accepts_and_never_answers_is_given_up_in_time():
    with socket.create_server(("127.0.0.1", 0)) as mute:
        started = time.monotonic()
        with pytest.raises(TrackingError, match="does not answer"):
            Tracker(MlflowSettings(tracking_uri=f"http://127.0.0.1:{mute.getsockname()[1]}", connect_timeout_seconds=3))
    assert time.monotonic() - started < 30


def test_a_job_that_cannot_reach_its_server_exits_2_with_the_address(tmp_path):
    store = "mlflow.tracking_uri=http://planner:s3cret@127.0.0.1:9"
    started = time.monotonic()
    command = [sys.executable, str(REPOSITORY / "jobs" / "report.py"), "--set", store]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert time.monotonic() - started < 30
    assert done.returncode == 2
    assert "http://planner:***@127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_passed_over():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert free_port("127.0.0.1", port) > port


def test_an_address_of_another_machine_cannot_be_listened_on():
    with pytest.raises(TrackingError, match="cannot listen"):
        free_port("192.0.2.77", 5_000)
