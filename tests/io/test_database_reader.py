"""The reader of the compose file's database: it sees what MLflow's server writes, and can write nothing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from mlflow import MlflowClient
from postgres import postgres_programs

from turbine_health.io.tracking_server import with_installed_driver

REPOSITORY = Path(__file__).resolve().parents[2]
CHANGES = (
    "INSERT INTO experiments (name) VALUES ('mine')",
    "UPDATE experiments SET name = 'mine'",
    "DELETE FROM experiments",
    "TRUNCATE experiments CASCADE",
    "DROP TABLE metrics",
    "ALTER TABLE metrics ADD COLUMN mine int",
    "CREATE TABLE mine (one int)",
    "CREATE TEMPORARY TABLE mine (one int)",
    "CREATE SCHEMA mine",
)

Ask = Callable[[str], "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def ask(postgresql: str, tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """psql as `reader`, in a database that had its first start before MLflow wrote its tables."""
    address = urlsplit(postgresql)
    secret = tmp_path_factory.mktemp("secrets") / "reader_password"
    secret.write_text("it's a secret\n")
    programs = postgres_programs()
    environment = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "PGHOST": str(address.hostname), "PGPORT": str(address.port),
        "POSTGRES_USER": str(address.username), "POSTGRES_DB": address.path.lstrip("/"), "READER_PASSWORD_FILE": str(secret),
    }  # fmt: skip
    subprocess.run([REPOSITORY / "docker" / "database" / "reader.sh"], env=environment, check=True)
    MlflowClient(with_installed_driver(postgresql)).create_experiment("fleet")

    def psql(statement: str) -> subprocess.CompletedProcess[str]:
        command = ["psql", "--no-psqlrc", "--tuples-only", "--no-align", "--username", "reader", "--command", statement]
        return subprocess.run([*command, environment["POSTGRES_DB"]], env=environment, capture_output=True, text=True)

    return psql


def test_the_reader_sees_what_mlflow_wrote(ask: Ask) -> None:
    assert "fleet" in ask("SELECT name FROM experiments").stdout.split()


@pytest.mark.parametrize("change", CHANGES)
def test_the_reader_changes_nothing(ask: Ask, change: str) -> None:
    done = ask(f"SET default_transaction_read_only = off; SET transaction_read_only = off; {change}")
    assert done.returncode != 0
    assert "permission denied" in done.stderr or "must be owner" in done.stderr, done.stderr
