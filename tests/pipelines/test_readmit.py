"""Quarantined rows are judged again after a description was mended."""

from __future__ import annotations

import pytest
from landing import Landing, steps
from pyspark.sql import functions as F

from turbine_health.errors import TableError
from turbine_health.io.delta import TableStore
from turbine_health.pipelines import ingest_batch
from turbine_health.pipelines import readmit as readmit_module
from turbine_health.pipelines.readmit import readmit
from turbine_health.tables import CHANGED_HOURS, INGEST_RUNS

ONLY_T07 = {"asset_id": {"column": "asset_id", "known": ["T07"]}}


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


def temperature(landing: Landing, asset_id: str) -> float:
    (row,) = landing.silver.where(F.col("asset_id") == asset_id).collect()
    return row["bearing_temp_c"]


def sums(landing: Landing) -> tuple[int, ...]:
    """Rows in, to silver, to quarantine and superseded, over all runs."""
    names = ("rows_in", "rows_to_silver", "rows_to_quarantine", "rows_superseded")
    return tuple(landing.store.read(INGEST_RUNS).agg(*[F.sum(name) for name in names]).head())


def broken(*_: object) -> None:
    raise TableError("the power went out")


def test_of_two_rows_of_one_file_the_one_further_down_stays(landing):
    landing.write("a.csv", "T07,2024-01-01 00:00:00,8,60", "T07,2024-01-01 00:00:00,8,61")
    landing.source = {"time": {"timestamp": {"column": "event_time", "format": "yyyy-MM-dd HH:mm:ss", "time_zone": "UTC"}}}
    landing.write("b.csv", "T08,2024-01-01 00:00,8,60", "T08,2024-01-01 00:00:00,8,61")
    landing.ingest()
    landing.source = {}
    assert str(readmit(landing.store, landing.settings)) == (
        "1 quarantined rows judged again: 0 moved to silver, 1 superseded by later ones, 0 stay"
    )
    assert temperature(landing, "T08") == 61
    assert landing.codes() == [("T07,2024-01-01 00:00:00,8,60", ["superseded"]), ("T08,2024-01-01 00:00,8,60", ["superseded"])]
    assert sums(landing) == (4, 2, 0, 2)


def test_of_two_files_of_one_batch_the_one_written_later_stays(landing):
    landing.source = {"time": {"timestamp": {"column": "event_time", "format": "yyyy-MM-dd HH:mm:ss", "time_zone": "UTC"}}}
    landing.write("z.csv", "T07,2024-01-01 00:00,8,60", "T08,2024-01-01 00:00:00,8,60")
    landing.write("a.csv", "T07,2024-01-01 00:00:00,8,61", "T08,2024-01-01 00:00,8,61")
    landing.ingest()
    landing.source = {}
    summary = readmit(landing.store, landing.settings)
    assert (summary.moved, summary.superseded) == (1, 1)
    assert (temperature(landing, "T07"), temperature(landing, "T08")) == (61, 61)
    # What silver held of T08 is replaced, and in the account.
    assert landing.codes() == [("T07,2024-01-01 00:00,8,60", ["superseded"]), ("T08,2024-01-01 00:00:00,8,60", ["superseded"])]
    assert sums(landing) == (4, 3, 0, 2)


def test_a_readmission_that_broke_off_again_and_again_goes_on_with_the_same_result_and_account(landing, monkeypatch):
    landing.source = ONLY_T07
    lines = ["T08,2024-01-01 00:00:00,8,61", "T08,2024-01-01 01:00:00,8,61", "T08,n/a,8,60", "T09,2024-01-01 00:00:00,8,60"]
    landing.write("a.csv", *steps("T07", "2024-01-01", range(3)), *lines)
    landing.ingest()
    landing.source = {}
    landing.write("b.csv", "T09,2024-01-01 00:00:00,8,61")
    landing.ingest()
    for where, step in (
        (readmit_module, "write_silver"), (readmit_module, "write_changed_hours"), (readmit_module, "_record"),
        (TableStore, "delete"),
    ):  # fmt: skip
        with monkeypatch.context() as patched:
            patched.setattr(where, step, broken)
            with pytest.raises(TableError, match="the power went out"):
                readmit(landing.store, landing.settings)
    readmit(landing.store, landing.settings)
    assert landing.silver.groupBy("asset_id").count().orderBy("asset_id").collect() == [("T07", 3), ("T08", 2), ("T09", 1)]
    assert temperature(landing, "T09") == 61
    # What fails again stays as it was, with the reasons of its own time.
    assert landing.codes() == [
        ("T08,n/a,8,60", ["unreadable_time", "unknown_asset"]), ("T09,2024-01-01 00:00:00,8,60", ["superseded"]),
    ]  # fmt: skip
    assert sums(landing) == (8, 6, 1, 1)
    hours = landing.store.read(CHANGED_HOURS).where("run_id LIKE 'readmit%' AND asset_id = 'T08'")
    assert hours.select("hour_start").distinct().count() == 2


def test_a_batch_that_broke_off_balances_though_its_rows_were_written_again_since(landing, monkeypatch):
    landing.source = ONLY_T07
    landing.write("a.csv", *steps("T07", "2024-01-01", range(3)), "T08,2024-01-01 00:50:00,8,60")
    landing.ingest()
    landing.source = {}
    landing.write("b.csv", "T08,2024-01-01 01:00:00,8,60", "T08,n/a,8,60")
    with monkeypatch.context() as patched:
        patched.setattr(ingest_batch, "write_changed_hours", broken)
        with pytest.raises(TableError, match="the power went out"):
            landing.ingest()
    # The reading at 01:00 is no longer the first of its turbine, so its flags are written again.
    assert readmit(landing.store, landing.settings).moved == 1
    landing.ingest()
    assert sums(landing) == (6, 5, 1, 0)
    assert landing.codes() == [("T08,n/a,8,60", ["unreadable_time"])]


@pytest.mark.parametrize("is_finished", [True, False])
def test_rows_that_a_batch_has_written_again_are_accounted_for_once(landing, monkeypatch, is_finished):
    landing.source = ONLY_T07
    landing.write("a.csv", *steps("T07", "2024-01-01", range(3)), "T08,2024-01-01 01:00:00,8,60")
    landing.ingest()
    landing.source = {}
    with monkeypatch.context() as patched:
        patched.setattr(readmit_module, "write_changed_hours", broken)
        with pytest.raises(TableError, match="the power went out"):
            readmit(landing.store, landing.settings)
    # The reading at 01:00 is no longer the first of its turbine, so its flags are written again.
    landing.write("b.csv", "T08,2024-01-01 00:50:00,8,60")
    if is_finished:
        landing.ingest()
    else:
        with monkeypatch.context() as patched:
            patched.setattr(ingest_batch, "write_changed_hours", broken)
            with pytest.raises(TableError, match="the power went out"):
                landing.ingest()
    readmit(landing.store, landing.settings)
    landing.ingest()
    assert sums(landing) == (5, 5, 0, 0)
    runs = landing.store.read(INGEST_RUNS).groupBy("run_id").count()
    assert {row["count"] for row in runs.collect()} == {1}
    hours = landing.store.read(CHANGED_HOURS).where("asset_id = 'T08'").select("hour_start").distinct()
    assert hours.count() == 2


def test_rows_of_a_batch_that_broke_off_wait_until_ingest_has_repeated_it(landing, monkeypatch):
    landing.source = ONLY_T07
    landing.write("a.csv", *steps("T07", "2024-01-01", range(3)), "T08,2024-01-01 00:50:00,8,60")
    with monkeypatch.context() as patched:
        patched.setattr(ingest_batch, "write_changed_hours", broken)
        with pytest.raises(TableError, match="the power went out"):
            landing.ingest()
    assert readmit(landing.store, Landing(landing.store, landing.folder).settings).judged == 0
    landing.ingest()
    landing.source = {}
    assert readmit(landing.store, landing.settings).moved == 1
    assert sums(landing) == (4, 4, 0, 0)
