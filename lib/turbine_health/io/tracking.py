"""MLflow: runs, registered models and what they left behind. The only module that knows it.

Autologging records what each estimator was set to. It is not trusted with more: it names metrics
after the variable that held the scored frame, and saves a model only if every stage is on its own
list. So metrics, models and inputs are logged here, under fixed names.
"""

from __future__ import annotations

import functools
import json
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from getpass import getuser
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import mlflow
import mlflow.pyspark.ml
import mlflow.spark
import pandas as pd
from mlflow import MlflowClient
from mlflow.data.delta_dataset_source import DeltaDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema
from pyspark.ml import PipelineModel

from turbine_health.errors import TrackingError
from turbine_health.io.run_owner import RunOwner
from turbine_health.io.run_records import RegisteredVersion, RunRecord, code_version, record_of, utc
from turbine_health.io.tracking_server import (
    check_database,
    is_http,
    is_sql,
    short_patience,
    unreachable,
    with_installed_driver,
)
from turbine_health.redaction import masked
from turbine_health.settings import MlflowSettings

__all__ = ["CHAMPION", "RegisteredVersion", "RunRecord", "TrackedRun", "Tracker", "code_version"]

CHAMPION = "champion"
# Without it MLflow's pages open on traces of language models instead of runs and metrics.
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
# MLflow refuses a longer parameter; the rest then goes to an artifact beside it.
LONGEST_PARAMETER = 6_000

logger = logging.getLogger("turbine_health")
P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound="_Connected")


class _Connected(Protocol):
    _client: MlflowClient


def _explained(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Turn MLflow's refusals into a `TrackingError` with the address."""

    @functools.wraps(method)
    def wrapper(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(self, *args, **kwargs)
        except MlflowException as error:
            why = masked(str(error).strip().splitlines()[0])
            raise TrackingError(why, where=masked(self._client.tracking_uri), hint="see docs/mlflow.md") from error

    return wrapper


class TrackedRun:
    """A run that is going on. Everything is kept at once, so a crash loses only what came after."""

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self.run_id = run_id
        self._client = client

    @_explained
    def log_params(self, params: Mapping[str, Any]) -> None:
        """Keep settings. A value too long for MLflow is cut there and whole in `params/<name>.txt`."""
        for name, value in params.items():
            text = value if isinstance(value, str) else json.dumps(value)
            if len(text) > LONGEST_PARAMETER:
                self.log_text(text, f"params/{name}.txt")
                text = text[: LONGEST_PARAMETER - 1] + "…"
            self._client.log_param(self.run_id, name, text)

    @_explained
    def log_metrics(self, metrics: Mapping[str, float | None]) -> None:
        """Keep numbers; None (not known) is left out rather than written as 0."""
        for name, value in metrics.items():
            if value is not None:
                self._client.log_metric(self.run_id, name, float(value))

    @_explained
    def log_tags(self, tags: Mapping[str, str]) -> None:
        """Keep labels to search by."""
        for name, value in tags.items():
            self._client.set_tag(self.run_id, name, value)

    @_explained
    def log_text(self, text: str, path: str) -> None:
        """Keep a text file."""
        self._client.log_text(self.run_id, text, path)

    def log_json(self, value: Any, path: str) -> None:
        """Keep a value that `json` can write."""
        self.log_text(json.dumps(value, indent=1), path)

    @_explained
    def log_table_input(self, identifier: str, path: str, version: int, context: str) -> None:
        """Say which version of which Delta table was used for what (`context`: training, testing …)."""
        source = DeltaDatasetSource(path=path, delta_table_version=version)
        mlflow.log_input(MetaDataset(source, name=identifier), context=context)

    @_explained
    def log_model(self, model: PipelineModel, name: str, example: pd.DataFrame, register_as: str) -> RegisteredVersion:
        """Keep the fitted pipeline as the artifact `name` and as a new version of `register_as`.

        Args:
            model: Takes the raw feature columns and adds `prediction`.
            name: Of the artifact: `runs:/<run_id>/<name>` loads it.
            example: A few rows of feature columns; kept as the input example and the signature.
            register_as: Registered model; made when it is the first version.
        """
        rows = example.astype("float64")
        inputs = Schema([ColSpec("double", column) for column in rows.columns])
        info = mlflow.spark.log_model(
            model,
            name,
            signature=ModelSignature(inputs, Schema([ColSpec("double")])),
            input_example=rows,
            # Given, because MLflow would otherwise load the model in a second JVM to find them out.
            pip_requirements=[f"{package}=={installed_version(package)}" for package in ("pyspark", "mlflow", "pandas")],
            dfs_tmpdir=_spark_scratch(),
        )
        if not self._client.search_registered_models(f"name = '{register_as}'"):
            self._client.create_registered_model(register_as)
        source = f"{self._client.get_run(self.run_id).info.artifact_uri}/{info.artifact_path}"
        created = self._client.create_model_version(register_as, source, self.run_id)
        return RegisteredVersion(register_as, str(created.version), self.run_id)

    @contextmanager
    def without_autolog(self) -> Iterator[None]:
        """For fits that are not the run's own (baselines, learning curves): nothing of them is recorded."""
        _autolog(on=False)
        try:
            yield
        finally:
            _autolog(on=True)


class Tracker:
    """The MLflow store of one set of settings."""

    def __init__(self, settings: MlflowSettings) -> None:
        """Look whether the store answers.

        Raises:
            TrackingError: It does not within `connect_timeout_seconds`; names the address, without its password.
        """
        self.settings = settings
        self.uri = with_installed_driver(settings.tracking_uri)
        for chatty in ("mlflow", "alembic"):
            logging.getLogger(chatty).setLevel(logging.WARNING)
        if is_sql(self.uri):
            check_database(self.uri, settings.connect_timeout_seconds)
        with short_patience(settings.connect_timeout_seconds):
            try:
                self._client = MlflowClient(self.uri, self.uri)
                self._client.search_experiments(max_results=1)
            except (MlflowException, OSError) as error:
                raise unreachable(self.uri, error) from None

    @contextmanager
    def run(self, experiment: str, run_name: str, tags: Mapping[str, str] | None = None) -> Iterator[TrackedRun]:
        """A run under way, with autologging on; an exception marks it FAILED.

        Runs that a killed process left behind are marked FAILED first.
        """
        self._select()
        experiment_id = self._experiment_id(experiment)
        self._fail_abandoned_runs(experiment_id)
        owned = {**(tags or {}), **RunOwner.of_this_process().as_tags(), "code_version": code_version()}
        with mlflow.start_run(experiment_id=experiment_id, run_name=run_name, tags=owned) as active:
            _autolog(on=True)
            try:
                yield TrackedRun(self._client, active.info.run_id)
            finally:
                _autolog(on=False)

    @_explained
    def champion(self, model_name: str) -> RegisteredVersion | None:
        """The version that scores; None when none has been let through yet."""
        found = self._client.search_registered_models(f"name = '{model_name}'")
        version = found[0].aliases.get(CHAMPION) if found else None
        return self.version(model_name, str(version)) if version else None

    @_explained
    def version(self, model_name: str, version: str) -> RegisteredVersion:
        """One registered version."""
        return RegisteredVersion(model_name, version, self._client.get_model_version(model_name, version).run_id)

    @_explained
    def set_alias(self, model: RegisteredVersion, alias: str) -> None:
        """Point `alias` at this version, and away from any other."""
        self._client.set_registered_model_alias(model.name, alias, model.version)

    @_explained
    def load_model(self, model: RegisteredVersion) -> PipelineModel:
        """The fitted pipeline."""
        self._select()
        loaded: PipelineModel = mlflow.spark.load_model(model.uri, dfs_tmpdir=_spark_scratch())
        return loaded

    @_explained
    def load_json(self, run_id: str, path: str) -> Any:
        """A value kept by `TrackedRun.log_json`."""
        with tempfile.TemporaryDirectory() as folder:
            return json.loads(Path(self._client.download_artifacts(run_id, path, folder)).read_text(encoding="utf-8"))

    @_explained
    def metrics(self, run_id: str) -> dict[str, float]:
        """Last value of each metric of a run."""
        return dict(self._client.get_run(run_id).data.metrics)

    @_explained
    def record(self, run_id: str) -> RunRecord:
        """One run."""
        run = self._client.get_run(run_id)
        return record_of(self._client.get_experiment(run.info.experiment_id).name, run)

    @_explained
    def runs(self, experiment: str, limit: int = 100) -> list[RunRecord]:
        """The newest runs of an experiment, newest first; empty when there is no such experiment."""
        found = self._client.get_experiment_by_name(experiment)
        if found is None:
            return []
        runs = self._client.search_runs([found.experiment_id], max_results=limit, order_by=["attributes.start_time DESC"])
        return [record_of(experiment, run) for run in runs]

    @_explained
    def versions(self, model_name: str) -> list[RegisteredVersion]:
        """All registered versions, newest first."""
        found = self._client.search_model_versions(f"name = '{model_name}'", order_by=["version_number DESC"])
        return [RegisteredVersion(model_name, str(version.version), version.run_id) for version in found]

    @_explained
    def table_inputs(self, run_id: str) -> dict[str, int]:
        """Which version of which table a run was given (`log_table_input`), by identifier."""
        datasets = [given.dataset for given in self._client.get_run(run_id).inputs.dataset_inputs]
        versions = {dataset.name: json.loads(dataset.source).get("delta_table_version") for dataset in datasets}
        return {name: int(version) for name, version in versions.items() if version is not None}

    def _select(self) -> None:
        """MLflow's own functions work on one store a process; make it this one."""
        mlflow.set_tracking_uri(self.uri)
        mlflow.set_registry_uri(self.uri)

    @_explained
    def _experiment_id(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is None:
            return str(self._client.create_experiment(name, self._artifact_location(), EXPERIMENT_TAGS))
        if found.lifecycle_stage != "active":
            raise TrackingError(
                f"experiment {name} was deleted",
                where=masked(self.uri),
                hint=f"mlflow experiments restore -x {found.experiment_id}",
            )
        return str(found.experiment_id)

    def _artifact_location(self) -> str | None:
        """Absolute, because a relative one would follow the working directory. A server has its own."""
        location = self.settings.artifact_location
        if is_http(self.uri):
            return None
        return location if "://" in location else Path(location).resolve().as_uri()

    @_explained
    def _fail_abandoned_runs(self, experiment_id: str) -> None:
        now = datetime.now(timezone.utc)
        for run in self._client.search_runs([experiment_id], "attributes.status = 'RUNNING'"):
            owner = RunOwner.from_tags(run.data.tags)
            if owner and owner.is_gone(utc(run.info.start_time), now, self.settings.abandoned_after_hours):
                self._client.set_tag(run.info.run_id, "ended_by", "its process was killed; noticed by a later run")
                self._client.set_terminated(run.info.run_id, "FAILED")
                logger.warning("run %s was left behind by a killed process: marked FAILED", run.info.run_name)


def _autolog(*, on: bool) -> None:
    mlflow.pyspark.ml.autolog(
        disable=not on, silent=True, log_models=False, log_datasets=False, log_post_training_metrics=False
    )


def _spark_scratch() -> str:
    """A folder that the driver and Spark's file system both can write; MLflow's own default is one for all users."""
    return f"{tempfile.gettempdir()}/mlflow-{getuser()}"
