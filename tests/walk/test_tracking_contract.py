"""What a training run leaves in MLflow: every name, and numbers that can be worked out again from the rows."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from acceptance.plant import Plant
from deltalake import DeltaTable
from mlflow import MlflowClient
from mlflow.entities import Run
from walk.conftest import Walk

from turbine_health.io.tracking_server import with_installed_driver

CONTRACT = {
    "Turbine_Failure_Prediction_Classification": {
        "target": "failure_within_7d",
        "params": {"features", "target", "test_size", "random_state", "stratify", "model_type", "model_source"},
        "metrics": {"accuracy", "precision", "recall", "f1_score", "roc_auc", "pr_auc"},
        "artifacts": {"confusion_matrix_model_a.html", "roc_curve_model_a.html", "classification_model"},
        "model": "Model_A_Production",
    },
    "Turbine_Time_to_Failure_Prediction_Regression": {
        "target": "time_to_failure_days",
        "params": {"features", "target", "test_size_reg", "random_state_reg", "model_type", "model_source"},
        "metrics": {"mae", "mse", "rmse", "r2_score"},
        "artifacts": {"regression_predictions_plot.html", "error_distribution.html", "regression_model"},
        "model": "Model_B_Production",
    },
}

# Scores rows in a process that knows nothing of this project: both ways to load each model, by run and by version.
SCORER = """
import json, sys
import mlflow, pandas as pd
store, rows_path, run_a, run_b = sys.argv[1:]
mlflow.set_tracking_uri(store)
rows = pd.read_parquet(rows_path)
from pyspark.sql import SparkSession
spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
answer = {}
for name, uri in (("a", f"runs:/{run_a}/classification_model"), ("b", f"runs:/{run_b}/regression_model")):
    features = mlflow.models.get_model_info(uri).signature.inputs.input_names()
    scored = mlflow.spark.load_model(uri).transform(spark.createDataFrame(rows[features]))
    answer[name] = [row["prediction"] for row in scored.select("prediction").collect()]
    if name == "a":
        answer["a_votes"] = [row["probability"][1] for row in scored.select("probability").collect()]
    version = f"models:/Model_{name.upper()}_Production/1"
    answer[name + "_pyfunc"] = list(mlflow.pyfunc.load_model(version).predict(rows[features].head(20)))
print("ANSWER" + json.dumps(answer))
"""


@dataclass(frozen=True)
class Trained:
    """A plant after training, and where MLflow keeps what was logged."""

    plant: Plant
    store: str


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def trained(request: pytest.FixtureRequest, undisturbed: Walk, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    if request.param == "sqlite":
        return Trained(undisturbed.plant, f"sqlite:///{undisturbed.plant.folder}/mlflow.db")
    address = request.getfixturevalue("postgresql")
    plant = undisturbed.plant.copy(tmp_path_factory.mktemp("trained"))
    plant.run_warm(f"train --set mlflow.tracking_uri={address}")
    return Trained(plant, with_installed_driver(address))


@pytest.fixture(scope="module")
def client(trained: Trained) -> MlflowClient:
    return MlflowClient(trained.store)


@pytest.fixture(scope="module")
def runs(client) -> dict[str, Run]:
    found = {name: client.search_runs([client.get_experiment_by_name(name).experiment_id]) for name in CONTRACT}
    return {name: each[-1] for name, each in found.items()}


@pytest.fixture(scope="module")
def serving(client, runs) -> dict[str, Any]:
    run_id = runs["Turbine_Failure_Prediction_Classification"].info.run_id
    return dict(json.loads(Path(client.download_artifacts(run_id, "serving.json")).read_text()))


@pytest.fixture(scope="module")
def test_rows(trained, runs, serving) -> Any:
    """Rows of the test part that can be scored, by what the run says of itself: table version, first day, freshness."""
    params = runs["Turbine_Failure_Prediction_Classification"].data.params
    rows = DeltaTable(trained.plant.lake / "gold" / "training_examples", version=int(params["table_version"])).to_pandas()
    is_fresh = (rows["data_age_hours"] <= serving["stale_after_hours"]) & (rows["coverage"] >= serving["min_coverage"])
    is_test = rows["window_end"] >= datetime.fromisoformat(params["test_from"])
    return rows[is_test & is_fresh].reset_index(drop=True)


@pytest.fixture(scope="module")
def scored(trained, runs, test_rows, tmp_path_factory) -> dict[str, list[float]]:
    folder = tmp_path_factory.mktemp("scorer")
    test_rows.to_parquet(folder / "rows.parquet")
    (folder / "score.py").write_text(SCORER)
    run_ids = [run.info.run_id for run in runs.values()]
    command = [
        sys.executable,
        folder / "score.py",
        trained.store,
        folder / "rows.parquet",
        *run_ids,
    ]
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, check=True, timeout=300)
    (answer,) = [line for line in done.stdout.splitlines() if line.startswith("ANSWER")]
    return dict(json.loads(answer.removeprefix("ANSWER")))


def five_digits(values: Iterable[float]) -> Any:
    """Rounded as SQL rounds: a half goes up, by the decimal digits that the number is written with."""
    return np.array([float(Decimal(repr(float(value))).quantize(Decimal("0.00001"), ROUND_HALF_UP)) for value in values])


@pytest.mark.parametrize("experiment", CONTRACT)
def test_every_name_of_the_contract_is_there(client, runs, experiment):
    run, names = runs[experiment], CONTRACT[experiment]
    assert run.info.status == "FINISHED"
    assert names["params"] <= set(run.data.params)
    assert names["metrics"] <= set(run.data.metrics)
    assert names["artifacts"] <= {Path(artifact.path).name for artifact in client.list_artifacts(run.info.run_id)}
    assert run.data.params["target"] == names["target"]
    assert run.info.run_id in {version.run_id for version in client.search_model_versions(f"name = '{names['model']}'")}


@pytest.mark.parametrize("experiment", CONTRACT)
def test_a_run_says_what_it_read_and_what_its_forest_was_set_to(runs, experiment):
    run = runs[experiment]
    (used,) = run.inputs.dataset_inputs
    assert used.dataset.name == "gold.training_examples"
    assert json.loads(used.dataset.source)["delta_table_version"] == int(run.data.params["table_version"])
    assert {"data_span", "sources", "fleet_size", "code_version"} <= set(run.data.tags)
    assert any(name.endswith(".numTrees") or name == "numTrees" for name in run.data.params)


def test_the_classifier_metrics_are_those_of_the_rows(runs, serving, scored, test_rows):
    run = runs["Turbine_Failure_Prediction_Classification"]
    # As it is served: votes and probabilities count to five digits.
    votes = five_digits(scored["a_votes"])
    probability = five_digits(np.interp(votes, serving["calibration"]["raw"], serving["calibration"]["probability"]))
    labels = test_rows["failure_within_7d"]
    said = zip(labels, probability >= serving["threshold"], strict=True)
    pairs = [(label == 1, bool(alert)) for label, alert in said if label in (0, 1)]
    assert len(pairs) == int(run.data.params["test_rows"])
    tp, fp = pairs.count((True, True)), pairs.count((False, True))
    fn, tn = pairs.count((True, False)), pairs.count((False, False))
    metrics = run.data.metrics
    assert metrics["accuracy"] == pytest.approx((tp + tn) / len(pairs), abs=1e-6)
    assert metrics["precision"] == pytest.approx(tp / (tp + fp), abs=1e-6)
    assert metrics["recall"] == pytest.approx(tp / (tp + fn), abs=1e-6)
    assert metrics["f1_score"] == pytest.approx(2 * tp / (2 * tp + fp + fn), abs=1e-6)


def test_the_regressor_metrics_are_those_of_the_rows(runs, scored, test_rows):
    run = runs["Turbine_Time_to_Failure_Prediction_Regression"]
    cap = float(run.data.params["target_cap_days"])
    known = [
        (min(days, cap), predicted)
        for days, predicted in zip(test_rows["time_to_failure_days"], scored["b"], strict=True)
        if not math.isnan(days)
    ]
    errors = [predicted - actual for actual, predicted in known]
    mean = sum(actual for actual, _ in known) / len(known)
    mse = sum(error**2 for error in errors) / len(errors)
    metrics = run.data.metrics
    assert metrics["mae"] == pytest.approx(sum(map(abs, errors)) / len(errors), rel=1e-4)
    assert metrics["mse"] == pytest.approx(mse, rel=1e-4)
    assert metrics["rmse"] == pytest.approx(math.sqrt(mse), rel=1e-4)
    assert metrics["r2_score"] == pytest.approx(1 - mse * len(known) / sum((a - mean) ** 2 for a, _ in known), rel=1e-3)


@pytest.mark.parametrize("model", ["a", "b"])
def test_pyfunc_and_spark_predict_the_same_in_a_fresh_process(scored, model):
    assert scored[f"{model}_pyfunc"] == pytest.approx(scored[model][:20])
