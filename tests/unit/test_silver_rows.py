"""Rows of silver as a worker makes them from flagged readings."""

from __future__ import annotations

import pyarrow as pa

from turbine_health.transforms.silver_rows import BatchFacts, joined_lists, silver_rows

FACTS = BatchFacts("plant", "plant-1", {0: "a.csv", 1: "b.csv"})
COLUMNS = {
    "asset_id": pa.string(), "oil_temp_c": pa.float64(), "wind_speed_m_s": pa.float64(),
    "quality_flags": pa.list_(pa.string()), "_source": pa.string(), "_source_file": pa.string(), "_run_id": pa.string(),
}  # fmt: skip


def flagged(**more: list[object]) -> pa.RecordBatch:
    columns = {
        "asset_id": ["T1", "T2"], "oil_temp_c": [50.0, None], "_value_flags": ["", "oil_temp_c:missing_code"],
        "_health_flags": [None, "asset:gap"], "_file_order": pa.array([1, 0], pa.int32()), **more,
    }  # fmt: skip
    return pa.RecordBatch.from_pydict(columns)


def test_a_reading_of_the_batch_gets_what_all_of_the_batch_share() -> None:
    assert silver_rows(flagged(), FACTS, COLUMNS, "|").to_pylist() == [
        {"asset_id": "T1", "oil_temp_c": 50.0, "wind_speed_m_s": None, "quality_flags": [],
         "_source": "plant", "_source_file": "b.csv", "_run_id": "plant-1"},
        {"asset_id": "T2", "oil_temp_c": None, "wind_speed_m_s": None,
         "quality_flags": ["oil_temp_c:missing_code", "asset:gap"],
         "_source": "plant", "_source_file": "a.csv", "_run_id": "plant-1"},
    ]  # fmt: skip


def test_a_reading_that_silver_held_keeps_where_it_came_from_and_a_move_without_account() -> None:
    readings = flagged(
        _file_order=pa.array([-1, 0], pa.int32()), _source=["other", None], _source_file=["old.csv", None],
        _unaccounted_run=pa.array(["readmit-7", None]),
    )  # fmt: skip
    rows = silver_rows(readings, FACTS, COLUMNS, "|").select(["_source", "_source_file", "_run_id"]).to_pylist()
    assert rows == [
        {"_source": "other", "_source_file": "old.csv", "_run_id": "readmit-7"},
        {"_source": "plant", "_source_file": "a.csv", "_run_id": "plant-1"},
    ]


def test_no_flag_is_an_empty_list() -> None:
    first, second = pa.array(["", None, "a:x", "a:x|b:y", ""]), pa.array([None, "", "", "c:z", "c:z"])
    assert joined_lists(first, second, "|").to_pylist() == [[], [], ["a:x"], ["a:x", "b:y", "c:z"], ["c:z"]]


def test_no_reading_is_no_row() -> None:
    assert silver_rows(flagged().slice(0, 0), FACTS, COLUMNS, "|").num_rows == 0
