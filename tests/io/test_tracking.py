"""The tracker against a real MLflow on SQLite, with a real small pipeline."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.classification import RandomForestClassifier
from pyspark.ml.feature import VectorAssembler
from pyspark.sql import SparkSession

from turbine_health.errors import TrackingError
from turbine_health.io.tracking import RegisteredVersion, Tracker
from turbine_health.settings import MlflowSettings

EXPERIMENT = "Turbine_Failure_Prediction_Classification"
ROWS = pd.DataFrame(
    {"a__mean_24h": [1.0, 2.0, 8.0, 9.0] * 5, "b__mean_24h": [4.0, 3.0, 2.0, 1.0] * 5, "label": [0, 0, 1, 1] * 5}
)
FEATURES = ["a__mean_24h", "b__mean_24h"]


@dataclass(frozen=True)
class Logged:
    tracker: Tracker
    registered: RegisteredVersion
    model: PipelineModel


def settings_in(folder: Path) -> MlflowSettings:
    return MlflowSettings(tracking_uri=f"sqlite:///{folder}/mlflow.db", artifact_location=str(folder / "artifacts"))


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Tracker:
    return Tracker(settings_in(tmp_path_factory.mktemp("mlflow")))


@pytest.fixture(scope="module")
def logged(spark: SparkSession, tracker: Tracker) -> Iterator[Logged]:
    """One run that did everything a training run does."""
    with tracker.run(EXPERIMENT, "forest on four rows", {"fleet_size": "2"}) as run:
        forest = RandomForestClassifier(labelCol="label", numTrees=3, seed=1)
        model = Pipeline(stages=[VectorAssembler(inputCols=FEATURES, outputCol="features"), forest]).fit(
            spark.createDataFrame(ROWS)
        )
        run.log_params({"features": FEATURES, "long": "x" * 7_000})
        run.log_metrics({"accuracy": 0.75, "unknown": None})
        run.log_json({"threshold": 0.3}, "serving.json")
        run.log_table_input("gold.training_examples", "data/lake/gold/training_examples", 4, "training")
        registered = run.log_model(model, "classification_model", ROWS[FEATURES].head(3), "Model_A_Production")
    return Logged(tracker, registered, model)


def test_a_run_keeps_what_was_logged_and_what_the_forest_was_set_to(logged):
    run = logged.tracker.runs(EXPERIMENT)[0]
    assert (run.status, run.name, run.metrics) == ("FINISHED", "forest on four rows", {"accuracy": 0.75})
    assert json.loads(run.params["features"]) == FEATURES
    assert run.params["RandomForestClassifier.numTrees"] == "3"
    assert run.tags["fleet_size"] == "2"
    assert run.tags["code_version"].startswith("0.1.0")
    assert logged.tracker.load_json(run.run_id, "serving.json") == {"threshold": 0.3}


def test_a_parameter_too_long_for_mlflow_is_whole_in_an_artifact(logged):
    run = logged.tracker.runs(EXPERIMENT)[0]
    assert len(run.params["long"]) == 6_000
    path = MlflowClient(logged.tracker.uri).download_artifacts(run.run_id, "params/long.txt")
    assert len(Path(path).read_text()) == 7_000


def test_a_run_names_the_table_and_version_it_read(logged):
    inputs = MlflowClient(logged.tracker.uri).get_run(logged.registered.run_id).inputs.dataset_inputs
    assert [entry.dataset.name for entry in inputs] == ["gold.training_examples"]
    assert json.loads(inputs[0].dataset.source)["delta_table_version"] == 4


def test_the_champion_is_the_version_the_alias_points_at(logged):
    assert logged.tracker.champion("Model_B_Production") is None
    logged.tracker.set_alias(logged.registered, "champion")
    assert logged.tracker.champion("Model_A_Production") == logged.registered


def test_a_loaded_model_predicts_what_the_fitted_one_did(spark, logged):
    rows = spark.createDataFrame(ROWS[FEATURES])
    loaded = logged.tracker.load_model(logged.registered)
    assert (
        loaded.transform(rows).select("probability").collect() == logged.model.transform(rows).select("probability").collect()
    )


def test_the_model_has_a_signature_and_an_input_example(logged):
    mlflow.set_tracking_uri(logged.tracker.uri)
    info = mlflow.models.get_model_info(logged.registered.uri)
    assert info.signature.inputs.input_names() == FEATURES
    assert info.saved_input_example_info is not None


def test_what_is_not_there_is_told_with_the_address_of_the_store(tracker):
    with tracker.run("empty", "nothing kept") as run:
        pass
    with pytest.raises(TrackingError, match=r"serving\.json") as caught:
        tracker.load_json(run.run_id, "serving.json")
    assert caught.value.where == tracker.uri


def test_an_exception_marks_the_run_failed(tracker):
    with pytest.raises(ZeroDivisionError), tracker.run("failing", "breaks"):
        _ = 1 / 0
    assert [run.status for run in tracker.runs("failing")] == ["FAILED"]


def test_a_fit_without_autolog_leaves_no_parameters(spark, tracker):
    with tracker.run("side fits", "baseline") as run, run.without_autolog():
        assembled = VectorAssembler(inputCols=FEATURES, outputCol="features").transform(spark.createDataFrame(ROWS))
        RandomForestClassifier(labelCol="label", numTrees=1, seed=1).fit(assembled)
    assert tracker.runs("side fits")[0].params == {}


def test_the_run_of_a_killed_process_is_marked_failed_at_the_next_start(tracker):
    with tracker.run("killed", "first") as run:
        pass
    client = MlflowClient(tracker.uri)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    client.update_run(run.run_id, "RUNNING")
    client.set_tag(run.run_id, "turbine_health.owner_pid", str(gone.pid))
    with tracker.run("killed", "second"):
        statuses = {record.name: record.status for record in tracker.runs("killed")}
    assert statuses == {"first": "FAILED", "second": "RUNNING"}


def test_a_run_that_is_still_going_or_not_ours_is_left_alone(tracker):
    client = MlflowClient(tracker.uri)
    with tracker.run("alive", "ours"):
        pass
    experiment_id = client.get_experiment_by_name("alive").experiment_id
    foreign = client.create_run(experiment_id, run_name="somebody else's")
    client.update_run(tracker.runs("alive")[-1].run_id, "RUNNING")
    with tracker.run("alive", "next"):
        pass
    assert client.get_run(foreign.info.run_id).info.status == "RUNNING"
    assert {run.name: run.status for run in tracker.runs("alive")}["ours"] == "RUNNING"


@pytest.mark.parametrize(
    "uri", ["http://planner:s3cret@127.0.0.1:9", "postgresql://planner:s3cret@127.0.0.1:9/mlflow"], ids=["http", "postgresql"]
)
def test_an_unreachable_store_is_named_without_its_password(uri):
    with pytest.raises(TrackingError) as caught:
        Tracker(MlflowSettings(tracking_uri=uri, connect_timeout_seconds=5))
    assert "planner:***@127.0.0.1:9" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_the_tracker_is_quiet(tmp_path, caplog, capfd):
    with caplog.at_level(logging.INFO):
        Tracker(settings_in(tmp_path))
    assert [record.getMessage() for record in caplog.records if record.name != "turbine_health"] == []
    assert capfd.readouterr().err == ""


def test_no_usage_statistics_are_sent():
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
