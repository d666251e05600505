"""Scoring with other versions than the champions, going on as features arrive, and what a changed champion leaves."""

from __future__ import annotations

from datetime import timedelta, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest
from degrading_fleet import examples_table, fleet_examples, fleet_settings, fleet_windows, windows_table
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from turbine_health.errors import TrackingError
from turbine_health.io.delta import TableStore
from turbine_health.io.tracking import CHAMPION, RegisteredVersion, Tracker
from turbine_health.pipelines.predict import WhatIf, predict
from turbine_health.pipelines.predict_continuously import predict_continuously
from turbine_health.pipelines.train import train
from turbine_health.settings import Settings, StorageSettings
from turbine_health.tables import FAILURE_PREDICTIONS, TIME_TO_FAILURE_PREDICTIONS, Table


class Plant:
    """A lake with windows of a small fleet, and a model store with two versions of each head; the first is champion."""

    def __init__(self, spark: SparkSession, folder: Path) -> None:
        mlflow = {"tracking_uri": f"sqlite:///{folder}/mlflow.db", "artifact_location": f"{folder}/artifacts"}
        self.settings: Settings = fleet_settings(mlflow=mlflow)
        self.store = TableStore(spark, StorageSettings(root=f"{folder}/lake", reports=f"{folder}/reports"))
        self.tracker = Tracker(self.settings.mlflow)
        self.store.append(fleet_examples(spark, self.settings), examples_table(self.settings))
        self.windows = fleet_windows(spark, self.settings).cache()
        self.last = self.windows.agg(F.max("window_end")).head()[0]
        self.store.append(self.windows.where(F.col("window_end") < F.lit(self.last)), windows_table(self.settings))
        self.first = train(self.store, self.tracker, self.settings).classifier
        other = fleet_settings(mlflow=mlflow, model={"seed": 7})
        self.second = train(self.store, self.tracker, other).classifier
        self.tracker.set_alias(self.first, CHAMPION)

    def rows(self, table: Table = FAILURE_PREDICTIONS) -> list[Row]:
        return self.store.read(table).drop("scored_at", "features_version").orderBy(*table.keys).collect()

    def promote(self, version: RegisteredVersion) -> None:
        self.tracker.set_alias(version, CHAMPION)


@pytest.fixture(scope="module")
def plant(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Plant:
    plant = Plant(spark, tmp_path_factory.mktemp("plant"))
    predict(plant.store, plant.tracker, plant.settings)
    return plant


def test_a_what_if_score_stands_beside_the_champions_row_and_leaves_it_alone(plant: Plant) -> None:
    served, days_left = plant.rows(), plant.rows(TIME_TO_FAILURE_PREDICTIONS)
    predict(plant.store, plant.tracker, plant.settings, what_if=WhatIf(classifier_version=plant.second.version))
    rows = plant.rows()
    assert [row for row in rows if row.model_role == "champion"] == served
    assert {(row.model_version, row.model_role) for row in rows} == {
        (plant.first.version, "champion"), (plant.second.version, "what_if"),
    }  # fmt: skip
    assert plant.rows(TIME_TO_FAILURE_PREDICTIONS) == days_left, "a head that was not asked writes nothing"


def test_asking_the_champion_what_if_changes_nothing(plant: Plant) -> None:
    before = plant.rows()
    predict(plant.store, plant.tracker, plant.settings, what_if=WhatIf(classifier_version=plant.first.version))
    assert plant.rows() == before


def test_a_version_that_is_not_there_is_refused(plant: Plant) -> None:
    with pytest.raises(TrackingError):
        predict(plant.store, plant.tracker, plant.settings, what_if=WhatIf(classifier_version="99"))


def test_a_what_if_row_becomes_the_champions_when_its_version_is_promoted(plant: Plant) -> None:
    predict(plant.store, plant.tracker, plant.settings, what_if=WhatIf(classifier_version=plant.second.version))
    plant.promote(plant.second)
    predict(plant.store, plant.tracker, plant.settings)
    plant.promote(plant.first)
    assert {(row.model_version, row.model_role) for row in plant.rows()} == {
        (plant.first.version, "champion"), (plant.second.version, "champion"),
    }  # fmt: skip


def test_a_new_classifier_leaves_the_days_that_agree_with_the_old_ones_alerts(plant: Plant) -> None:
    predict(plant.store, plant.tracker, plant.settings)
    before = [row for row in plant.rows(TIME_TO_FAILURE_PREDICTIONS) if row.classifier_version == plant.first.version]
    plant.promote(plant.second)
    predict(plant.store, plant.tracker, plant.settings)
    plant.promote(plant.first)
    rows = plant.rows(TIME_TO_FAILURE_PREDICTIONS)
    assert [row for row in rows if row.classifier_version == plant.first.version] == before
    assert {row.classifier_version for row in rows} == {plant.first.version, plant.second.version}


def test_the_days_of_a_row_agree_with_the_alert_of_the_classifier_that_it_names(plant: Plant) -> None:
    alerts = {(row.asset_id, row.window_end, row.model_version): row for row in plant.rows()}
    days = [row for row in plant.rows(TIME_TO_FAILURE_PREDICTIONS) if row.predicted_time_to_failure_days is not None]
    assert days
    for row in days:
        alert = alerts[row.asset_id, row.window_end, row.classifier_version]
        assert (row.predicted_time_to_failure_days <= alert.horizon_days) == alert.is_alert


def test_the_reasons_of_a_row_add_up_to_its_raw_score(plant: Plant) -> None:
    scored = [row for row in plant.rows() if row.raw_score is not None]
    assert scored
    for row in scored:
        total = row.base_score + row.other_contribution + sum(reason.contribution for reason in row.reasons)
        assert total == pytest.approx(row.raw_score, abs=1e-6)
        assert all(reason.feature and reason.words for reason in row.reasons)


def test_going_on_leaves_the_rows_of_one_run_over_the_same_windows(plant: Plant, store: TableStore) -> None:
    table = windows_table(plant.settings)
    start = plant.store.read(table).agg(F.date_sub(F.max("window_end"), 2).cast("timestamp")).head()[0]
    store.append(plant.store.read(table), table)
    predict_continuously(store, plant.tracker, plant.settings, start, pause_seconds=0, passes=1)
    store.append(plant.windows.where(F.col("window_end") == F.lit(plant.last)), table)
    predict_continuously(store, plant.tracker, plant.settings, start, pause_seconds=0, passes=2)
    going_on = _rows(store)
    once = TableStore(store.spark, StorageSettings(root=store.storage.root + "-once"))
    once.append(plant.windows, table)
    predict(once, plant.tracker, plant.settings, start)
    assert going_on == _rows(once)


def test_a_pass_scores_only_what_is_new_and_a_turbine_that_fell_silent_has_its_row(
    plant: Plant, store: TableStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = windows_table(plant.settings)
    newest, start = F.lit(plant.last), plant.last.replace(tzinfo=timezone.utc) - timedelta(days=6)
    is_silent = (F.col("asset_id") == "T03") & (F.col("window_end") >= F.lit(start))
    windows = plant.windows.where(~is_silent)
    store.append(windows.where(F.col("window_end") < newest), table)
    arriving = windows.where(F.col("window_end") == newest)
    pause = SimpleNamespace(sleep=lambda seconds: store.append(arriving, table))
    monkeypatch.setattr("turbine_health.pipelines.predict_continuously.time", pause)
    summary = predict_continuously(store, plant.tracker, plant.settings, start, pause_seconds=0, passes=2)
    silent_ends = 6  # a reading of the day before is not stale yet
    assert summary.rows == arriving.count() + silent_ends
    going_on = _rows(store)
    once = TableStore(store.spark, StorageSettings(root=store.storage.root + "-once"))
    once.append(windows, table)
    predict(once, plant.tracker, plant.settings, start)
    assert going_on == _rows(once)
    assert [row.quality_status for row in going_on if row.asset_id == "T03"] == ["stale"] * silent_ends


def _rows(store: TableStore) -> list[Row]:
    table = FAILURE_PREDICTIONS
    return store.read(table).drop("scored_at", "features_version").orderBy(*table.keys).collect()
