"""Housekeeping keeps what registered models were trained on."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from builders import readings, settings
from delta.exceptions import ConcurrentDeleteReadException
from mlflow import MlflowClient
from pyspark.sql import functions as F

from turbine_health.errors import ConcurrentRunError
from turbine_health.io.conflicts import alone
from turbine_health.io.housekeeping import Housekeeping
from turbine_health.io.tracking import Tracker
from turbine_health.pipelines.maintain import care_of_table, maintain, trained_on
from turbine_health.tables import sensor_readings

TABLE = "silver.sensor_readings"
LATER = datetime.now(timezone.utc) + timedelta(days=100)


def test_small_files_are_merged_and_every_row_stays(spark, store):
    table = sensor_readings(["oil_temp_c"])
    for day in range(1, 5):
        store.append(readings(spark, "T07", f"2024-01-0{day}", oil_temp_c=[1, 2, 3]), table)
    keeper = Housekeeping(spark, store.storage.root)
    assert keeper.tables() == [TABLE]
    done = care_of_table(keeper, TABLE, {}, settings(), LATER)
    assert done.files_compacted >= 4
    assert done.retention_hours == 168
    assert store.read(table).agg(F.sum("oil_temp_c")).head()[0] == 24


def test_a_version_that_a_model_was_trained_on_outlives_the_retention(spark, store):
    table = sensor_readings(["oil_temp_c"])
    store.append(readings(spark, "T07", "2024-01-01", oil_temp_c=[1, 2, 3]), table)
    trained_on = store.version(table)
    store.overwrite(readings(spark, "T07", "2024-01-01", oil_temp_c=[4]), table)
    done = care_of_table(Housekeeping(spark, store.storage.root), TABLE, {TABLE: {trained_on}}, settings(), LATER)
    assert done.retention_hours >= 100 * 24
    assert store.read(table, trained_on).count() == 3


def log_retention(spark, store) -> str | None:
    detail = spark.sql(f"DESCRIBE DETAIL delta.`{store.path(sensor_readings(['oil_temp_c']))}`")
    return detail.head()["properties"].get("delta.logRetentionDuration")


def test_the_log_of_a_pinned_version_is_kept_long_before_delta_would_forget_it(spark, store):
    table = sensor_readings(["oil_temp_c"])
    store.append(readings(spark, "T07", "2024-01-01", oil_temp_c=[1, 2, 3]), table)
    keeper = Housekeeping(spark, store.storage.root)
    soon = datetime.now(timezone.utc) + timedelta(hours=1)
    care_of_table(keeper, TABLE, {}, settings(), soon)
    assert log_retention(spark, store) is None
    care_of_table(keeper, TABLE, {TABLE: {0}}, settings(), soon)
    assert log_retention(spark, store) == f"interval {168 + 24 * 365} hours"
    care_of_table(keeper, TABLE, {TABLE: {0}}, settings(), soon + timedelta(days=30))
    assert log_retention(spark, store) == f"interval {168 + 24 * 365} hours"
    history = spark.sql(f"DESCRIBE HISTORY delta.`{store.path(table)}`")
    assert history.where("operation = 'SET TBLPROPERTIES'").count() == 1


def test_a_pinned_version_that_is_gone_from_the_log_is_reported(spark, store, tmp_path, caplog):
    store.append(readings(spark, "T07", "2024-01-01", oil_temp_c=[1]), sensor_readings(["oil_temp_c"]))
    with caplog.at_level("WARNING", logger="turbine_health"):
        done = care_of_table(Housekeeping(spark, store.storage.root), TABLE, {TABLE: {77}}, settings(), LATER)
    assert done.lost_versions == (77,)
    assert "silver.sensor_readings: version 77, which a registered model was trained on, is gone from the log" in caplog.text


def test_a_table_can_have_a_retention_of_its_own(spark, store):
    store.append(readings(spark, "T07", "2024-01-01", oil_temp_c=[1]), sensor_readings(["oil_temp_c"]))
    longer = settings(maintenance={"table_retention_hours": {TABLE: 500}})
    assert care_of_table(Housekeeping(spark, store.storage.root), TABLE, {}, longer, LATER).retention_hours == 500


def test_what_registered_models_were_trained_on_is_found_in_the_registry(spark, store, tmp_path):
    used = settings(
        mlflow={"tracking_uri": f"sqlite:///{tmp_path}/mlflow.db", "artifact_location": str(tmp_path / "artifacts")}
    )
    tracker = Tracker(used.mlflow)
    assert trained_on(tracker, used) == {}
    client = MlflowClient(used.mlflow.tracking_uri, used.mlflow.tracking_uri)
    for model, version in ((used.mlflow.classifier_model, 1), (used.mlflow.regressor_model, 3), (None, 8)):
        with tracker.run("Tests", "one", {}) as run:
            run.log_table_input(TABLE, store.path(sensor_readings([])), version, "training")
        if model is not None:
            client.create_registered_model(model)
            client.create_model_version(model, str(tmp_path), tracker.runs("Tests")[0].run_id)
    assert trained_on(tracker, used) == {TABLE: {1, 3}}
    store.append(readings(spark, "T07", "2024-01-01", oil_temp_c=[1]), sensor_readings(["oil_temp_c"]))
    summary = str(maintain(Housekeeping(spark, store.storage.root), tracker, used, LATER))
    assert "kept longer: silver.sensor_readings 24" in summary
    assert summary.endswith("trained on, but gone from the log: silver.sensor_readings version 3")


def test_a_conflict_with_another_run_is_one_that_the_user_can_mend():
    with (
        pytest.raises(ConcurrentRunError, match=r"another run wrote silver\.sensor_readings at the same time"),
        alone(TABLE, "x"),
    ):
        raise ConcurrentDeleteReadException("files were deleted")
