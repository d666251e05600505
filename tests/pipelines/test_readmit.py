"""Quarantined rows are judged again after a description was mended."""

from __future__ import annotations

import pytest
from landing import Landing, steps
from pyspark.sql import functions as F

from turbine_health.io.delta import TableStore
from turbine_health.pipelines.readmit import readmit
from turbine_health.tables import CHANGED_HOURS, INGEST_RUNS


@pytest.fixture
def landing(store: TableStore, tmp_path) -> Landing:
    folder = tmp_path / "landing"
    folder.mkdir()
    return Landing(store, folder)


def test_what_passes_moves_and_what_fails_stays(landing):
    only_t07 = {"asset_id": {"column": "asset_id", "known": ["T07"]}}
    landing.source = only_t07
    landing.write("a.csv", *steps("T07", "2024-01-01", range(3)), *steps("T08", "2024-01-01", range(2)), "T08,n/a,8,60")
    landing.ingest()
    assert (landing.silver.count(), landing.quarantine.count()) == (3, 3)

    landing.source = {}
    assert str(readmit(landing.store, landing.settings)) == (
        "3 quarantined rows judged again: 2 moved to silver, 0 superseded by later ones, 1 stay"
    )
    assert landing.silver.where(F.col("asset_id") == "T08").count() == 2
    assert landing.codes() == [("T08,n/a,8,60", ["unreadable_time", "unknown_asset"])]
    assert landing.store.read(CHANGED_HOURS).where("run_id LIKE 'readmit%'").count() == 2
    sums = landing.store.read(INGEST_RUNS).agg(F.sum("rows_in"), F.sum("rows_to_silver"), F.sum("rows_to_quarantine")).head()
    assert tuple(sums) == (6, 5, 1)

    readmit(landing.store, landing.settings)
    assert (landing.silver.count(), landing.quarantine.count()) == (5, 1)


def test_a_row_that_would_pass_stays_when_a_later_one_has_its_key(landing):
    landing.source = {"asset_id": {"column": "asset_id", "known": ["T07"]}}
    landing.write("a.csv", "T08,2024-01-01 00:00:00,8,60", "T07,2024-01-01 00:00:00,8,60")
    landing.ingest()
    landing.source = {}
    landing.write("b.csv", "T08,2024-01-01 00:00:00,8,61")
    landing.ingest()
    assert readmit(landing.store, landing.settings).superseded == 1
    assert landing.codes() == [("T08,2024-01-01 00:00:00,8,60", ["superseded"])]
    assert landing.silver.where(F.col("asset_id") == "T08").head()["bearing_temp_c"] == 61
