"""MLflow's own pages, served by `jobs/ui.py`, in a real browser."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from acceptance.browser import chromium
from acceptance.plant import REPOSITORY
from mlflow import MlflowClient

CLASSIFIER = "Turbine_Failure_Prediction_Classification"
REGRESSOR = "Turbine_Time_to_Failure_Prediction_Regression"


@contextmanager
def served(*arguments: str) -> Iterator[tuple[str, str]]:
    """`jobs/ui.py` until it says where it is: the address and the line that said so."""
    command = [sys.executable, str(REPOSITORY / "jobs" / "ui.py"), *arguments]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        assert server.stderr
        said = ""
        deadline = time.monotonic() + 120
        while "MLflow is at" not in said and time.monotonic() < deadline and server.poll() is None:
            said = server.stderr.readline()
        address = re.search(r"http://\S+:\d+", said)
        assert address, f"said nothing of where it is: {said}"
        yield address[0], said
    finally:
        server.terminate()
        server.wait(timeout=30)


@pytest.fixture(scope="module")
def port_taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture(scope="module")
def pages(undisturbed, port_taken) -> Iterator[tuple[str, str]]:
    with served("--config", str(undisturbed.plant.settings), "--port", str(port_taken)) as where:
        yield where


def test_a_taken_port_is_told_and_the_next_free_one_used(pages, port_taken):
    address, said = pages
    assert f"(port {port_taken} is taken)" in said
    assert int(address.rpartition(":")[2]) > port_taken


def test_both_experiments_are_listed(pages):
    with chromium(offline=False) as screen:
        screen.page.goto(f"{pages[0]}/#/experiments")
        for name in (CLASSIFIER, REGRESSOR):
            screen.page.get_by_text(name).first.wait_for(timeout=60_000)


def test_the_roc_page_of_a_run_renders(undisturbed, pages):
    client = MlflowClient(f"sqlite:///{undisturbed.plant.folder}/mlflow.db")
    experiment = client.get_experiment_by_name(CLASSIFIER).experiment_id
    run_id = client.search_runs([experiment])[0].info.run_id
    with chromium(offline=False) as screen:
        screen.page.goto(f"{pages[0]}/#/experiments/{experiment}/runs/{run_id}/artifacts/roc_curve_model_a.html")
        artifact = screen.page.frame_locator("iframe")
        artifact.locator(".main-svg .trace").first.wait_for(timeout=60_000)
