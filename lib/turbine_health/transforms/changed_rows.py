"""Of rows that were computed anew, those that are new or other than before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from turbine_health.errors import DataError
from turbine_health.feature_tables import PLACE
from turbine_health.transforms.kernels import Booleans, Integers
from turbine_health.transforms.packs import packing, unpacked
from turbine_health.transforms.reading_packs import is_within
from turbine_health.transforms.slicing import MICROSECONDS, Kernel, sorted_codes


def row_packs(time: str, block_seconds: int, turbines: Sequence[str], first: int, last: int) -> Kernel:
    """What packs rows of a table as they are.

    Args:
        time: Column of times.
        block_seconds: What one pack spans at most.
        turbines: Rows of others are left out.
        first: Seconds since 1970; rows before it are left out.
        last: The same, included; rows after it are left out.

    Returns:
        Kernel from batches with `asset_id` and `time` to `packs.PACKS`.
    """
    names = pa.array(turbines)

    def prepare(rows: pa.RecordBatch) -> tuple[pa.RecordBatch, Integers]:
        at = rows[time].cast(pa.int64()).to_numpy()
        is_inside = pa.array((first * MICROSECONDS <= at) & (at <= last * MICROSECONDS))
        is_wanted = pc.and_(pc.is_in(texts(rows["asset_id"]), names), is_inside)
        rows, at = rows.filter(is_wanted), at[is_wanted.to_numpy(zero_copy_only=False)]
        plain = {name: rows[name] if name == "asset_id" else texts(rows[name]) for name in rows.schema.names}
        return pa.RecordBatch.from_pydict(plain), at // (block_seconds * MICROSECONDS)

    return packing(prepare)


def key_packs(time: str, block_seconds: int, hours: Mapping[str, Integers]) -> Kernel:
    """What packs the keys of old rows: `asset_id`, `time` and `PLACE`, to `packs.PACKS`.

    Args:
        time: Column of times.
        block_seconds: What one pack spans at most.
        hours: `asset_id` → numbers of hours since 1970, ascending; rows of others are left out.
    """

    def prepare(rows: pa.RecordBatch) -> tuple[pa.RecordBatch, Integers]:
        at = rows[time].cast(pa.int64()).to_numpy()
        is_wanted = is_within(hours, rows["asset_id"], at)
        return rows.filter(pa.array(is_wanted)), at[is_wanted] // (block_seconds * MICROSECONDS)

    return packing(prepare)


def only_changed(kernel: Kernel, columns: pa.Schema, keys: Sequence[str]) -> Kernel:
    """What leaves out of a kernel's rows those that are as they were.

    Args:
        kernel: Gives rows with the columns of `columns`, without `PLACE`; unique by `keys`.
        columns: Of the old rows.
        keys: `asset_id` and a time.

    Returns:
        Kernel that gets, beside the rows for `kernel`, some with a pack of old rows in `before`, which are null otherwise. It
        gives the rows that are new, or differ from the row of their key in any column; and where old rows have a `PLACE`,
        that of those they differ from.
    """
    packed = columns.remove(columns.get_field_index("asset_id"))

    def compare(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        made, packs = _made_beside(batches, kernel)
        if made and packs:
            yield from _changed(pa.Table.from_batches(made), unpacked(packs, packed), keys)
        else:
            yield from made

    return compare


def replacing(kernel: Kernel, columns: pa.Schema, keys: Sequence[str]) -> Kernel:
    """What names the old rows that a kernel's rows replace.

    Args:
        kernel: Gives rows with these keys; unique by them.
        columns: Of the old rows: the keys and `PLACE`.
        keys: `asset_id` and a time.

    Returns:
        Kernel that gets, beside the rows for `kernel`, some with a pack of old rows in `before`, which are null otherwise. It
        gives what `kernel` gives, and the `PLACE` of the old rows of the same keys.
    """
    packed = columns.remove(columns.get_field_index("asset_id"))

    def replace(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        made, packs = _made_beside(batches, kernel)
        yield from made
        if made and packs:
            old = unpacked(packs, packed)
            _, theirs = _same_keys(pa.Table.from_batches(made), old, keys)
            if theirs.size:
                yield from old.select(list(PLACE)).take(pa.array(theirs)).combine_chunks().to_batches()

    return replace


def _made_beside(batches: Iterator[pa.RecordBatch], kernel: Kernel) -> tuple[list[pa.RecordBatch], list[pa.RecordBatch]]:
    """What `kernel` makes of the batches without `before`, and the packs in the others."""
    received = list(batches)
    own = (batch.filter(batch["before"].is_null()).drop_columns("before") for batch in received)
    made = list(kernel(batch for batch in own if len(batch)))
    packs = [batch.filter(batch["before"].is_valid()).select(["asset_id", "before"]) for batch in received]
    return made, [batch.rename_columns(["asset_id", "pack"]) for batch in packs if len(batch)]


def _changed(now: pa.Table, old: pa.Table, keys: Sequence[str]) -> Iterator[pa.RecordBatch]:
    mine, theirs = _same_keys(now, old, keys)
    others = [name for name in now.schema.names if name not in keys]
    is_same = np.ones(len(mine), dtype=bool)
    for name in others:
        is_same &= _equal(now[name].take(pa.array(mine)), old[name].take(pa.array(theirs)))
    is_changed = np.ones(len(now), dtype=bool)
    is_changed[mine[is_same]] = False
    yield from now.filter(pa.array(is_changed)).to_batches()
    if PLACE[0] in old.schema.names and not is_same.all():
        yield from old.select(list(PLACE)).take(pa.array(theirs[~is_same])).combine_chunks().to_batches()


def _same_keys(now: pa.Table, old: pa.Table, keys: Sequence[str]) -> tuple[Integers, Integers]:
    """Numbers of rows of both that have a key in common."""
    asset_id, time = keys
    names = pa.chunked_array([*texts(now[asset_id]).chunks, *texts(old[asset_id]).chunks])
    codes, _ = sorted_codes(names.combine_chunks())
    at = np.concatenate([table[time].cast(pa.int64()).to_numpy() for table in (now, old)])
    order = np.lexsort((at, codes))
    codes, at = codes[order], at[order]
    is_pair = (codes[1:] == codes[:-1]) & (at[1:] == at[:-1])
    # Of rows that are equal, `lexsort` leaves the new one first.
    mine, theirs = order[:-1][is_pair], order[1:][is_pair]
    twice = np.flatnonzero((mine >= len(now)) | (theirs < len(now)))
    if twice.size:
        key = f"{names[int(theirs[twice[0]])]} at {at[1:][is_pair][twice[0]]} µs"
        raise DataError("two rows have one key", where=key, hint="build everything anew in another storage.root")
    return mine, theirs - len(now)


def _equal(mine: pa.ChunkedArray, theirs: pa.ChunkedArray) -> Booleans:
    """Whether values are equal; nulls are, and NaN is."""
    same = [pc.equal(texts(mine), texts(theirs)).fill_null(False), pc.and_(mine.is_null(), theirs.is_null())]
    if pa.types.is_floating(mine.type):
        same.append(pc.and_(pc.is_nan(mine), pc.is_nan(theirs)).fill_null(False))
    found: Booleans = np.logical_or.reduce([each.to_numpy(zero_copy_only=False) for each in same])
    return found


def texts(values: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Dictionaries as the texts they stand for; other columns as they are."""
    return values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values
