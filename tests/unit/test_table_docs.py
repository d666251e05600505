"""The table catalog keeps its promises on paper."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from turbine_health.feature_tables import FEATURE_RUNS
from turbine_health.monitor_tables import MONITOR_TABLES
from turbine_health.tables import FAILURE_PREDICTIONS, FIXED_TABLES, TIME_TO_FAILURE_PREDICTIONS, Table

REPOSITORY = Path(__file__).resolve().parents[2]
TABLES = [*FIXED_TABLES, FEATURE_RUNS, *MONITOR_TABLES]
PROVENANCE = {
    "asset_id", "window_end", "scored_at", "quality_status", "model_name", "model_version", "model_role", "run_id",
    "features_version",
}  # fmt: skip


def test_the_document_is_what_the_catalog_says() -> None:
    command = [sys.executable, "bin/document_tables.py"]
    made = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    assert (REPOSITORY / "docs" / "tables.md").read_text() == made, f"run: {' '.join(command[1:])} > docs/tables.md"


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.identifier)
def test_every_column_says_what_it_is(table: Table) -> None:
    assert [field.name for field in table.schema if not field.metadata.get("comment")] == []


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.identifier)
def test_a_key_is_never_null(table: Table) -> None:
    assert [name for name in table.keys if table.schema[name].nullable] == []


@pytest.mark.parametrize("table", [FAILURE_PREDICTIONS, TIME_TO_FAILURE_PREDICTIONS], ids=lambda table: table.name)
def test_the_provenance_of_a_prediction_is_never_null(table: Table) -> None:
    assert {field.name for field in table.schema if not field.nullable} >= PROVENANCE
