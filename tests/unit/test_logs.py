"""What jobs print: for people, for log collectors, and never a secret."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest

from turbine_health.cli import run_job
from turbine_health.errors import TrackingError
from turbine_health.redaction import masked
from turbine_health.run_id import VARIABLE

ADDRESS = "postgresql://planner:s3cret@db:5432/mlflow"


@pytest.fixture(autouse=True)
def _loggers_as_before(monkeypatch):
    """`run_job` sets up the process's logging; a test must not leave that to the next."""
    root, package, hook = logging.getLogger(), logging.getLogger("turbine_health"), sys.excepthook
    before = (root.handlers[:], root.level, package.level)
    monkeypatch.setenv(VARIABLE, "nightly-7")
    yield
    root.handlers[:], sys.excepthook = before[0], hook
    root.setLevel(before[1])
    package.setLevel(before[2])


def work(argv):
    logging.getLogger("turbine_health").info("reading %d files", 3)
    return "3 files"


def json_lines(text: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in text.splitlines()]


def test_json_lines_carry_the_job_and_the_one_run_id(capsys):
    run_job("ingest", work, ["--log", "json"])
    progress, summary = json_lines(capsys.readouterr().err)
    assert progress.items() >= {"level": "INFO", "job": "ingest", "run_id": "nightly-7", "message": "reading 3 files"}.items()
    assert summary["message"] == "ingest: 3 files"


def test_a_failure_in_json_is_a_line_too(capsys):
    def main(argv):
        raise TrackingError("does not answer", where=ADDRESS)

    assert run_job("train", main, ["--log=json"]) == 2
    (line,) = json_lines(capsys.readouterr().err)
    assert line["level"] == "ERROR"
    assert line["message"] == "train: postgresql://planner:***@db:5432/mlflow: does not answer"


def test_quiet_leaves_the_summary(capsys):
    run_job("ingest", work, ["--quiet"])
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("ingest: 3 files\n", "")


def test_a_run_id_that_no_log_can_hold_is_refused(capsys, monkeypatch):
    monkeypatch.setenv(VARIABLE, "a b\n")
    assert run_job("ingest", work, []) == 2
    assert VARIABLE in capsys.readouterr().err


def test_a_bug_exits_with_1_and_its_traceback_shows_no_password():
    script = (
        "import sys\nfrom turbine_health.cli import run_job\n"
        f"def main(argv): raise ZeroDivisionError({ADDRESS!r})\n"
        "sys.exit(run_job('train', main, sys.argv[1:]))"
    )
    for form in ("text", "json"):
        done = subprocess.run([sys.executable, "-c", script, "--log", form], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "ZeroDivisionError" in done.stderr
        assert "s3cret" not in done.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ADDRESS, "postgresql://planner:***@db:5432/mlflow"),
        ("https://:tok@host/x", "https://:***@host/x"),
        ("s3://bucket/a?X-Amz-Signature=abc&b=1", "s3://bucket/a?X-Amz-Signature=***&b=1"),
        ("sqlite:///data/mlflow.db", "sqlite:///data/mlflow.db"),
        ("at 12:30 a@b", "at 12:30 a@b"),
    ],
)
def test_passwords_in_addresses_are_hidden(text, expected):
    assert masked(text, {}) == expected


def test_values_of_variables_named_like_secrets_are_hidden_and_short_ones_are_not():
    environ = {"MLFLOW_TRACKING_TOKEN": "abcdefgh", "DB_PASSWORD": "abcdefgh-long", "OTHER_SECRET": "of", "HOME": "/root/home"}
    assert masked("abcdefgh abcdefgh-long of /root/home", environ) == "*** *** of /root/home"
