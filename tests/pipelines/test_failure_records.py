"""Of which turbines nobody can know whether they failed."""

from __future__ import annotations

from builders import lives, readings, settings, source
from pyspark.sql import functions as F

from turbine_health.pipelines.failure_records import unrecorded_turbines
from turbine_health.tables import ASSET_LIVES, sensor_readings

SILENT = source("silent", failures={"kind": "none"})
PERIOD = ("2024-01-01", "2024-02-01")


def test_turbines_of_sources_without_failures_are_unrecorded_unless_another_source_or_a_life_says_otherwise(spark, store):
    assert unrecorded_turbines(store, settings(sources=[source()])) == ()
    table = sensor_readings(["active_power_kw", "bearing_temp_c"])
    for turbine, name in (("T01", "silent"), ("T02", "silent"), ("T02", "tests"), ("T03", "silent")):
        rows = readings(spark, turbine, "2024-01-01", active_power_kw=[1], bearing_temp_c=[1])
        store.append(rows.withColumn("_source", F.lit(name)), table)
    store.append(lives(spark, ("T01", *PERIOD), ("T02", *PERIOD), ("T03", *PERIOD, "gearbox")), ASSET_LIVES)
    assert unrecorded_turbines(store, settings(sources=[SILENT])) == ("T01", "T02")
    assert unrecorded_turbines(store, settings(sources=[SILENT, source()])) == ("T01",)
