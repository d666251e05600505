"""Where tables lie, and what a second write does."""

from __future__ import annotations

import shutil
from pathlib import Path
from threading import Timer

import pyarrow.parquet as pq
import pytest
from predictions import risks
from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

from turbine_health.io.delta import TableStore, Transaction
from turbine_health.settings import load_settings
from turbine_health.tables import CHANGED_HOURS, FAILURE_PREDICTIONS, window_features


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


def test_of_several_tables_only_those_that_changed_get_a_version(store: TableStore) -> None:
    risk = risks(store.spark, "T01", "2024-01-01", [0.1, None])
    hours = store.spark.sql("SELECT 'T01' AS asset_id, TIMESTAMP '2024-01-01' AS hour_start, 'r1' AS run_id")
    first = store.overwrite_those_changed((risk, FAILURE_PREDICTIONS), (hours, CHANGED_HOURS))
    assert [(result.version is None, result.rows) for result in first] == [(False, 2), (False, 1)]
    again = store.overwrite_those_changed((risk, FAILURE_PREDICTIONS), (hours.union(hours), CHANGED_HOURS))
    assert [(result.version is None, result.rows) for result in again] == [(True, 2), (False, 2)]
    assert store.read(CHANGED_HOURS).count() == 2


def test_features_are_written_without_a_dictionary_and_turbines_with_one(store: TableStore) -> None:
    feature = "rotor_speed_rpm__mean_24h"
    windows = store.spark.range(1_000).selectExpr(
        "'T01' AS asset_id", "timestamp_seconds(id * 3600) AS window_end", "1.0D AS coverage", "0.0D AS data_age_hours",
        f"1 / (id + 1D) AS {feature}",
    )  # fmt: skip
    table = window_features([feature])
    store.append(windows, table)
    store.merge(windows.withColumn(feature, windows[feature] + 1), table)
    files = list(Path(store.path(table)).glob("*.parquet"))
    assert len(files) > 1
    for file in files:
        columns = {column.path_in_schema: column for column in _columns(file)}
        assert columns["asset_id"].has_dictionary_page
        assert not columns[feature].has_dictionary_page


def test_a_value_that_moves_to_an_empty_neighbour_is_a_change(store: TableStore) -> None:
    coverage = risks(store.spark, "T01", "2024-01-01", [0.1], coverage=0.5, data_age_hours=None)
    age = risks(store.spark, "T01", "2024-01-01", [0.1], coverage=None, data_age_hours=0.5)
    store.overwrite_if_changed(coverage, FAILURE_PREDICTIONS)
    assert store.overwrite_if_changed(age, FAILURE_PREDICTIONS).version is not None


def test_a_table_that_loses_all_rows_is_changed(store: TableStore) -> None:
    store.overwrite_if_changed(risks(store.spark, "T01", "2024-01-01", [0.1]), FAILURE_PREDICTIONS)
    result = store.overwrite_if_changed(store.empty(FAILURE_PREDICTIONS), FAILURE_PREDICTIONS)
    assert (result.version is None, result.rows) == (False, 0)


def test_a_table_that_another_run_is_just_making_is_waited_for(store: TableStore) -> None:
    rival = TableStore(store.spark, store.storage.model_copy(update={"root": f"{store.storage.root}-rival"}))
    rival.create(CHANGED_HOURS)
    begun = Path(store.path(CHANGED_HOURS)) / "_delta_log"
    begun.mkdir(parents=True)

    def commit() -> None:
        shutil.copy(Path(rival.path(CHANGED_HOURS)) / "_delta_log" / f"{0:020}.json", begun)

    late = Timer(2, commit)
    late.start()
    store.create(CHANGED_HOURS)
    late.join()
    assert store.version(CHANGED_HOURS) == 0


def test_a_folder_of_foreign_files_is_no_table(store: TableStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("turbine_health.io.delta.CREATE_PAUSE_SECONDS", 0)
    folder = Path(store.path(CHANGED_HOURS))
    folder.mkdir(parents=True)
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(AnalysisException, match="is not a Delta table"):
        store.create(CHANGED_HOURS)


def _columns(file: Path) -> list[pq.ColumnChunkMetaData]:
    group = pq.ParquetFile(file).metadata.row_group(0)
    return [group.column(number) for number in range(group.num_columns)]
