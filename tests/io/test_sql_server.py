"""The SQL server: tables by name over JDBC, and nothing that writes."""

from __future__ import annotations

import os
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
    "EXECUTE IMMEDIATE 'DROP TABLE gold.failure_predictions'": "DropTable",
}
SECRET = "a-secret-of-the-server"
# What would run a command, call Java, read a file or set a value, and what the client gets to hear.
ESCAPES = {
    "SELECT TRANSFORM(asset_id) USING 'tee {folder}/out' FROM gold.failure_predictions": "it does not run ScriptTransformation",
    "SELECT (SELECT max(word) FROM (SELECT TRANSFORM(asset_id) USING 'tee {folder}/out' AS (word)"
    " FROM gold.failure_predictions)) AS deep": "it does not run ScriptTransformation",
    "SELECT java_method('java.lang.System', 'getenv', 'HOME')": "Cannot resolve routine `java_method`",
    "SELECT reflect('java.lang.System', 'getenv', 'HOME')": "Cannot resolve routine `reflect`",
    "SELECT try_reflect('java.lang.System', 'getenv', 'HOME')": "Cannot resolve routine `try_reflect`",
    "SELECT * FROM csv.`{folder}/private.txt`": "The table or view `csv`.`{folder}/private.txt` cannot be found",
    "SELECT * FROM delta.`{folder}/lake/gold/failure_predictions`": "cannot be found",
    "SET spark.sql.shuffle.partitions=7": "it does not set spark.sql.shuffle.partitions",
    "SET TIME ZONE 'Europe/Berlin'": "it does not set spark.sql.session.timeZone",
}
# What names a secret is answered, without it.
QUESTIONS_FOR_SECRETS = (
    "SELECT '${env:AWS_SECRET_ACCESS_KEY}' AS shown",
    "SELECT '${system:spark.hadoop.fs.s3a.secret.key}' AS shown",
    "SET",
    "SET spark.hadoop.fs.s3a.secret.key",
)


@pytest.fixture(scope="module")
def store(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> TableStore:
    store = TableStore(spark, StorageSettings(root=str(tmp_path_factory.mktemp("served") / "lake")))
    store.append(risks(spark, "T01", "2024-01-01", [0.1, 0.7]), FAILURE_PREDICTIONS)
    return store


@pytest.fixture(scope="module")
def folder(store: TableStore) -> Path:
    """Where the lake lies, beside a file that is none of the clients' business."""
    folder = Path(store.storage.root).parent
    (folder / "private.txt").write_text(SECRET)
    return folder


@pytest.fixture(scope="module")
def port(store: TableStore, folder: Path) -> Iterator[int]:
    """Of a server that has secrets in its environment and its settings."""
    port = _free_port()
    secret_setting = f"spark.conf={{spark.hadoop.fs.s3a.secret.key: {SECRET}}}"
    values = (f"storage.root={store.storage.root}", "spark.master=local[1]", secret_setting)
    settings = [part for value in values for part in ("--set", value)]
    command = [sys.executable, "jobs/sql_server.py", "--port", str(port), *settings]
    environment = {**os.environ, "AWS_SECRET_ACCESS_KEY": SECRET}
    server = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.DEVNULL, env=environment)
    try:
        _wait_for(port, server)
        yield port
    finally:
        server.terminate()
        server.wait(60)


@pytest.fixture(scope="module")
def answers(port: int, folder: Path) -> subprocess.CompletedProcess[str]:
    """What one beeline session gets to hear: the query, every write and escape, the query again."""
    refused = [statement.replace("{folder}", str(folder)) for statement in (*WRITES, *ESCAPES)]
    return _beeline(port, [QUERY, *refused, QUERY, "SHOW TABLES IN gold"])


def test_tables_are_there_by_name_before_and_after_what_was_refused(answers: subprocess.CompletedProcess[str]) -> None:
    # Where it has no terminal beeline writes its prompt before what it answers.
    lines = [re.sub(r"^(\d+: jdbc:\S+> )+", "", f"{line} ").strip() for line in answers.stdout.splitlines()]
    rows = [line for line in lines if line]
    answer = ["asset_id\tfailure_probability", "T01\t0.1", "T01\t0.7"]
    assert rows == [*answer, *answer, "namespace\ttableName\tisTemporary", "gold\tfailure_predictions\tfalse"]


@pytest.mark.parametrize("command", WRITES.values())
def test_what_writes_is_refused_by_name(answers: subprocess.CompletedProcess[str], command: str) -> None:
    assert f"PermissionError: this server is for reading only; it does not run {command}" in answers.stderr


@pytest.mark.parametrize("answer", sorted(set(ESCAPES.values())))
def test_what_reaches_beyond_the_tables_is_refused(
    answers: subprocess.CompletedProcess[str], folder: Path, answer: str
) -> None:
    asked = sum(other == answer for other in ESCAPES.values())
    assert answers.stderr.count(answer.replace("{folder}", str(folder))) >= asked


def test_no_question_brings_a_secret_to_light(port: int) -> None:
    told = _beeline(port, list(QUESTIONS_FOR_SECRETS))
    assert "${env:AWS_SECRET_ACCESS_KEY}" in told.stdout
    assert "spark.hadoop.fs.s3a.secret.key" in told.stdout
    assert SECRET not in told.stdout + told.stderr


@pytest.mark.parametrize(
    "setting", ["spark.sql.variable.substitute=true", "spark.sql.runSQLOnFiles=true", "spark.redaction.regex=nothing"]
)
def test_a_client_cannot_undo_the_locks_as_it_connects(port: int, setting: str) -> None:
    told = _beeline(port, [*QUESTIONS_FOR_SECRETS, QUERY], f"?{setting}")
    assert setting.partition("=")[0] in told.stderr
    assert "T01" not in told.stdout
    assert SECRET not in told.stdout + told.stderr


def test_nothing_was_written(answers: subprocess.CompletedProcess[str], store: TableStore, folder: Path) -> None:
    assert answers.stdout
    assert store.version(FAILURE_PREDICTIONS) == 1
    assert sorted(path.name for path in folder.iterdir()) == ["lake", "private.txt"]


def _beeline(port: int, statements: list[str], options: str = "") -> subprocess.CompletedProcess[str]:
    asked = [part for statement in statements for part in ("-e", statement)]
    flags = ["--silent=true", "--force=true", "--outputformat=tsv2"]
    command = [BEELINE, "-u", f"jdbc:hive2://127.0.0.1:{port}/{options}", *flags, *asked]
    # The client has no secret to give away, so what it prints is the server's.
    return subprocess.run(command, capture_output=True, text=True, timeout=400)


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
