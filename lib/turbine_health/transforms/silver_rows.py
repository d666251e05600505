"""Rows of silver from flagged readings, in a Python worker, which imports nothing else for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from turbine_health.transforms.slicing import Kernel


@dataclass(frozen=True)
class BatchFacts:
    """What the readings of one batch need not each carry along."""

    source: str
    run_id: str
    files: Mapping[int, str]
    """`_file_order` → URI."""

    @cached_property
    def file_columns(self) -> tuple[pa.Array, pa.Array]:
        """`files` as two columns, made once for all that a worker is given."""
        return pa.array(self.files.keys(), pa.int32()), pa.array(self.files.values(), pa.string())


def with_provenance(flagging: Kernel, facts: BatchFacts, columns: Mapping[str, pa.DataType], separator: str) -> Kernel:
    """The kernel that makes rows of silver from what `flagging` returns; see `silver_rows`."""

    def make(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for readings in flagging(batches):
            yield silver_rows(readings, facts, columns, separator)

    return make


def silver_rows(
    readings: pa.RecordBatch, facts: BatchFacts, columns: Mapping[str, pa.DataType], separator: str
) -> pa.RecordBatch:
    """Readings with the columns of silver.

    Args:
        readings: `_value_flags` and `_health_flags`, texts joined by `separator`; `_file_order`; and any of `columns`.
            Readings that silver held already bring `_source`, `_source_file` and `_unaccounted_run` (null: none); where
            these are null or not there, the reading is the batch's own.
        facts: Of the batch.
        columns: Name and type of each column to return; null where `readings` do not have it.
        separator: Between flags.
    """
    known = {name: readings[name] for name in readings.schema.names}
    orders, files = facts.file_columns
    own = {
        "_source": pa.scalar(facts.source),
        "_source_file": files.take(pc.index_in(readings["_file_order"], value_set=orders)),
        # A row that a killed readmission moved goes on bearing its name: the next one accounts for it.
        "_run_id": pa.scalar(facts.run_id),
    }
    brought = {**known, "_run_id": known.get("_unaccounted_run")}
    made = {name: _or_else(brought.get(name), value, len(readings)) for name, value in own.items()}
    made["quality_flags"] = joined_lists(readings["_value_flags"], readings["_health_flags"], separator)
    rows = {**known, **made}
    arrays = [rows[name] if name in rows else pa.nulls(len(readings), kind) for name, kind in columns.items()]
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))


def joined_lists(first: pa.Array, second: pa.Array, separator: str) -> pa.Array:
    """Two columns of texts joined by `separator` as one of lists; an empty text or null is an empty list."""
    first, second = pc.fill_null(first, ""), pc.fill_null(second, "")
    is_both = pc.and_(pc.not_equal(first, ""), pc.not_equal(second, ""))
    texts = pc.binary_join_element_wise(first, second, pc.if_else(is_both, separator, ""))
    pieces = pc.split_pattern(texts, separator)
    # An empty text is split into one empty piece.
    lengths = pc.if_else(pc.equal(texts, ""), 0, pc.list_value_length(pieces))
    values = pc.list_flatten(pieces)
    ends = pc.cumulative_sum(lengths)
    offsets = pa.concat_arrays([pa.array([0], ends.type), ends])
    return pa.ListArray.from_arrays(offsets, values.filter(pc.not_equal(values, "")))


def _or_else(brought: pa.Array | None, own: Any, rows: int) -> pa.Array:
    if brought is not None:
        return pc.coalesce(brought, own)
    return own if isinstance(own, pa.Array) else pa.repeat(own, rows)
