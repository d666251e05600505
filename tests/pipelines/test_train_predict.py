"""Train and predict on a small fleet whose bearings warm up before they fail."""

import json
import re
from datetime import timedelta, timezone
from pathlib import Path

import pandas as pd
import pytest
from builders import frame, source
from degrading_fleet import START, examples_table, fleet_examples, fleet_settings, fleet_windows, windows_table
from predictions import risk
from pyspark.sql import functions as F

from turbine_health.errors import DataError, SettingsError, TrackingError
from turbine_health.io.delta import TableStore
from turbine_health.io.tracking import Tracker
from turbine_health.pipelines.monitor import champion_trained_until
from turbine_health.pipelines.predict import predict
from turbine_health.pipelines.prediction_writes import write_changes
from turbine_health.pipelines.train import train
from turbine_health.settings import StorageSettings
from turbine_health.tables import FAILURE_PREDICTIONS, TIME_TO_FAILURE_PREDICTIONS
from turbine_health.transforms.splits import time_border


class Plant:
    """A lake and an MLflow store of their own."""

    def __init__(self, spark, folder: Path, **sections):
        mlflow = {"tracking_uri": f"sqlite:///{folder}/mlflow.db", "artifact_location": f"{folder}/artifacts"}
        self.settings = fleet_settings(mlflow=mlflow, **sections)
        self.store = TableStore(spark, StorageSettings(root=f"{folder}/lake", reports=f"{folder}/reports"))
        self.tracker = Tracker(self.settings.mlflow)

    def train(self, **options):
        return train(self.store, self.tracker, self.settings, **options)

    def predict(self, **options):
        return predict(self.store, self.tracker, self.settings, **options)

    def version_of(self, table):
        return self.store.version(table)


@pytest.fixture(scope="module")
def plant(spark, tmp_path_factory):
    """Trained once and scored once, with one turbine that fell silent a week before the others' last window."""
    evaluation = {"resamplings": 40, "min_test_failures": 2, "learning_curve": [0.5]}
    plant = Plant(spark, tmp_path_factory.mktemp("plant"), evaluation=evaluation)
    plant.store.append(fleet_examples(spark, plant.settings), examples_table(plant.settings))
    windows = fleet_windows(spark, plant.settings)
    last = windows.agg(F.max("window_end")).head()[0] - timedelta(days=7)
    windows = windows.where((F.col("asset_id") != "T03") | (F.col("window_end") < F.lit(last)))
    plant.store.append(windows, windows_table(plant.settings))
    plant.summary = plant.train()
    plant.predicted = plant.predict()
    return plant


def table_rows(plant, table):
    return plant.store.read(table).orderBy("asset_id", "window_end").collect()


def test_the_first_model_that_beats_the_baselines_becomes_champion(plant):
    for version in (plant.summary.classifier, plant.summary.regressor):
        assert plant.tracker.champion(version.name) == version


def test_every_name_of_the_contract_is_in_the_runs(plant):
    metrics = plant.tracker.metrics(plant.summary.classifier.run_id)
    assert {"accuracy", "precision", "recall", "f1_score", "roc_auc", "pr_auc", "ece", "failures_caught"} <= set(metrics)
    assert {"unseen_turbines_pr_auc", "both_pr_auc", "future_weeks_pr_auc", "random_rows_pr_auc", "pr_auc_low"} <= set(metrics)
    errors = plant.tracker.metrics(plant.summary.regressor.run_id)
    assert {"mae", "mse", "rmse", "r2_score", "rmse_uncapped", "interval_coverage", "predictions_moved"} <= set(errors)
    params = plant.tracker.runs(plant.settings.mlflow.classifier_experiment)[0].params
    assert {"features", "target", "test_size", "random_state", "stratify", "model_type", "model_source"} <= set(params)


def test_the_table_by_turbine_adds_up_to_the_metrics_of_the_test(plant):
    alerts = pd.DataFrame(plant.tracker.load_json(plant.summary.classifier.run_id, "by_turbine.json"))
    metrics = plant.tracker.metrics(plant.summary.classifier.run_id)
    assert list(alerts["asset_id"].sort_values()) == [f"T{number:02d}" for number in range(12)]
    sums = alerts[["failures", "failures_announced"]].sum()
    assert list(sums) == [metrics["failures"], metrics["failures_caught"]]
    both = pd.DataFrame(plant.tracker.load_json(plant.summary.regressor.run_id, "by_turbine.json"))
    errors = (both["mae_days"] * both["windows_with_failure"]).sum() / both["windows_with_failure"].sum()
    assert errors == pytest.approx(plant.tracker.metrics(plant.summary.regressor.run_id)["mae"])
    assert both[alerts.columns].equals(alerts)


def test_a_share_of_the_turbines_asked_for_leaves_a_learning_curve(plant):
    for version in (plant.summary.classifier, plant.summary.regressor):
        (point,) = plant.tracker.load_json(version.run_id, "learning_curve.json")
        assert point["share"] == 0.5
        assert 0 < point["turbines"] < 12
        assert point["score"] > 0


def test_calibration_brings_what_is_said_nearer_to_what_happens(plant):
    metrics = plant.tracker.metrics(plant.summary.classifier.run_id)
    assert metrics["ece"] < metrics["ece_uncalibrated"]


def test_each_turbine_has_one_row_in_both_tables_with_its_provenance(plant):
    for table, version in (
        (FAILURE_PREDICTIONS, plant.summary.classifier),
        (TIME_TO_FAILURE_PREDICTIONS, plant.summary.regressor),
    ):
        rows = table_rows(plant, table)
        assert [row["asset_id"] for row in rows] == [f"T{number:02d}" for number in range(12)]
        assert {(row["model_name"], row["model_version"], row["run_id"]) for row in rows} == {
            (version.name, version.version, version.run_id)
        }
        assert {row["features_version"] for row in rows} == {plant.version_of(windows_table(plant.settings))}


def test_a_silent_turbine_has_a_row_without_a_prediction(plant):
    by_turbine = {row["asset_id"]: row for row in table_rows(plant, FAILURE_PREDICTIONS)}
    silent = by_turbine.pop("T03")
    assert silent["quality_status"] == "stale"
    assert silent["window_end"] == max(row["window_end"] for row in by_turbine.values())
    assert silent["data_age_hours"] == pytest.approx(8 * 24 + 0.2)
    assert (silent["failure_probability"], silent["is_alert"], silent["reasons"]) == (None, None, None)
    assert all(row["failure_probability"] is not None and row["reasons"] for row in by_turbine.values())
    days = {row["asset_id"]: row["predicted_time_to_failure_days"] for row in table_rows(plant, TIME_TO_FAILURE_PREDICTIONS)}
    assert days.pop("T03") is None
    assert None not in days.values()


def test_the_heads_never_contradict_each_other(plant):
    alerts = plant.store.read(FAILURE_PREDICTIONS).select("asset_id", "is_alert", "horizon_days")
    both = plant.store.read(TIME_TO_FAILURE_PREDICTIONS).join(alerts, on="asset_id", how="inner")
    assert both.where("is_alert != (predicted_time_to_failure_days <= horizon_days)").isEmpty()
    assert both.where("predicted_time_to_failure_days NOT BETWEEN lower_days AND coalesce(upper_days, 1e9)").isEmpty()
    assert not both.where("is_alert").isEmpty()


def test_scoring_again_writes_no_new_version(plant):
    before = [plant.version_of(table) for table in (FAILURE_PREDICTIONS, TIME_TO_FAILURE_PREDICTIONS)]
    assert plant.predict().written == 0
    assert [plant.version_of(table) for table in (FAILURE_PREDICTIONS, TIME_TO_FAILURE_PREDICTIONS)] == before


def test_a_span_scores_every_window_in_it(plant):
    windows = plant.store.read(windows_table(plant.settings))
    last = windows.agg(F.max("window_end")).head()[0]
    start = last - timedelta(days=2)
    expected = windows.where(F.col("window_end") >= F.lit(start)).count()
    silent = 3
    assert plant.predict(start=start).rows == expected + silent > 20


def prediction_of(plant, asset_id, window_end):
    rows = [row for row in table_rows(plant, FAILURE_PREDICTIONS) if row["asset_id"] == asset_id]
    return {row["window_end"]: row["failure_probability"] for row in rows}[window_end]


def test_what_was_said_before_a_turbine_fell_silent_stands(plant):
    windows = plant.store.read(windows_table(plant.settings))
    fell_silent = windows.where("asset_id = 'T03'").agg(F.max("window_end")).head()[0]
    plant.predict(
        start=fell_silent.replace(tzinfo=timezone.utc), end=fell_silent.replace(tzinfo=timezone.utc) + timedelta(days=1)
    )
    said = prediction_of(plant, "T03", fell_silent)
    assert said is not None
    plant.predict()
    plant.predict(start=fell_silent.replace(tzinfo=timezone.utc))
    assert prediction_of(plant, "T03", fell_silent) == said


def test_a_row_with_a_prediction_is_not_replaced_by_one_without(plant, spark, store):
    said = frame(spark, [risk("T01", START, 0.8)], FAILURE_PREDICTIONS)
    silent = frame(spark, [risk("T01", START, None)], FAILURE_PREDICTIONS)
    for rows, written in ((silent, 1), (said, 1), (silent, 0), (said, 0)):
        assert write_changes(store, rows, FAILURE_PREDICTIONS) == written
    assert [row["failure_probability"] for row in store.read(FAILURE_PREDICTIONS).collect()] == [0.8]


def test_with_a_clock_a_fleet_of_which_nothing_arrives_any_more_is_stale(plant):
    last = plant.store.read(windows_table(plant.settings)).agg(F.max("window_end")).head()[0]
    clock = last.replace(tzinfo=timezone.utc) + timedelta(days=3, hours=5)
    assert plant.predict(as_of=clock).by_status == {"stale": 12}
    rows = [row for row in table_rows(plant, FAILURE_PREDICTIONS) if row["window_end"] == last + timedelta(days=3)]
    ages = {row["asset_id"]: row["data_age_hours"] for row in rows}
    assert (ages["T01"], ages["T03"]) == (pytest.approx(3 * 24 + 0.2), pytest.approx((3 + 8) * 24 + 0.2))


def test_a_turbine_of_the_plant_that_nobody_heard_of_has_a_row_that_says_so(plant):
    known = [{"column": "asset_id", "known": [f"T{number:02d}" for number in range(12)] + ["T99"]}]
    mlflow = plant.settings.mlflow.model_dump()
    settings = fleet_settings(mlflow=mlflow, sources=[source(asset_id=each) for each in known])
    assert predict(plant.store, plant.tracker, settings).by_status["no_data"] == 1
    (row,) = [row for row in table_rows(plant, FAILURE_PREDICTIONS) if row["asset_id"] == "T99"]
    assert (row["quality_status"], row["data_age_hours"], row["failure_probability"]) == ("no_data", None, None)


@pytest.fixture(scope="module")
def refused(plant):
    """Trained on labels dealt out by chance, tested on true ones; and more failures are asked for."""
    evaluation = plant.settings.evaluation.model_copy(update={"min_training_failures": 1_000})
    settings = plant.settings.model_copy(update={"evaluation": evaluation})
    examples = plant.store.read(examples_table(settings), 1)
    chance = F.pmod(F.xxhash64("asset_id", "window_end"), F.lit(1_000)) / 1_000
    is_early = F.col("window_end") < F.lit(START + timedelta(days=170))
    by_chance = {"failure_within_7d": (chance < 0.2).cast("int"), "time_to_failure_days": 60 * chance}
    shuffled = {
        name: F.when(is_early & F.col(name).isNotNull(), value).otherwise(F.col(name)) for name, value in by_chance.items()
    }
    written = plant.store.overwrite(examples.withColumns(shuffled).localCheckpoint(), examples_table(settings))
    return train(plant.store, plant.tracker, settings, as_of_version=written.version)


def gate_of(plant, version):
    runs = plant.tracker.runs(plant.settings.mlflow.classifier_experiment)
    runs += plant.tracker.runs(plant.settings.mlflow.regressor_experiment)
    return next(run.tags["gate"] for run in runs if run.run_id == version.run_id)


def test_a_worse_challenger_is_refused_and_the_champion_stays(plant, refused):
    for version, champion in ((refused.classifier, plant.summary.classifier), (refused.regressor, plant.summary.regressor)):
        assert "minus the champion's lies between" in gate_of(plant, version)
        assert plant.tracker.champion(version.name) == champion
    assert refused.roles == ("challenger", "challenger")


def test_a_model_that_loses_to_a_baseline_is_refused_with_both_numbers(plant, refused):
    assert re.search(r"cost per turbine-month is [\d,.]+; \w+ \w+ has [\d,.]+", gate_of(plant, refused.classifier))
    lost = r"root mean squared error in days is [\d.]+; (the mean life|age alone) has [\d.]+"
    assert re.search(lost, gate_of(plant, refused.regressor))


def test_a_model_that_learned_from_too_few_failures_is_refused(plant, refused):
    for version in (refused.classifier, refused.regressor):
        assert re.search(r"the training part holds \d+ distinct failures; 1000 are needed", gate_of(plant, version))


def test_a_champion_whose_features_are_gone_hinders_nobody_and_is_named(plant, spark, tmp_path):
    changes = {"features": {"lookback_hours": [24], "statistics": ["mean"], "every_hours": 24}, "mlflow": plant.settings.mlflow}
    evaluation = {"resamplings": 20, "min_test_failures": 1, "min_training_failures": 1, "random_reference": False}
    settings = fleet_settings(**changes, evaluation=evaluation)
    store = TableStore(spark, StorageSettings(root=f"{tmp_path}/lake"))
    table = examples_table(settings)
    store.append(fleet_examples(spark, plant.settings, turbines=6, days=120).select(*table.schema.names), table)
    known = {version.name: version for version in (plant.summary.classifier, plant.summary.regressor)}
    trained = train(store, plant.tracker, settings)
    for version in (trained.classifier, trained.regressor):
        why = f"not judged: champion version {known[version.name].version} could not score the test: the table no longer has "
        assert f"{why}active_power_kw__std_24h, bearing_temp_c__std_24h" in gate_of(plant, version)
        plant.tracker.set_alias(known[version.name], "champion")


def test_trained_on_shuffled_labels_the_score_falls_to_the_base_rate(plant, refused):
    metrics = plant.tracker.metrics(refused.classifier.run_id)
    assert metrics["unseen_turbines_pr_auc"] < 1.5 * metrics["unseen_turbines_base_rate"]
    known = plant.tracker.metrics(plant.summary.classifier.run_id)
    assert known["unseen_turbines_pr_auc"] > 3 * known["unseen_turbines_base_rate"]


def test_drift_is_told_where_the_training_of_the_champion_ended(plant):
    champion = plant.tracker.champion(plant.settings.mlflow.classifier_model)
    assert champion is not None
    until = plant.tracker.record(champion.run_id).params["train_until"]
    assert champion_trained_until(plant.tracker, plant.settings).isoformat() == until


@pytest.fixture
def three_partitions(spark):
    usual = spark.conf.get("spark.sql.shuffle.partitions")
    spark.conf.set("spark.sql.shuffle.partitions", "3")
    yield
    spark.conf.set("spark.sql.shuffle.partitions", usual)


@pytest.mark.usefixtures("three_partitions")
def test_a_training_of_an_old_version_repeats_after_new_data_and_in_other_partitions(plant, spark):
    more = fleet_examples(spark, plant.settings, turbines=12, days=30, seed=9)
    later = more.withColumn("window_end", F.col("window_end") + F.expr("INTERVAL 400 DAYS"))
    plant.store.append(later, examples_table(plant.settings))
    again = plant.train(as_of_version=1)
    for first, second in ((plant.summary.classifier, again.classifier), (plant.summary.regressor, again.regressor)):
        metrics = plant.tracker.metrics(first.run_id)
        repeated = plant.tracker.metrics(second.run_id)
        assert {name: repeated[name] for name in metrics} == pytest.approx(metrics, rel=1e-9)
        # As good as the champion is not better: the same model is not let through again.
        assert plant.tracker.champion(first.name) == first
    assert again.roles == ("challenger", "challenger")


def test_the_card_says_what_was_trained_on_and_how_good_it_is(plant, tmp_path):
    run = plant.tracker.runs(plant.settings.mlflow.classifier_experiment)[-1]
    card = Path(run.artifact_uri.removeprefix("file://"), "model_card.md").read_text(encoding="utf-8")
    for words in ("Span", "embargo 7 days", "unseen turbines", "never alert", "gearbox_bearing", "becomes champion"):
        assert words in card
    serving = json.loads(Path(run.artifact_uri.removeprefix("file://"), "serving.json").read_text(encoding="utf-8"))
    assert 0 < serving["threshold"] <= 1


def test_without_a_champion_scoring_says_what_to_do(spark, tmp_path):
    with pytest.raises(TrackingError, match=r"no champion of Model_A_Production and Model_B_Production.*jobs/train\.py"):
        Plant(spark, tmp_path).predict()


def test_a_fleet_without_failures_is_refused(spark, tmp_path):
    plant = Plant(spark, tmp_path)
    healthy = fleet_examples(spark, plant.settings, turbines=2, days=60).withColumn("failure_within_7d", F.lit(0))
    plant.store.append(healthy, examples_table(plant.settings))
    with pytest.raises(DataError, match="failures ahead in 0 of 3 turbine folds"):
        plant.train()


def test_a_test_part_in_which_nothing_can_be_scored_is_refused(spark, tmp_path):
    plant = Plant(spark, tmp_path)
    is_silent = F.col("window_end") > F.lit(START + timedelta(days=60))
    rows = fleet_examples(spark, plant.settings, turbines=6, days=100)
    plant.store.append(rows.withColumn("coverage", F.when(is_silent, 0.0).otherwise(1.0)), examples_table(plant.settings))
    with pytest.raises(DataError, match=r"the test part has \d+ rows with a label, and none that is fresh"):
        plant.train()


def test_an_embargo_shorter_than_the_horizon_is_refused(plant):
    split = plant.settings.split.model_copy(update={"embargo_days": 3})
    start = plant.store.read(examples_table(plant.settings)).agg(F.min("window_end")).head()[0]
    with pytest.raises(SettingsError, match="embargo of 3 days is shorter"):
        time_border(start, start + timedelta(days=100), split, 7)
