"""Rows of silver from flagged readings, in a Python worker, which imports nothing else for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql.types import StringType, StructField, StructType, TimestampType

from turbine_health.transforms.changed_rows import texts
from turbine_health.transforms.kernels import Integers
from turbine_health.transforms.reading_packs import HOUR, is_within
from turbine_health.transforms.slicing import Kernel

# First and last reading of a turbine and source; of the last, the file it came in.
SPANS = StructType([
    StructField("asset_id", StringType()), StructField("_source", StringType()), StructField("first_reading", TimestampType()),
    StructField("last_reading", TimestampType()), StructField("last_file", StringType()),
])  # fmt: skip


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


def only_touched(kernel: Kernel, separator: str, hours: Mapping[str, Integers]) -> Kernel:
    """What leaves out of rows those that silver holds just so.

    An old row far from the new ones stays as it is, also where its flags would be others because settings changed.

    Args:
        kernel: Makes rows of silver with `is_settled`, null for new ones, and `_old_flags`.
        separator: Of texts.
        hours: `asset_id` → numbers of hours since 1970, ascending, in which old rows may change.

    Returns:
        Makes rows of silver: new ones, and old ones in those hours that are not settled and whose flags are others now.
    """

    def choose(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for rows in kernel(batches):
            now, before = (pc.binary_join(rows[name], separator) for name in ("quality_flags", "_old_flags"))
            is_near = pa.array(is_within(hours, rows["asset_id"], rows["event_time"].cast(pa.int64()).to_numpy()))
            is_other = pc.and_(is_near, pc.and_(pc.invert(rows["is_settled"]), pc.not_equal(now, before)))
            is_touched = pc.or_kleene(rows["is_settled"].is_null(), is_other)
            yield rows.filter(is_touched).drop_columns(["is_settled", "_old_flags"])

    return choose


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


def counting_hours(run_id: str, source: str, received_at: int) -> Kernel:
    """What counts the rows of silver that a run wrote, hour by hour.

    Args:
        run_id: Of the run.
        source: Of the rows that it brought,
        received_at: and when, in microseconds since 1970. Another run may have written those again since, for their flags.

    Returns:
        Makes `asset_id`, `hour`, since 1970, and `new_rows`, those that the run brought; of an hour there may be several rows.
    """

    def count(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            is_of_source = pc.equal(texts(batch["_source"]), source)
            is_own = pc.and_(is_of_source, pc.equal(batch["_ingested_at"].cast(pa.int64()), received_at))
            is_written = pc.or_(is_own, pc.equal(texts(batch["_run_id"]), run_id))
            rows = pa.Table.from_pydict({
                "asset_id": texts(batch["asset_id"]),
                "hour": pc.divide(batch["event_time"].cast(pa.int64()), HOUR),
                "is_own": is_own.cast(pa.int64()),
            }).filter(is_written)  # fmt: skip
            hours = rows.group_by(["asset_id", "hour"], use_threads=False).aggregate([("is_own", "sum")])
            yield from hours.rename_columns(["asset_id", "hour", "new_rows"]).combine_chunks().to_batches()

    return count


def spanning() -> Kernel:
    """What finds the first and last readings in rows of silver.

    Returns:
        From `asset_id`, `_source`, `event_time` and, where last files are wanted, `_source_file` makes `SPANS`; of a turbine
        and source there may be several rows.
    """

    def span(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rows = pa.Table.from_pydict({name: texts(batch[name]) for name in batch.schema.names})
            ends = [("event_time", "min"), ("event_time", "max")]
            if "_source_file" in rows.schema.names:
                rows, ends = rows.sort_by("event_time"), [*ends, ("_source_file", "last")]
            spans = rows.group_by(["asset_id", "_source"], use_threads=False).aggregate(ends)
            columns = [*spans.columns, pa.nulls(len(spans), pa.string())][: len(SPANS)]
            yield from pa.Table.from_arrays(columns, names=SPANS.names).combine_chunks().to_batches()

    return span


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
