"""Every question in sql/ is answered by Spark and by DuckDB alike, on rows that the store and the monitor wrote."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from builders import settings, source, utc
from deltalake import DeltaTable
from predictions import PLANT_SIGNALS, score_last_day_again, write_plant
from pyspark.sql import Row, SparkSession

from turbine_health.io.delta import TableStore
from turbine_health.io.sql_names import LAYERS, NamedTable, naming_statements, tables_of
from turbine_health.pipelines.monitor import monitor
from turbine_health.settings import StorageSettings

SQL = Path(__file__).resolve().parents[2] / "sql"
QUESTIONS = sorted(path.name for path in SQL.glob("*.sql"))
PORTABLE = [name for name in QUESTIONS if "\n-- Spark only" not in (SQL / name).read_text()]


@pytest.fixture(scope="module")
def answers(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[Row]]]:
    """Every question asked in Spark, by table name, of a plant after its champion changed and its monitor ran."""
    store = TableStore(spark, StorageSettings(root=str(tmp_path_factory.mktemp("lake"))))
    write_plant(store)
    score_last_day_again(store)
    drift = {"recent_days": 7, "min_reference_days": 20}
    monitor(store, settings(sources=[source(signals=PLANT_SIGNALS)], drift=drift), now=utc("2024-02-29 12:00"))
    for statement in naming_statements(tables_of(store.storage.root)):
        spark.sql(statement)
    yield {"root": store.storage.root} | {name: spark.sql((SQL / name).read_text()).collect() for name in QUESTIONS}
    for layer in LAYERS:
        spark.sql(f"DROP DATABASE {layer} CASCADE")


def test_there_are_at_least_ten_questions_and_each_starts_with_a_sentence() -> None:
    first_lines = {name: (SQL / name).read_text().splitlines()[0] for name in QUESTIONS}
    assert len(first_lines) >= 10
    assert [name for name, line in first_lines.items() if not (line.startswith("-- ") and line.endswith("?"))] == []


@pytest.mark.parametrize("question", QUESTIONS)
def test_spark_answers(answers: dict[str, list[Row]], question: str) -> None:
    assert answers[question], "the plant of this test was made so that every question has an answer"


@pytest.mark.parametrize("question", PORTABLE)
def test_duckdb_gives_the_same_answer(answers: dict[str, Any], question: str) -> None:
    rows = _duckdb(answers["root"]).execute((SQL / question).read_text()).fetchall()
    assert _comparable(rows) == _comparable([tuple(row) for row in answers[question]])


def test_the_turbine_to_look_at_is_the_one_that_alerts(answers: dict[str, list[Row]]) -> None:
    assert [(row.asset_id, row.days_left) for row in answers["turbines_to_look_at.sql"]] == [("T02", 5.0)]


@pytest.mark.parametrize(
    ("question", "grain"),
    [
        ("days_left.sql", ("asset_id",)),
        ("stale_turbines.sql", ("asset_id",)),
        ("changed_since_yesterday.sql", ("asset_id",)),
        ("why_it_alerts.sql", ("asset_id", "place")),
    ],
)
def test_a_promotion_brings_no_turbine_twice(answers: dict[str, list[Row]], question: str, grain: tuple[str, ...]) -> None:
    keys = [tuple(row[name] for name in grain) for row in answers[question]]
    assert len(keys) == len(set(keys))


def test_days_left_are_those_that_people_were_told_before_the_promotion(answers: dict[str, list[Row]]) -> None:
    told = {row.asset_id: row.days_left for row in answers["days_left.sql"]}
    assert told == {"T01": 40.0, "T02": 5.0, "T03": 40.0, "T04": 40.0, "T05": 40.0}


def test_turbines_gone_silent_are_named_as_stale(answers: dict[str, list[Row]]) -> None:
    assert [row.asset_id for row in answers["stale_turbines.sql"]] == ["T03", "T04"]


def test_sensors_to_check_start_with_the_shifted_one_and_name_the_frozen_one(answers: dict[str, list[Row]]) -> None:
    rows = [(row.asset_id, row.signal, row.status) for row in answers["sensors_to_check.sql"]]
    assert rows[0] == ("T02", "vibration_mm_s", "shifted")
    assert ("T05", "oil_temp_c", "frozen") in rows


def test_a_quote_in_a_folder_name_stays_a_part_of_the_name() -> None:
    statements = naming_statements([NamedTable("gold", "x", "/tmp/plant's lake/gold/x")])
    assert statements[-1].endswith(r"LOCATION '/tmp/plant\'s lake/gold/x'")


def _duckdb(root: str) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for table in tables_of(root):
        connection.register(f"rows_of_{table.layer}_{table.name}", DeltaTable(table.location).to_pyarrow_table())
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {table.layer}")
        connection.execute(f"CREATE VIEW {table.layer}.{table.name} AS SELECT * FROM rows_of_{table.layer}_{table.name}")
    return connection


def _comparable(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Times as UTC text: Spark hands out naive local times, DuckDB aware ones."""
    return [tuple(each.astimezone().isoformat() if isinstance(each, datetime) else each for each in row) for row in rows]
