"""Housekeeping keeps what registered models were trained on."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from builders import readings, settings
from pyspark.sql import functions as F

from turbine_health.io.housekeeping import Housekeeping
from turbine_health.pipelines.maintain import care_of_table
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
