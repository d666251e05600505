"""What was refused, killed or has vanished does not stop the runs after it, and nothing is lost or doubled."""

from __future__ import annotations

import pytest
from landing import Landing, steps
from pyspark.sql import DataFrame

from turbine_health.errors import ConcurrentRunError, SourceError, TableError
from turbine_health.io.delta import TableStore, WriteResult
from turbine_health.pipelines import ingest_batch
from turbine_health.pipelines.ingest import ingest
from turbine_health.tables import ASSET_LIVES, INGEST_RUNS, Table

OTHER_HEADER = "asset_id,event_time,Wind,bearing_temp_c"


@pytest.fixture
def landing(store: TableStore, tmp_path) -> Landing:
    folder = tmp_path / "landing"
    folder.mkdir()
    return Landing(store, folder)


def broken(*_: object) -> None:
    raise TableError("the power went out")


def break_off_at(landing: Landing, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """A run that ends where the batch comes to `step`, as a kill there would end it."""
    with monkeypatch.context() as patched:
        patched.setattr(ingest_batch, step, broken)
        with pytest.raises(TableError, match="the power went out"):
            landing.ingest()


def test_after_a_refused_description_is_mended_every_row_comes_in(landing):
    landing.write("a.csv", "T07,2024-01-01 00:00:00,8,60", header=OTHER_HEADER)
    with pytest.raises(SourceError, match="column wind_speed_m_s"):
        landing.ingest()
    described = landing.settings.sources[0].model_dump()
    landing.source = {"signals": [{**described["signals"][0], "column": "Wind"}, described["signals"][1]]}
    assert landing.ingest().rows_to_silver == 1
    assert landing.silver.head()["wind_speed_m_s"] == 8


def test_after_a_refused_path_is_mended_only_its_files_come_in(landing):
    landing.write("wrong/a.csv", "T07,2024-01-01 00:00:00,8,60", header=OTHER_HEADER)
    landing.source = {"files": {"path": f"{landing.folder}/wrong"}}
    with pytest.raises(SourceError, match="column wind_speed_m_s"):
        landing.ingest()
    landing.write("right/a.csv", *steps("T07", "2024-01-01"))
    landing.source = {"files": {"path": f"{landing.folder}/right"}}
    summary = landing.ingest()
    assert (summary.files, summary.rows_in, summary.rows_to_silver) == (1, 24, 24)


def test_one_file_that_fits_is_enough_to_begin(landing):
    landing.write("a.csv", "T07,2024-01-01 00:00:00,8,60", header=OTHER_HEADER)
    landing.write("b.csv", *steps("T07", "2024-01-01"))
    summary = landing.ingest()
    assert (summary.rows_to_silver, summary.rows_to_quarantine) == (24, 1)


def test_a_file_that_vanished_after_its_batch_was_planned_is_set_aside_and_the_others_come_in(landing, monkeypatch):
    landing.write("a.csv", *steps("T07", "2024-01-01"))
    gone = landing.write("b.csv", *steps("T07", "2024-01-02"))
    break_off_at(landing, monkeypatch, "write_lines")
    gone.unlink()
    summary = landing.ingest()
    assert (summary.rows_in, summary.rows_to_silver, summary.rows_to_quarantine) == (25, 24, 1)
    assert landing.codes() == [(None, ["unreadable_file"])]
    (rejected,) = landing.store.read(INGEST_RUNS).head()["rejected_files"]
    assert "b.csv: unreadable_file" in rejected
    assert str(landing.ingest()) == "nothing new"


@pytest.mark.parametrize("files", ["both", "the last"])
def test_a_file_that_vanished_after_bronze_held_it_loses_and_doubles_nothing(landing, monkeypatch, files):
    paths = [
        landing.write("a.csv", *steps("T07", "2024-01-01"), "T07,n/a,8,60"),
        landing.write("b.csv", "60,T08,2024-01-02 00:00:00,8", header="bearing_temp_c,asset_id,event_time,wind_speed_m_s"),
    ]
    break_off_at(landing, monkeypatch, "find_superseded")
    for path in paths if files == "both" else paths[1:]:
        path.unlink()
    landing.write("c.csv", *steps("T09", "2024-01-03"))
    summary = landing.ingest()
    assert (summary.batches, summary.rows_in, summary.rows_to_silver, summary.rows_to_quarantine) == (2, 50, 49, 1)
    assert landing.codes() == [("T07,n/a,8,60", ["unreadable_time"])]
    assert landing.silver.where("asset_id = 'T08'").head()["bearing_temp_c"] == 60


def test_a_file_that_changed_after_bronze_held_it_is_read_as_it_was(landing, monkeypatch):
    landing.write("a.csv", *steps("T07", "2024-01-01"))
    break_off_at(landing, monkeypatch, "find_superseded")
    landing.write("a.csv", "60,T08,2024-01-02 00:00:00,8", header="bearing_temp_c,asset_id,event_time,wind_speed_m_s")
    summary = landing.ingest()
    assert (summary.rows_in, summary.rows_to_silver) == (24, 24)


def test_rows_of_a_file_that_two_sources_share_are_superseded_once_each(landing):
    landing.write("a.csv", "T07,2024-01-01 00:00:00,8,60")
    plant = landing.settings.sources[0]
    other = plant.model_copy(update={"name": "other", "asset_id": plant.asset_id.model_copy(update={"template": "X-{column}"})})
    third = plant.model_copy(
        update={"name": "third", "files": plant.files.model_copy(update={"path": f"{landing.folder}/b.csv"})}
    )
    both = landing.settings.model_copy(update={"sources": (plant, other)})
    ingest(landing.store, both)
    landing.write("b.csv", "T07,2024-01-01 00:00:00,8,61", "X-T07,2024-01-01 00:00:00,8,61")
    # Bronze of all three holds the lines that are looked for.
    ingest(landing.store, both.model_copy(update={"sources": (third, plant, other)}))
    superseded = [(line, codes) for line, codes in landing.codes() if line.endswith(",60")]
    assert superseded == [("T07,2024-01-01 00:00:00,8,60", ["superseded"])] * 2


def test_rows_between_the_days_of_a_late_file_stay_as_they_are_though_their_flags_would_be_others_now(landing):
    days = [f"2024-01-{day:02}" for day in range(1, 13)]
    # Days that the late file's own reach into, and those between them, in files of silver of their own.
    for first, last in ((0, 1), (1, 2), (2, 10), (10, 11), (11, 12)):
        for day in days[first:last]:
            stuck = [f"T07,{day} {minute // 60:02}:{minute % 60:02}:00,8.{minute},60" for minute in range(0, 1_440, 10)]
            landing.write(f"{day}.csv", *stuck)
        landing.ingest()
    before = {row["event_time"]: row["quality_flags"] for row in landing.silver.collect()}
    landing.source = {"sampling_minutes": 10, "signals": [
        {**signal.model_dump(), "expected_constant": True} for signal in landing.settings.sources[0].signals
    ]}  # fmt: skip
    landing.write("late.csv", f"T07,{days[0]} 00:05:00,8,61", f"T07,{days[-1]} 23:55:00,8,61")
    assert landing.ingest().rows_to_silver == 2
    keys = [(row["asset_id"], row["event_time"]) for row in landing.silver.collect()]
    assert len(keys) == len(set(keys)) == 12 * 144 + 2
    after = {row["event_time"]: row["quality_flags"] for row in landing.silver.collect()}
    changed = {moment.day for moment, flags in before.items() if after[moment] != flags}
    assert {1, 12} <= changed <= {1, 2, 11, 12}


def test_events_and_lives_that_another_run_wrote_meanwhile_are_computed_again(landing, monkeypatch):
    rivals = iter([ConcurrentRunError("another run wrote silver.asset_lives at the same time", where="lake", hint="run again")])
    write = TableStore.overwrite

    def overtaken(self: TableStore, frame: DataFrame, table: Table) -> WriteResult:
        for rival in rivals if table == ASSET_LIVES else ():
            raise rival
        return write(self, frame, table)

    monkeypatch.setattr(TableStore, "overwrite", overtaken)
    landing.write("a.csv", *steps("T07", "2024-01-01"))
    assert landing.ingest().rows_to_silver == 24
    assert next(rivals, None) is None
    assert landing.store.read(ASSET_LIVES).count() == 1
