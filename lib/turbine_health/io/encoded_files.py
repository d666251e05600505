"""Parquet files encoded in the Python worker that made their columns; the JVM stores the bytes and commits them.

Why, and where Spark's own writer is used instead: docs/decisions/encoded-files.md.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from py4j.protocol import Py4JError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import BinaryType, IntegerType, LongType, StringType, StructField, StructType

from turbine_health.feature_tables import PLACE
from turbine_health.io.workers import Kernel, by_workers
from turbine_health.tables import Table

# What a worker gathers before it encodes it, and the largest value that goes through the JVM: larger ones, in a heap of up to
# 4 GB, its collector clears away only with all the rest.
ROW_GROUP_BYTES = 32 * 2**20
PIECE_BYTES = 512 * 2**10
# What goes to a worker at once.
BATCH_BYTES = 4 * 2**20
MOST_BYTES = "spark.sql.execution.arrow.maxBytesPerBatch"
# Spark's name of a compression → pyarrow's.
CODECS = {"snappy": "snappy", "zstd": "zstd", "gzip": "gzip", "none": "none", "uncompressed": "none"}
PIECES = StructType([
    StructField("piece", BinaryType()),
    StructField("rows", LongType()),
    StructField("statistics", StringType()),
    StructField("file", IntegerType()),
    StructField("replaced", BinaryType()),
])  # fmt: skip
_PIECES = to_arrow_schema(PIECES)


def fits_encoded_files(spark: SparkSession, path: str) -> bool:
    """Whether the table at `path` can be written so; else Spark's writer is to be used.

    False where `lib/scala` is not compiled or does not know this Delta, where the table has renamed columns, partitions
    or constraints, and for compressions that are not in `CODECS`.
    """
    session: Any = spark
    try:
        return _codec(spark) is not None and bool(_jvm_side(spark).fits(session._jsparkSession, path))
    # No such class, or one that was compiled for another Delta.
    except (Py4JError, TypeError):
        return False


def replace_by_encoded_files(rows: DataFrame, kernel: Kernel, table: Table, path: str) -> None:
    """Replace rows and schema of the table at `path`, in one commit, by what `kernel` makes of each partition of `rows`.

    Args:
        rows: Partitioned as `kernel` wants them.
        kernel: Its batches have the columns of `table`, of their Arrow types. Each partition becomes one file.
        table: Names the columns; those `unrepeated` get no dictionary, those it is searched by get the statistics that
            spare files.
        path: A Delta table for which `fits_encoded_files` holds.
    """
    with small_batches(rows.sparkSession):
        _jvm_side(rows.sparkSession).replace(encoded_pieces(rows, kernel, table), path, table.schema.json())


def append_encoded_files(
    rows: DataFrame, kernel: Kernel, table: Table, path: str, application: str | None, number: int
) -> None:
    """Add what `kernel` makes of each partition of `rows`, in one commit, unless `application` has done `number` before.

    See `replace_by_encoded_files`; the table has all columns of `table`.
    """
    _jvm_side(rows.sparkSession).append(encoded_pieces(rows, kernel, table), path, table.schema.json(), application, number)


@contextmanager
def small_batches(spark: SparkSession) -> Iterator[None]:
    """Rows that are packs or pieces of files go to a worker a few at a time, not ten thousand at once."""
    usual = str(spark.conf.get(MOST_BYTES))
    spark.conf.set(MOST_BYTES, str(BATCH_BYTES))
    try:
        yield
    finally:
        spark.conf.set(MOST_BYTES, usual)


def encoded_pieces(rows: DataFrame, kernel: Kernel, table: Table) -> Any:
    """A file of `table` from what `kernel` makes of each partition, piece by piece, as a frame of the JVM's.

    Batches of the columns `PLACE` among the others name rows that give way; they go along with the pieces.
    """
    pieces: Any = by_workers(rows, _encoder(kernel, table, str(_codec(rows.sparkSession))), PIECES)
    return pieces._jdf


def _jvm_side(spark: Any) -> Any:
    return spark.sparkContext._jvm.turbinehealth.EncodedFiles


def _codec(spark: SparkSession) -> str | None:
    return CODECS.get(str(spark.conf.get("spark.sql.parquet.compression.codec")).lower())


def _searched_by(table: Table) -> tuple[str, ...]:
    """Columns whose least and greatest Delta notes for each file."""
    named = dict(table.properties).get("delta.dataSkippingStatsColumns")
    return tuple(named.split(",")) if named else table.keys


def _encoder(kernel: Kernel, table: Table, codec: str) -> Kernel:
    schema = to_arrow_schema(table.schema, timezone="UTC")
    repeated = [name for name in schema.names if name not in table.unrepeated]

    def encode(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        file = _File(schema, repeated, _searched_by(table), codec)
        for batch in kernel(batches):
            if batch.schema.names == list(PLACE):
                yield _replaced(batch)
            else:
                yield from file.add(batch)
        yield from file.end()

    return encode


class _File:
    """One Parquet file, given away piece by piece as it grows."""

    def __init__(self, schema: pa.Schema, repeated: list[str], searched_by: tuple[str, ...], codec: str) -> None:
        self._schema = schema
        self._bytes = _Outbox()
        self._writer = pq.ParquetWriter(
            self._bytes,
            schema,
            compression=codec,
            use_dictionary=repeated,
            write_statistics=list(searched_by),
            store_schema=False,
        )
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_bytes = 0
        self._rows = 0
        self._columns = {name: _ColumnStatistics() for name in searched_by}

    def add(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """Take rows in, and give away what is encoded."""
        if len(batch):
            self._waiting.append(batch)
            self._waiting_bytes += batch.nbytes
        if self._waiting_bytes >= ROW_GROUP_BYTES:
            yield from self._encode()

    def end(self) -> Iterator[pa.RecordBatch]:
        """The rest of the file, and with its last piece what Delta has to know of all; nothing where there is no row."""
        yield from self._encode()
        self._writer.close()
        if self._rows:
            yield _piece(self._bytes.take(), self._rows, self._statistics())

    def _encode(self) -> Iterator[pa.RecordBatch]:
        if not self._waiting:
            return
        # Refuses a null where the schema allows none.
        group = pa.Table.from_batches(self._waiting).select(self._schema.names).cast(self._schema)
        self._waiting, self._waiting_bytes = [], 0
        for name, statistics in self._columns.items():
            statistics.add(group[name])
        self._rows += len(group)
        self._writer.write_table(group, row_group_size=len(group))
        encoded = self._bytes.take()
        for start in range(0, len(encoded), PIECE_BYTES):
            yield _piece(encoded[start : start + PIECE_BYTES])

    def _statistics(self) -> str:
        """As Delta's protocol writes them into a commit."""
        known = [(name, each) for name, each in self._columns.items() if each.least is not None]
        return json.dumps({
            "numRecords": self._rows,
            "minValues": {name: _json_value(each.least) for name, each in known},
            "maxValues": {name: _json_value(each.greatest) for name, each in known},
            "nullCount": {name: each.nulls for name, each in self._columns.items()},
        })  # fmt: skip


class _ColumnStatistics:
    """Least and greatest value of one column; None where there is none yet."""

    def __init__(self) -> None:
        self.least: Any = None
        self.greatest: Any = None
        self.nulls = 0

    def add(self, values: pa.ChunkedArray) -> None:
        found = pc.min_max(values).as_py()
        self.nulls += values.null_count
        if found["min"] is not None:
            self.least = found["min"] if self.least is None else min(self.least, found["min"])
            self.greatest = found["max"] if self.greatest is None else max(self.greatest, found["max"])


class _Outbox(io.RawIOBase):
    """A file whose bytes are taken away as they come."""

    def __init__(self) -> None:
        self._written = bytearray()
        self._taken = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._written += memoryview(data)
        return len(data)

    def tell(self) -> int:
        return self._taken + len(self._written)

    def take(self) -> bytes:
        """What was written since the last time."""
        taken = bytes(self._written)
        self._taken += len(taken)
        self._written.clear()
        return taken


def _replaced(places: pa.RecordBatch) -> pa.RecordBatch:
    file, row = (places[name].to_numpy() for name in PLACE)
    rows = [{"file": number, "replaced": row[file == number].tobytes()} for number in np.unique(file)]
    return pa.RecordBatch.from_pylist(rows, schema=_PIECES)


def _piece(data: bytes, rows: int | None = None, statistics: str | None = None) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([{"piece": data, "rows": rows, "statistics": statistics}], schema=_PIECES)


def _json_value(value: Any) -> Any:
    """Times are cut to milliseconds, which readers of the statistics allow for."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03d}Z"
    return value
