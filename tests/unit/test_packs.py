"""Rows packed by turbine and block of time: all of them come back, in whatever batches they come and go."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from turbine_health.transforms import packs
from turbine_health.transforms.flags import flagged_at_once
from turbine_health.transforms.packs import packing, unpacked
from turbine_health.transforms.slicing import counting, group_starts

VALUES = pa.schema([("at", pa.int64()), ("value", pa.float64())])


def rows(seed: int, count: int = 1_000) -> pa.RecordBatch:
    """Turbines and times in no order, a tenth of the values null."""
    random = np.random.default_rng(seed)
    names = pa.array([f"T{number}" for number in random.integers(0, 9, count)])
    value = pa.array(random.standard_normal(count), mask=random.random(count) < 0.1)
    return pa.record_batch({"asset_id": names, "at": random.integers(-5_000, 5_000, count), "value": value})


def by_hundreds(batch: pa.RecordBatch):
    return batch, batch["at"].to_numpy() // 100


def packed(*batches: pa.RecordBatch) -> list[pa.RecordBatch]:
    return list(packing(by_hundreds)(iter(batches)))


def counted(table: pa.Table | pa.RecordBatch) -> Counter:
    return Counter((row["asset_id"], row["at"], row["value"]) for row in table.to_pylist())


@pytest.mark.parametrize("limits", [{}, {"GATHERED_BYTES": 1}, {"PACK_ROWS": 3, "SENT_BYTES": 500}])
def test_every_row_comes_back_with_its_turbine(monkeypatch, limits):
    for name, limit in limits.items():
        monkeypatch.setattr(packs, name, limit)
    first, second = rows(1), rows(2)
    got = packed(first, second)
    assert counted(unpacked(got, VALUES)) == counted(first) + counted(second)
    assert (len(got) > 1) == bool(limits)


def test_a_pack_holds_rows_of_one_turbine_and_block():
    batch = rows(3)
    (got,) = packed(batch)
    for row in got.to_pylist():
        held = pa.ipc.read_record_batch(pa.py_buffer(row["pack"]), VALUES)
        assert set(held["at"].to_numpy() // 100) == {row["block"]}
        inside = [each for each in batch.to_pylist() if each["asset_id"] == row["asset_id"]]
        assert len(held) == sum(each["at"] // 100 == row["block"] for each in inside)


def test_what_a_pack_is_carried_with_goes_to_each_of_its_rows_and_a_row_without_pack_is_left_out():
    (got,) = packed(rows(4))
    chunk = pa.array([block * 2 for block in got["block"].to_pylist()])
    wish = pa.record_batch({"asset_id": ["T0"], "block": [0], "pack": pa.nulls(1, pa.binary()), "chunk": [0]})
    found = unpacked([got.append_column("chunk", chunk), wish], VALUES)
    assert len(found) == 1_000
    assert found["chunk"].to_numpy().tolist() == (2 * (found["at"].to_numpy() // 100)).tolist()


def test_texts_may_be_dictionaries_that_differ():
    first, second = rows(5), rows(6, count=7)
    encoded = [batch.set_column(0, "asset_id", batch["asset_id"].dictionary_encode()) for batch in (first, second)]
    assert counted(unpacked(packed(*encoded), VALUES)) == counted(first) + counted(second)


def test_no_row_is_no_pack():
    assert packed() == []
    assert packed(rows(7, count=0)) == []


def test_rows_are_counted_by_turbine_and_chunk():
    hour = 3_600 * 1_000_000
    times = pa.array([0, 25 * hour, 1, 49 * hour, -1], pa.timestamp("us", tz="UTC"))
    batch = pa.record_batch({"asset_id": ["T1", "T1", "T1", "T2", "T1"], "event_time": times})
    (found,) = counting("event_time", step_seconds=3_600, chunk_cells=24)(iter([batch]))
    assert found.to_pylist() == [
        {"asset_id": "T1", "chunk": -1, "rows": 1, "first": -1, "last": -1},
        {"asset_id": "T1", "chunk": 0, "rows": 2, "first": 0, "last": 0},
        {"asset_id": "T1", "chunk": 1, "rows": 1, "first": 25, "last": 25},
        {"asset_id": "T2", "chunk": 2, "rows": 1, "first": 49, "last": 49},
    ]
    (nothing,) = counting("event_time", 3_600, 24)(iter([batch.slice(0, 0)]))
    assert nothing.num_rows == 0


def test_groups_start_where_any_key_changes():
    assert group_starts(np.array([1, 1, 1, 2, 2]), np.array([5, 5, 6, 6, 6])).tolist() == [0, 2, 3]
    assert group_starts(np.array([], dtype=np.int64)).tolist() == []


def test_a_spike_alone_flags_nothing_at_once():
    flags = pa.array([None, [], ["asset:gap"], ["oil_temp_c:spike"], ["oil_temp_c:spike", "oil_temp_c:frozen"]])
    assert flagged_at_once(flags).to_pylist() == [False, False, True, False, True]
    assert flagged_at_once(pa.nulls(2, pa.list_(pa.string()))).to_pylist() == [False, False]
