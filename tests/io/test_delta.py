"""Where tables lie, and what a second write does."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from turbine_health.io.delta import TableStore, Transaction
from turbine_health.settings import load_settings
from turbine_health.tables import CHANGED_HOURS


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
