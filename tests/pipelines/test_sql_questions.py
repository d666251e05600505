"""Every question in sql/ is answered by Spark and by DuckDB alike, on rows that the store wrote."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from builders import frame, utc
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from turbine_health.io.delta import TableStore
from turbine_health.io.sql_names import NamedTable, naming_statements, tables_of
from turbine_health.settings import StorageSettings
from turbine_health.tables import FAILURE_PREDICTIONS, TIME_TO_FAILURE_PREDICTIONS

SQL = Path(__file__).resolve().parents[2] / "sql"
QUESTIONS = sorted(path.name for path in SQL.glob("*.sql"))
NOW = utc("2024-03-02")
PROVENANCE = {
    "scored_at": NOW,
    "data_age_hours": 0.2,
    "coverage": 1.0,
    "quality_status": "ok",
    "model_version": "3",
    "model_role": "champion",
    "run_id": "abc",
    "features_version": 5,
}


@pytest.fixture(scope="module")
def lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> TableStore:
    """Three turbines over two days: T01 climbs into an alert, T02 is fine, T03 has gone silent."""
    store = TableStore(spark, StorageSettings(root=str(tmp_path_factory.mktemp("lake"))))
    risks = {"T01": [0.1, 0.7], "T02": [0.1, 0.1], "T03": [0.2, None]}
    days_left = {"T01": [30, 4], "T02": [60, 60], "T03": [50, None]}
    store.append(
        frame(spark, [_risk(asset, day, p) for asset in risks for day, p in enumerate(risks[asset])], FAILURE_PREDICTIONS),
        FAILURE_PREDICTIONS,
    )
    lives = [_days_left(asset, day, days) for asset in days_left for day, days in enumerate(days_left[asset])]
    store.append(frame(spark, lives, TIME_TO_FAILURE_PREDICTIONS), TIME_TO_FAILURE_PREDICTIONS)
    for statement in naming_statements(tables_of(store.storage.root)):
        spark.sql(statement)
    yield store
    for database in ("gold", "silver", "bronze", "quarantine", "ops"):
        spark.sql(f"DROP DATABASE {database} CASCADE")


def test_every_question_starts_with_a_sentence() -> None:
    first_lines = [(SQL / name).read_text().splitlines()[0] for name in QUESTIONS]
    assert [line for line in first_lines if not (line.startswith("-- ") and line.endswith("?"))] == []


@pytest.mark.parametrize("question", QUESTIONS)
def test_spark_and_duckdb_give_the_same_answer(spark: SparkSession, lake: TableStore, question: str) -> None:
    text = (SQL / question).read_text()
    answer = [tuple(row) for row in spark.sql(text).collect()]
    assert answer, "the lake of this test was made so that every question has an answer"
    assert _comparable(answer) == _comparable(_duckdb(lake).execute(text).fetchall())


def test_the_turbine_to_look_at_is_the_one_that_alerts(spark: SparkSession, lake: TableStore) -> None:
    rows = spark.sql((SQL / "turbines_to_look_at.sql").read_text()).collect()
    assert [(row.asset_id, row.failure_probability, row.days_left) for row in rows] == [("T01", 0.7, 4.0)]


def test_a_turbine_gone_silent_is_named_as_stale(spark: SparkSession, lake: TableStore) -> None:
    rows = spark.sql((SQL / "stale_turbines.sql").read_text()).collect()
    assert [(row.asset_id, row.quality_status) for row in rows] == [("T03", "stale")]


def test_a_new_alert_is_a_change_since_yesterday(spark: SparkSession, lake: TableStore) -> None:
    rows = spark.sql((SQL / "changed_since_yesterday.sql").read_text()).collect()
    assert (rows[0].asset_id, rows[0].what_happened, rows[0].change) == ("T01", "new alert", 0.6)


def test_a_quote_in_a_folder_name_stays_a_part_of_the_name() -> None:
    statements = naming_statements([NamedTable("gold", "x", "/tmp/plant's lake/gold/x")])
    assert statements[-1].endswith(r"LOCATION '/tmp/plant\'s lake/gold/x'")


def _risk(asset_id: str, day: int, probability: float | None) -> dict[str, Any]:
    known = probability is not None
    return {
        **PROVENANCE,
        "asset_id": asset_id,
        "window_end": NOW - timedelta(days=1 - day),
        "horizon_days": 7,
        "failure_probability": probability,
        "raw_score": probability,
        "alert_threshold": 0.4,
        "is_alert": probability >= 0.4 if known else None,
        "model_name": "Model_A_Production",
        "quality_status": "ok" if known else "stale",
        "data_age_hours": 0.2 if known else 30,
    }


def _days_left(asset_id: str, day: int, days: float | None) -> dict[str, Any]:
    window_end = NOW - timedelta(days=1 - day)
    return {
        **PROVENANCE,
        "asset_id": asset_id,
        "window_end": window_end,
        "predicted_time_to_failure_days": days,
        "lower_days": days / 2 if days else None,
        "upper_days": days * 2 if days else None,
        "raw_time_to_failure_days": days,
        "predicted_failure_date": window_end + timedelta(days=days) if days else None,
        "model_name": "Model_B_Production",
    }


def _duckdb(lake: TableStore) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for table in tables_of(lake.storage.root):
        rows = DeltaTable(table.location).to_pyarrow_table()
        connection.register(f"rows_of_{table.name}", rows)
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {table.layer}")
        connection.execute(f"CREATE VIEW {table.layer}.{table.name} AS SELECT * FROM rows_of_{table.name}")
    return connection


def _comparable(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Times as UTC text: Spark hands out naive local times, DuckDB aware ones."""
    return [tuple(value.astimezone().isoformat() if hasattr(value, "astimezone") else value for value in row) for row in rows]
