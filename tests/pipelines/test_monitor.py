"""The monitor on a small plant: what it finds, and that the way there does not matter."""

from __future__ import annotations

from datetime import timedelta

import pytest
from builders import settings, source, utc
from predictions import PLANT_SIGNALS, write_plant
from pyspark.sql import SparkSession

from turbine_health.errors import TableError
from turbine_health.io.delta import TableStore
from turbine_health.monitor_tables import (
    ALERT_EPISODES,
    FEATURE_DRIFT,
    FLEET_STATUS,
    MAINTENANCE_WORKLIST,
    MONITOR_TABLES,
    PREDICTION_OUTCOMES,
    RECOMMENDATIONS,
    UNWARNED_FAILURES,
)
from turbine_health.pipelines.monitor import MonitorSummary, monitor
from turbine_health.settings import StorageSettings
from turbine_health.tables import Table, schema_differences

SETTINGS = settings(sources=[source(signals=PLANT_SIGNALS)], drift={"recent_days": 7, "min_reference_days": 20})
NOW = utc("2024-02-29 12:00")


@pytest.fixture(scope="module")
def plant(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> TableStore:
    store = TableStore(spark, StorageSettings(root=str(tmp_path_factory.mktemp("lake"))))
    write_plant(store)
    return store


@pytest.fixture(scope="module")
def summary(plant: TableStore) -> MonitorSummary:
    return monitor(plant, SETTINGS, now=NOW)


@pytest.mark.usefixtures("summary")
def test_episodes_of_the_plant(plant: TableStore) -> None:
    rows = plant.read(ALERT_EPISODES).orderBy("opened_at").collect()
    assert [(row.asset_id, row.status, row.lead_time_days) for row in rows] == [("T01", "failed", 6.0), ("T02", "open", None)]


@pytest.mark.usefixtures("summary")
def test_the_failure_nobody_saw_coming_is_reported(plant: TableStore) -> None:
    (row,) = plant.read(UNWARNED_FAILURES).collect()
    assert (row.asset_id, row.failure_mode, row.highest_probability) == ("T04", "generator", 0.15)


@pytest.mark.usefixtures("summary")
def test_no_outcome_comes_before_its_horizon_has_passed(plant: TableStore) -> None:
    newest = plant.read(PREDICTION_OUTCOMES).agg({"window_end": "max"}).head()[0]
    assert newest == (utc("2024-02-29") - timedelta(days=7)).replace(tzinfo=None)


@pytest.mark.usefixtures("summary")
def test_drift_names_the_shifted_and_the_frozen_sensor_and_nothing_else_that_reads(plant: TableStore) -> None:
    moved = plant.read(FEATURE_DRIFT).where("status NOT IN ('steady', 'vanished')").collect()
    assert {(row.asset_id, row.signal, row.status) for row in moved} == {
        ("T02", "vibration_mm_s", "shifted"),
        ("T05", "oil_temp_c", "frozen"),
    }


@pytest.mark.usefixtures("summary")
def test_a_rise_of_the_whole_fleet_is_no_drift_of_a_turbine(plant: TableStore) -> None:
    # The weather of the plant warms by half a degree a day; only the turbine with the frozen sensor stays behind.
    oil = plant.read(FEATURE_DRIFT).where("signal = 'oil_temp_c' AND asset_id IN ('T01', 'T02')").collect()
    assert {row.status for row in oil} == {"steady"}
    assert all(row.drift_score < 2 for row in oil)


@pytest.mark.usefixtures("summary")
def test_the_worklist_ranks_the_visit_that_saves_most_first_and_the_unknown_last(plant: TableStore) -> None:
    rows = plant.read(MAINTENANCE_WORKLIST).orderBy("rank").collect()
    assert [(row.rank, row.asset_id, row.action) for row in rows] == [
        (1, "T02", "visit"), (2, "T01", "watch"), (3, "T05", "none"), (4, "T03", "restore_data"), (5, "T04", "down"),
    ]  # fmt: skip
    assert rows[0].why == "bearing temperature 9 °C above its normal 62 °C, mean of 1 day"


@pytest.mark.usefixtures("summary")
def test_the_fleet_in_one_row(plant: TableStore) -> None:
    (row,) = plant.read(FLEET_STATUS).collect()
    assert (row.turbines, row.scored, row.alerting, row.open_episodes, row.without_fresh_data) == (5, 3, 1, 1, 2)
    assert (row.failures_last_30_days, row.warned_last_30_days) == (2, 1)
    assert row.expected_failures == pytest.approx(0.95)


@pytest.mark.usefixtures("summary")
def test_recommendations_name_sensor_and_turbine(plant: TableStore) -> None:
    rows = plant.read(RECOMMENDATIONS).collect()
    assert ("check_sensor", "T05 oil_temp_c") in {(row.kind, row.subject) for row in rows}
    assert ("check_data", "T03") in {(row.kind, row.subject) for row in rows}


def test_a_second_run_writes_no_table(plant: TableStore, summary: MonitorSummary) -> None:
    assert len(summary.changed) == len(MONITOR_TABLES)
    assert monitor(plant, SETTINGS, now=NOW).changed == ()


def test_many_runs_end_in_the_same_tables_as_one(plant: TableStore, summary: MonitorSummary, store: TableStore) -> None:
    write_plant(store)
    for days_ago in (26, 19, 18, 3, 0):
        monitor(store, SETTINGS, now=NOW - timedelta(days=days_ago))
    for table in MONITOR_TABLES:
        assert _rows(store, table) == _rows(plant, table), table.identifier


def test_without_predictions_it_says_which_job_to_run(store: TableStore) -> None:
    with pytest.raises(TableError, match=r"gold\.failure_predictions is not there yet"):
        monitor(store, SETTINGS, now=NOW)


@pytest.mark.usefixtures("summary")
@pytest.mark.parametrize("table", MONITOR_TABLES, ids=lambda table: table.name)
def test_keys_are_unique(plant: TableStore, table: Table) -> None:
    rows = plant.read(table)
    assert rows.groupBy(*table.keys).count().where("count > 1").isEmpty()
    assert schema_differences(rows.schema, table.schema) == []


def _rows(store: TableStore, table: Table) -> list[str]:
    return sorted(map(str, store.read(table).collect()))
