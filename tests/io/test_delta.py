"""Where tables lie, and what a second write does."""

from __future__ import annotations

from pathlib import Path

import pytest
from predictions import risks
from pyspark.sql import SparkSession

from turbine_health.io.delta import TableStore, Transaction
from turbine_health.settings import load_settings
from turbine_health.tables import CHANGED_HOURS, FAILURE_PREDICTIONS


@pytest.fixture
def store_below_here(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TableStore:
    monkeypatch.chdir(tmp_path)
    return TableStore(spark, load_settings(overrides=["storage.root=data/lake"], environ={}).storage)


def test_a_lake_in_a_relative_folder_lies_below_the_working_directory(store_below_here: TableStore, tmp_path: Path) -> None:
    hours = store_below_here.spark.sql("SELECT 'T01' AS asset_id, TIMESTAMP '2024-01-01' AS hour_start, 'r1' AS run_id")
    store_below_here.append(hours, CHANGED_HOURS)
    assert (tmp_path / "data/lake/ops/changed_hours/_delta_log").is_dir()
    assert store_below_here.read(CHANGED_HOURS).count() == 1


def test_a_write_of_the_same_transaction_is_done_once(store: TableStore) -> None:
    hours = store.spark.sql("SELECT 'T01' AS asset_id, TIMESTAMP '2024-01-01' AS hour_start, 'r1' AS run_id")
    store.append(hours, CHANGED_HOURS, Transaction("test", 1))
    again = store.append(hours, CHANGED_HOURS, Transaction("test", 1))
    assert again.version is None
    assert store.read(CHANGED_HOURS).count() == 1


def test_the_same_rows_in_another_order_write_nothing_and_are_counted(store: TableStore) -> None:
    one = risks(store.spark, "T01", "2024-01-01", [0.1, None])
    assert store.overwrite_if_changed(one, FAILURE_PREDICTIONS).rows == 2
    again = store.overwrite_if_changed(one.orderBy("window_end", ascending=False), FAILURE_PREDICTIONS)
    assert (again.version, again.rows) == (None, 2)


def test_a_value_that_moves_to_an_empty_neighbour_is_a_change(store: TableStore) -> None:
    coverage = risks(store.spark, "T01", "2024-01-01", [0.1], coverage=0.5, data_age_hours=None)
    age = risks(store.spark, "T01", "2024-01-01", [0.1], coverage=None, data_age_hours=0.5)
    store.overwrite_if_changed(coverage, FAILURE_PREDICTIONS)
    assert store.overwrite_if_changed(age, FAILURE_PREDICTIONS).version is not None


def test_a_table_that_loses_all_rows_is_changed(store: TableStore) -> None:
    store.overwrite_if_changed(risks(store.spark, "T01", "2024-01-01", [0.1]), FAILURE_PREDICTIONS)
    result = store.overwrite_if_changed(store.empty(FAILURE_PREDICTIONS), FAILURE_PREDICTIONS)
    assert (result.version is None, result.rows) == (False, 0)
