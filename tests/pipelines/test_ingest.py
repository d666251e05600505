"""Every row ever received is in silver or in quarantine, exactly once."""

from __future__ import annotations

import gzip
import os
from types import SimpleNamespace

import pytest
from landing import HEADER, Landing, steps
from pyspark.sql import functions as F

from turbine_health.errors import SourceError, TableError
from turbine_health.io.delta import TableStore
from turbine_health.pipelines import ingest_batch
from turbine_health.pipelines.ingest import ingest_continuously
from turbine_health.tables import ASSET_EVENTS, ASSET_LIVES, CHANGED_HOURS, INGEST_RUNS, QUARANTINED_EVENTS, sensor_readings


@pytest.fixture
def landing(store: TableStore, tmp_path) -> Landing:
    folder = tmp_path / "landing"
    folder.mkdir()
    return Landing(store, folder)


def test_each_row_is_where_it_belongs_and_a_second_run_writes_nothing(landing):
    landing.write(
        "a b[1].csv", "T07,2024-01-01 00:00:00,8,60", "T07,2024-01-01 00:10:00,8,ERR", "T07,n/a,8,60", "T07,2024-01-01"
    )
    landing.write("again.csv", "T07,2024-01-01 00:00:00,8,61", "", header=HEADER)
    landing.write(
        "other.csv", "62,T08,9,2024-01-01 00:00:00,5", header="bearing_temp_c,asset_id,wind_speed_m_s,event_time,extra"
    )
    landing.write("drifted.csv", "T07,2024-01-02 00:00:00,8,60", header="asset_id,event_time,wind_speed_m_s,BearingTemp")
    landing.write_bytes("cut.csv.gz", gzip.compress(os.urandom(50_000).hex().encode())[:-9_000])
    landing.write_bytes("empty.csv", b"")
    summary = landing.ingest()

    assert (summary.rows_in, summary.rows_to_silver, summary.rows_to_quarantine, summary.rows_superseded) == (9, 3, 5, 1)
    readings = landing.silver.orderBy("asset_id", "event_time").select("asset_id", "bearing_temp_c", "quality_flags").collect()
    assert [tuple(row) for row in readings] == [
        ("T07", 61.0, ["asset:gap"]), ("T07", None, ["bearing_temp_c:unreadable_number"]), ("T08", 62.0, ["asset:gap"]),
    ]  # fmt: skip
    assert landing.codes() == [
        ("", ["field_count", "missing_asset", "unreadable_time"]),
        ("T07,2024-01-01 00:00:00,8,60", ["superseded"]),
        ("T07,2024-01-01", ["field_count"]),
        ("T07,2024-01-02 00:00:00,8,60", ["schema_drift"]),
        ("T07,n/a,8,60", ["unreadable_time"]),
        (None, ["unreadable_file"]),
    ]
    run = landing.store.read(INGEST_RUNS).head()
    assert (run["files"], run["rows_in"], run["new_columns"]) == (6, 9, ["BearingTemp", "extra"])
    assert len(run["rejected_files"]) == 2

    before = landing.versions()
    assert str(landing.ingest()) == "nothing new"
    assert landing.versions() == before


def test_a_late_file_changes_exactly_its_keys_and_marks_exactly_its_hours(landing):
    landing.write("january.csv", *steps("T07", "2024-01-01"), *steps("T07", "2024-02-01"), *steps("T08", "2024-01-01"))
    landing.ingest()
    before = _by_key(landing)
    landing.write("late.csv", "T07,2024-01-01 05:00:00,9.9,99", "T07,2024-01-01 05:10:00,9.9,99")
    summary = landing.ingest()

    after = _by_key(landing)
    changed = {key for key in after if after[key] != before.get(key)}
    assert {str(time)[11:16] for _, time in changed} == {"05:00", "05:10"}
    assert (summary.rows_to_silver, summary.rows_superseded) == (2, 1)
    assert landing.codes() == [("T07,2024-01-01 05:00:00,8.5,65.0", ["superseded"])]
    newest = landing.store.read(INGEST_RUNS).orderBy(F.col("started_at").desc()).head()["run_id"]
    hours = landing.store.read(CHANGED_HOURS).where(F.col("run_id") == newest).collect()
    assert [(row["asset_id"], str(row["hour_start"])) for row in hours] == [("T07", "2024-01-01 05:00:00")]


def _by_key(landing):
    columns = ("wind_speed_m_s", "bearing_temp_c", "_source_file", "_source_row")
    return {(row["asset_id"], row["event_time"]): tuple(row[name] for name in columns) for row in landing.silver.collect()}


def test_going_on_takes_in_what_arrives_between_two_looks(landing, monkeypatch):
    landing.write("first.csv", *steps("T07", "2024-01-01"))
    pauses = []

    def another_file_arrives(seconds: float) -> None:
        pauses.append(seconds)
        landing.write("second.csv", *steps("T07", "2024-01-02"))

    # The module's own clock alone: others sleep too.
    monkeypatch.setattr("turbine_health.pipelines.ingest.time", SimpleNamespace(sleep=another_file_arrives))
    summary = ingest_continuously(landing.store, landing.settings, pause_seconds=7, passes=2)
    assert (pauses, summary.batches, summary.files, summary.rows_in) == ([7], 2, 2, 48)
    assert landing.silver.count() == 48


def test_flags_do_not_depend_on_how_readings_were_cut_into_batches(store, tmp_path):
    lines = [f"T07,2024-01-01 {m // 60:02}:{m % 60:02}:00,{5 + m % 3},{60 if m < 480 else 61}" for m in range(0, 600, 10)]
    lines[2] = "T07,2024-01-01 00:20:00,5,99"
    parts = [lines[:2] + lines[40:], lines[2:30], lines[30:40]]
    results = []
    for cut, files in (("one", [lines]), ("three", parts)):
        landing = Landing(
            TableStore(store.spark, store.storage.model_copy(update={"root": str(tmp_path / cut)})), tmp_path / f"{cut}-logs"
        )
        for number, file in enumerate(files):
            landing.write(f"{number}.csv", *file)
            landing.ingest()
        results.append(sorted((str(row["event_time"]), row["quality_flags"]) for row in landing.silver.collect()))
    assert results[0] == results[1]
    assert {flag for _, flags in results[0] for flag in flags} == {
        "asset:gap", "bearing_temp_c:spike", "bearing_temp_c:frozen",
    }  # fmt: skip


def test_without_compiled_classes_spark_leaves_the_same_rows(landing, store, tmp_path, monkeypatch):
    twin = Landing(TableStore(store.spark, store.storage.model_copy(update={"root": str(tmp_path / "twin")})), landing.folder)
    for name, lines in {
        "a.csv": [*steps("T07", "2024-01-01"), *steps("T08", "2024-01-01"), "T07,n/a,8,60", "T07,2024-01-01 05:00:00,8,999"],
        "b.csv": [*steps("T07", "2024-01-02"), "T07,2024-01-01 07:00:00,8,12", "T08,2024-01-01 23:30:00,8,61"],
    }.items():
        landing.write(name, *lines)
        landing.ingest()
        with monkeypatch.context() as patched:
            for place in ("delta.fits_decoded_files", "delta.fits_encoded_files", "merges.fits_merged_files"):
                patched.setattr(f"turbine_health.io.{place}", lambda *_: False)
            twin.ingest()
    mine, theirs = landing.rows(), twin.rows()
    assert mine == theirs
    assert [len(mine[name]) for name in ("silver", "quarantine")] == [73, 3]


def test_a_batch_that_broke_off_between_two_tables_is_done_again_with_the_same_result(landing, store, tmp_path, monkeypatch):
    def broken(*_: object) -> None:
        raise TableError("the power went out")

    undisturbed = Landing(
        TableStore(store.spark, store.storage.model_copy(update={"root": str(tmp_path / "other")})), landing.folder
    )
    landing.write("first.csv", *steps("T07", "2024-01-01"), "T07,n/a,8,60")
    landing.ingest()
    undisturbed.ingest()
    landing.write("second.csv", "T07,2024-01-01 05:00:00,9.9,99", "T07,,8,60")
    undisturbed.ingest()
    for step in ("write_silver", "write_changed_hours"):  # after quarantine, and after silver
        with monkeypatch.context() as patched:
            patched.setattr(ingest_batch, step, broken)
            with pytest.raises(TableError, match="the power went out"):
                landing.ingest()
    landing.ingest()
    assert landing.rows() == undisturbed.rows()


def test_a_path_that_names_nothing_is_refused(landing):
    with pytest.raises(SourceError, match="no file matches"):
        landing.ingest()


def test_a_lake_where_nothing_can_be_written_is_refused(landing, store, tmp_path):
    landing.write("a.csv", *steps("T07", "2024-01-01"))
    (tmp_path / "file").write_text("no folder")
    landing.store = TableStore(store.spark, store.storage.model_copy(update={"root": str(tmp_path / "file" / "lake")}))
    with pytest.raises(TableError, match=r"file/lake: nothing can be written here: .* check storage\.root"):
        landing.ingest()


def test_an_empty_folder_is_refused(landing):
    landing.source = {"files": {"path": str(landing.folder)}}
    with pytest.raises(SourceError, match="is empty"):
        landing.ingest()


def test_a_column_that_no_file_has_is_refused_with_the_columns_there_are(landing):
    landing.write("a.csv", "T07,2024-01-01,8,60", header="asset_id,event_time,Wind,bearing_temp_c")
    with pytest.raises(SourceError, match=r"a\.csv: column wind_speed_m_s .*\(asset_id, event_time, Wind, bearing_temp_c\)"):
        landing.ingest()


def test_a_lake_of_another_schema_is_refused_before_a_file_is_taken(landing):
    old = landing.store.spark.createDataFrame([("T07", 1.0)], "asset_id STRING, bearing_temp_c FLOAT")
    old.write.format("delta").save(f"{landing.store.storage.root}/silver/sensor_readings")
    landing.write("a.csv", *steps("T07", "2024-01-01"))
    with pytest.raises(TableError, match=r"silver\.sensor_readings .* bearing_temp_c is float, expected double"):
        landing.ingest()
    assert not (landing.folder.parent / "lake" / "bronze").exists()


def test_a_signal_that_is_described_later_is_added_to_silver(landing):
    header = f"{HEADER},oil_temp_c"
    landing.write("a.csv", "T07,2024-01-01 00:00:00,8,60,40", header=header)
    landing.ingest()
    landing.write("b.csv", "T07,2024-01-01 00:10:00,8,60,41", header=header)
    described = landing.settings.sources[0].model_dump()
    oil = {"name": "oil_temp_c", "column": "oil_temp_c", "unit": "deg C"}
    landing.source = {"signals": [*described["signals"], oil]}
    landing.ingest()
    silver = landing.store.read(sensor_readings(landing.settings.signal_names)).orderBy("event_time")
    assert [row["oil_temp_c"] for row in silver.collect()] == [None, 41.0]


def test_events_become_lives_and_an_unchanged_log_writes_nothing(landing):
    log = landing.folder.parent / "events.csv"
    log.write_text(
        "asset_id,component,failed_at,repaired_at\nT07,gearbox,2024-01-01 12:00:00,2024-01-01 18:00:00\nT99,x,2024-01-01,\n"
    )
    landing.source = {"failures": {"kind": "event_log", "path": str(log)}}
    landing.write("a.csv", *steps("T07", "2024-01-01"))
    landing.ingest()
    store = landing.store
    assert store.read(ASSET_EVENTS).count() == 1
    assert store.read(QUARANTINED_EVENTS).head()["reasons"] == ["unknown_asset: no reading of this turbine was ever received"]
    lives = store.read(ASSET_LIVES).orderBy("life_number").collect()
    assert [(row["life_start"].hour, row["life_end"].hour, row["ended_in_failure"]) for row in lives] == [
        (0, 12, True),
        (18, 23, False),
    ]
    before = landing.versions()
    landing.ingest()
    assert landing.versions() == before


def test_a_rotated_event_log_deletes_no_failure(landing):
    log = landing.folder.parent / "events.csv"
    header = "asset_id,component,failed_at,repaired_at\n"
    log.write_text(f"{header}T07,gearbox,2024-01-01 12:00:00,2024-01-01 18:00:00\n")
    landing.source = {"failures": {"kind": "event_log", "path": str(log)}}
    landing.write("a.csv", *steps("T07", "2024-01-01"), *steps("T07", "2024-01-09"))
    landing.ingest()
    log.write_text(f"{header}T07,gearbox,2024-01-09 12:00:00,2024-01-09 18:00:00\n")
    landing.ingest()
    lives = landing.store.read(ASSET_LIVES).where("ended_in_failure").orderBy("life_number").collect()
    assert [row["life_end"].day for row in lives] == [1, 9]
    before = landing.versions()
    landing.ingest()
    assert landing.versions() == before
