"""Readings as packs: they come out as they went in, and into every slice whose flags depend on them."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest

from turbine_health.transforms import reading_packs
from turbine_health.transforms.bronze_lines import lines_at
from turbine_health.transforms.reading_packs import HOUR, choosing, cutting, is_within, packing, unpacked, with_slices
from turbine_health.transforms.slicing import MICROSECONDS, Slicing

COLUMNS = pa.schema([
    ("asset_id", pa.string()), ("event_time", pa.timestamp("us", "UTC")), ("power_kw", pa.float64()), ("flags", pa.string()),
])  # fmt: skip
TURBINES = ("T07", "T08", "Türbine 9")
SLICING = Slicing(chunk_seconds=86_400, chunks=2, turbine_shares=3)
EARLIER, LATER = 5 * HOUR, HOUR


def readings(count: int = 3_000, seed: int = 5) -> pa.Table:
    chance = random.Random(seed)
    rows = [
        {"asset_id": chance.choice(TURBINES), "event_time": chance.randrange(10 * 24 * HOUR), "power_kw": chance.random()}
        for _ in range(count)
    ]
    return pa.Table.from_pylist(rows, schema=COLUMNS)


def packs(rows: pa.Table, batch_rows: int = 700) -> list[pa.RecordBatch]:
    return list(packing()(iter(rows.to_batches(max_chunksize=batch_rows))))


@pytest.mark.parametrize("pack_bytes", [1, 10_000, 2**20])
def test_rows_come_out_of_packs_as_they_went_in(monkeypatch, pack_bytes):
    monkeypatch.setattr(reading_packs, "PACK_BYTES", pack_bytes)
    rows = readings(300)
    found = [pack for batch in packs(rows) for pack in batch["pack"]]
    assert unpacked(found, COLUMNS).equals(rows)
    assert len(found) == {1: 300, 2**20: 1}.get(pack_bytes, len(found))


def test_a_column_that_a_pack_has_not_is_null():
    rows = readings(10)
    (batch,) = packs(rows.drop_columns("flags"))
    assert unpacked(batch["pack"], COLUMNS).equals(rows)


@pytest.mark.parametrize("gathered_bytes", [1, 2**25])
def test_each_slice_gets_its_readings_and_those_around_it(monkeypatch, gathered_bytes):
    monkeypatch.setattr(reading_packs, "GATHERED_BYTES", gathered_bytes)
    rows, length = readings(), SLICING.chunk_seconds * MICROSECONDS
    made = list(cutting(SLICING, EARLIER, LATER, COLUMNS)(iter(packs(rows))))
    found = set()
    for partition in {batch["partition"][0].as_py() for batch in made}:
        table = with_slices((batch for batch in made if batch["partition"][0].as_py() == partition), COLUMNS)
        assert table is not None
        at = table["event_time"].cast(pa.int64()).to_pylist()
        of_slice = list(zip(table["_slice"].to_pylist(), table["asset_id"].to_pylist(), at, strict=True))
        assert found.isdisjoint(of_slice)
        found.update(of_slice)
    at = rows["event_time"].cast(pa.int64()).to_pylist()
    wanted = {
        (number, asset_id, moment)
        for asset_id, moment in zip(rows["asset_id"].to_pylist(), at, strict=True)
        for number in range(-1, 12)
        if number * length - EARLIER <= moment < (number + 1) * length + LATER
    }
    assert found == wanted


def test_readings_are_chosen_by_turbine_and_hour():
    rows = readings()
    chance = random.Random(1)
    hours = {name: np.array(sorted(chance.sample(range(-10, 300), 60))) for name in TURBINES[:2]}
    at = rows["event_time"].cast(pa.int64()).to_numpy()
    chosen = is_within(hours, rows["asset_id"].combine_chunks(), at)
    pairs = zip(rows["asset_id"].to_pylist(), at, strict=True)
    expected = [name in hours and moment // HOUR in set(hours[name].tolist()) for name, moment in pairs]
    assert chosen.tolist() == expected
    assert 0 < sum(expected) < len(expected)
    made = pa.Table.from_batches(choosing(hours, COLUMNS)(iter(packs(rows))))
    assert made.sort_by("power_kw").equals(rows.filter(pa.array(expected)).sort_by("power_kw"))
    assert is_within({}, rows["asset_id"].combine_chunks(), at).sum() == 0


def test_lines_are_found_by_file_and_row():
    rows = [{"_source_file": file, "_source_row": row, "value": f"{file}{row}"} for file in "abc" for row in range(5)]
    wanted = {"a": np.array([4, 0]), "c": np.array([2, 99]), "d": np.array([1])}
    for batch in (pa.RecordBatch.from_pylist(rows), dictionaries(pa.RecordBatch.from_pylist(rows))):
        (found,) = lines_at(wanted)(iter([batch]))
        assert found["value"].to_pylist() == ["a0", "a4", "c2"]


def dictionaries(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch.set_column(0, "_source_file", batch["_source_file"].dictionary_encode())
