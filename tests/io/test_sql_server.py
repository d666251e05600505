"""The SQL server: tables by name over JDBC, and nothing that writes."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from predictions import risks
from pyspark.sql import SparkSession

from turbine_health.io.delta import TableStore
from turbine_health.settings import StorageSettings
from turbine_health.tables import FAILURE_PREDICTIONS

REPOSITORY = Path(__file__).resolve().parents[2]
BEELINE = Path(sys.prefix) / "bin" / "beeline"
QUERY = "SELECT asset_id, failure_probability FROM gold.failure_predictions ORDER BY window_end"
WRITES = {
    "DELETE FROM gold.failure_predictions": "DeleteCommand",
    "INSERT INTO gold.failure_predictions SELECT * FROM gold.failure_predictions": "AppendData",
    "DROP TABLE gold.failure_predictions": "DropTable",
    "CREATE TABLE gold.more AS SELECT 1 AS one": "CreateDataSourceTableAsSelectCommand",
    "INSERT OVERWRITE DIRECTORY '{folder}/out' USING parquet SELECT 1 AS one": "InsertIntoDataSourceDirCommand",
}


@pytest.fixture(scope="module")
def store(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> TableStore:
    store = TableStore(spark, StorageSettings(root=str(tmp_path_factory.mktemp("served") / "lake")))
    store.append(risks(spark, "T01", "2024-01-01", [0.1, 0.7]), FAILURE_PREDICTIONS)
    return store


@pytest.fixture(scope="module")
def answers(store: TableStore) -> Iterator[subprocess.CompletedProcess[str]]:
    """What one beeline session gets to hear: the query, every write, the query again."""
    port = _free_port()
    folder = Path(store.storage.root).parent
    settings = ["--set", f"storage.root={store.storage.root}", "--set", "spark.master=local[1]"]
    command = [sys.executable, "jobs/sql_server.py", "--port", str(port), *settings]
    server = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port, server)
        statements = [QUERY, *(write.format(folder=folder) for write in WRITES), QUERY, "SHOW TABLES IN gold"]
        asked = [part for statement in statements for part in ("-e", statement)]
        url = f"jdbc:hive2://127.0.0.1:{port}/"
        flags = ["--silent=true", "--force=true", "--outputformat=tsv2"]
        yield subprocess.run([BEELINE, "-u", url, *flags, *asked], capture_output=True, text=True, timeout=400)
    finally:
        server.terminate()
        server.wait(60)


def test_tables_are_there_by_name_before_and_after_what_was_refused(answers: subprocess.CompletedProcess[str]) -> None:
    # Where it has no terminal beeline writes its prompt before what it answers.
    lines = [re.sub(r"^(\d+: jdbc:\S+> )+", "", f"{line} ").strip() for line in answers.stdout.splitlines()]
    rows = [line for line in lines if line]
    answer = ["asset_id\tfailure_probability", "T01\t0.1", "T01\t0.7"]
    assert rows == [*answer, *answer, "namespace\ttableName\tisTemporary", "gold\tfailure_predictions\tfalse"]


@pytest.mark.parametrize("command", WRITES.values())
def test_what_writes_is_refused_by_name(answers: subprocess.CompletedProcess[str], command: str) -> None:
    assert f"PermissionError: this server is for reading only; it does not run {command}" in answers.stderr


def test_nothing_was_written(answers: subprocess.CompletedProcess[str], store: TableStore) -> None:
    assert answers.stdout
    assert store.version(FAILURE_PREDICTIONS) == 1
    assert sorted(path.name for path in Path(store.storage.root).parent.iterdir()) == ["lake"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, server: subprocess.Popen[bytes], seconds: float = 300) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert server.poll() is None, "the server ended before it listened"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(1)
        else:
            return
    pytest.fail(f"nothing listens on port {port} after {seconds} s")
