"""What is known of a run and of a registered model once they are there."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from turbine_health import __version__


@dataclass(frozen=True)
class RegisteredVersion:
    """One version of a registered model, and the run that trained it."""

    name: str
    version: str
    run_id: str

    @property
    def uri(self) -> str:
        """What `mlflow.spark.load_model` and `mlflow.pyfunc.load_model` take."""
        return f"models:/{self.name}/{self.version}"


@dataclass(frozen=True)
class RunRecord:
    """One run, as the console summary and the pages show it. Times are UTC."""

    experiment: str
    run_id: str
    name: str
    status: str
    started_at: datetime
    seconds: float | None
    artifact_uri: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


def record_of(experiment: str, run: Any) -> RunRecord:
    """A run as MLflow's client gives it, in our words."""
    started, ended = utc(run.info.start_time), run.info.end_time
    return RunRecord(
        experiment=experiment,
        run_id=run.info.run_id,
        name=run.info.run_name,
        status=run.info.status,
        started_at=started,
        seconds=(utc(ended) - started).total_seconds() if ended else None,
        artifact_uri=run.info.artifact_uri,
        params=dict(run.data.params),
        metrics=dict(run.data.metrics),
        tags={name: value for name, value in run.data.tags.items() if not name.startswith("mlflow.log-model")},
    )


def utc(milliseconds: int) -> datetime:
    """A moment that MLflow gives in milliseconds."""
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc)


def code_version() -> str:
    """The package's version and, in a checkout, the commit; `+changes` when files differ from it."""
    command = ["git", "describe", "--always", "--dirty=+changes", "--exclude=*"]
    try:
        commit = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return __version__
    return f"{__version__} ({commit.stdout.strip()})"
