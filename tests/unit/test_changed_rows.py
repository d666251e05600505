"""Of rows made anew, those that differ from what was there, whatever is null in them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pyarrow as pa
import pytest

from turbine_health.errors import DataError
from turbine_health.feature_tables import PLACE
from turbine_health.transforms.changed_rows import only_changed, row_packs

NOW = pa.schema([
    ("asset_id", pa.string()), ("at", pa.timestamp("us", tz="UTC")), ("value", pa.float64()), ("mode", pa.string()),
])  # fmt: skip
OLD = pa.schema([*NOW, *((name, pa.int64()) for name in PLACE)])
DAY = 86_400 * 1_000_000


def rows(*values: tuple) -> pa.RecordBatch:
    columns = zip(zip(*values, strict=True), NOW.types, strict=True)
    return pa.RecordBatch.from_arrays([pa.array(column, kind) for column, kind in columns], schema=NOW)


def packed(now: pa.RecordBatch, *, turbines: Sequence[str] = ("T1", "T2")) -> pa.RecordBatch:
    """Packs of old rows, all of file 7, their texts as a decoder gives them."""
    encoded = now.set_column(3, "mode", now["mode"].dictionary_encode())
    placed = encoded.append_column(PLACE[0], pa.array([7] * len(now))).append_column(PLACE[1], pa.array(range(len(now))))
    (packs,) = row_packs("at", 86_400, turbines, 0, 86_400)(iter([placed]))
    return packs.rename_columns(["asset_id", "chunk", "before"])


def changed(now: pa.RecordBatch, before: pa.RecordBatch) -> tuple[list[dict], list[int]]:
    """Rows that stay, and numbers of old rows that they replace."""
    empty = {name: pa.nulls(len(before), kind) for name, kind in zip(NOW.names, NOW.types, strict=True)}
    slices = [
        now.append_column("before", pa.nulls(len(now), pa.binary())),
        pa.RecordBatch.from_pydict({**empty, "asset_id": before["asset_id"], "before": before["before"]}),
    ]
    kernel = only_changed(lambda batches: (batch.select(NOW.names) for batch in batches), OLD, ["asset_id", "at"])
    made = list(kernel(iter(slices)))
    kept = [row for batch in made if batch.schema.names == NOW.names for row in batch.to_pylist()]
    gone = [row for batch in made if batch.schema.names == list(PLACE) for row in batch.to_pylist()]
    assert {row[PLACE[0]] for row in gone} <= {7}
    return kept, sorted(row[PLACE[1]] for row in gone)


def test_only_new_and_different_rows_stay_also_from_and_to_null():
    before = packed(rows(
        ("T1", 1, 1.0, None), ("T1", 2, 2.0, "gear"), ("T1", 3, None, None), ("T1", 4, 4.0, "gear"), ("T1", 5, math.nan, None),
        ("T1", 6, 6.0, "gear"), ("T1", 8, 8.0, None),
    ))  # fmt: skip
    now = rows(
        ("T1", 6, 6.0, "pitch"), ("T1", 1, 1.0, None), ("T1", 2, 2.5, "gear"), ("T1", 3, 3.0, None), ("T1", 4, None, "gear"),
        ("T1", 5, math.nan, None), ("T1", 7, 7.0, None), ("T2", 8, 8.0, None),
    )  # fmt: skip
    kept, gone = changed(now, before)
    assert [(row["asset_id"], row["at"].microsecond) for row in kept] == [
        ("T1", 6), ("T1", 2), ("T1", 3), ("T1", 4), ("T1", 7), ("T2", 8),
    ]  # fmt: skip
    assert gone == [1, 2, 3, 5]


def test_rows_as_they_were_leave_nothing():
    same = rows(("T1", 1, 1.0, None), ("T2", DAY, None, "gear"))
    assert changed(same, packed(same)) == ([], [])


def test_of_old_rows_only_wanted_turbines_and_times_are_packed():
    old = rows(("T1", 1, 1.0, None), ("T2", DAY, 2.0, None), ("T2", 2 * DAY, 3.0, None), ("T9", 1, 4.0, None))
    assert sorted(packed(old)["asset_id"].to_pylist()) == ["T1", "T2"]


def test_two_old_rows_of_one_key_are_told_and_not_guessed_about():
    row = ("T1", 1, 1.0, None)
    with pytest.raises(DataError, match="two rows have one key"):
        changed(rows(row), packed(rows(row, ("T1", 1, 2.0, None))))
