"""Parquet files decoded in the Python worker that needs their columns; the JVM only hands over their bytes.

Why, and where Spark's own reader is used instead: docs/decisions/encoded-files.md.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from py4j.protocol import Py4JError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from turbine_health.feature_tables import PLACE
from turbine_health.io.workers import Kernel

# In place of a row group's number: the end of a file, which comes before its row groups.
FOOTER = -1


def fits_decoded_files(spark: SparkSession, path: str, version: int) -> bool:
    """Whether workers can read the table at `path` as of `version`; else Spark's reader is to be used.

    False where `lib/scala` is not compiled or does not know this Delta, and where the table has deletion vectors, renamed
    columns or partitions.
    """
    session: Any = spark
    try:
        return bool(_jvm_side(spark).fits(session._jsparkSession, path, version))
    # No such class, or one that was compiled for another Delta.
    except (Py4JError, TypeError):
        return False


def file_pieces(spark: SparkSession, path: str, version: int, names: Sequence[str], near: str | None = None) -> DataFrame:
    """The bytes of a table's files, shared out among tasks, for `decoding`.

    Args:
        spark: A session.
        path: A Delta table for which `fits_decoded_files` holds.
        version: Of the table.
        names: Columns to read.
        near: Condition in SQL; files in which no row can fulfil it are spared. None: all files.
    """
    session: Any = spark
    return DataFrame(_jvm_side(spark).read(session._jsparkSession, path, version, list(names), near), spark)


def decoding(schema: StructType, kernel: Kernel, *, with_place: bool = False, unrepeated: Sequence[str] = ()) -> Kernel:
    """What decodes pieces of files and hands the rows on to `kernel`, a row group a batch.

    Args:
        schema: Columns wanted, which are those that were read; null in files that were written before the table had one.
        kernel: Gets columns of `schema`, of their Arrow types, texts as dictionaries but for those `unrepeated`.
        with_place: Whether it gets the columns `PLACE`, too: the number of the file among those read, and of the row in it.
        unrepeated: Columns of which hardly a value comes twice.
    """
    wanted = to_arrow_schema(schema, timezone="UTC")

    def decode(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return kernel(_row_groups(batches, wanted, _texts(wanted) - set(unrepeated), with_place))

    return decode


def _jvm_side(spark: Any) -> Any:
    return spark.sparkContext._jvm.turbinehealth.FilePieces


def _texts(schema: pa.Schema) -> set[str]:
    return {each.name for each in schema if pa.types.is_string(each.type)}


def _row_groups(
    pieces: Iterator[pa.RecordBatch], schema: pa.Schema, dictionaries: set[str], with_place: bool
) -> Iterator[pa.RecordBatch]:
    """Row groups from the pieces of their files, each decoded when its last piece is there."""
    file = _File(schema, dictionaries, with_place)
    for batch in pieces:
        columns = (batch[name] for name in ("file", "group", "position", "piece"))
        for number, group, position, piece in zip(*columns, strict=True):
            if group.as_py() != file.group:
                yield from file.decoded()
                file = file.next_group(number.as_py(), group.as_py())
            file.add(position.as_py(), piece.as_buffer())
    yield from file.decoded()


class _File(io.RawIOBase):
    """The footer or one row group of a file, to be read as if the whole of it were there."""

    def __init__(
        self, schema: pa.Schema, dictionaries: set[str], with_place: bool, number: int = 0,
        group: int = FOOTER, metadata: pq.FileMetaData | None = None, size: int = 0,
    ) -> None:  # fmt: skip
        self._schema = schema
        self._dictionaries = dictionaries
        self._with_place = with_place
        self._number = number
        self.group = group
        self._metadata = metadata
        self._size = size
        self._starts: list[int] = []
        self._pieces: list[pa.Buffer] = []
        self._position = 0

    def next_group(self, number: int, group: int) -> _File:
        """Another row group of this file, or the footer of the next one."""
        if group == FOOTER:
            return _File(self._schema, self._dictionaries, self._with_place, number)
        metadata = self._metadata or pq.read_metadata(pa.BufferReader(b"".join(self._pieces)))
        size = self._size or self._starts[-1] + len(self._pieces[-1])
        return _File(self._schema, self._dictionaries, self._with_place, number, group, metadata, size)

    def add(self, position: int, piece: pa.Buffer) -> None:
        self._starts.append(position)
        self._pieces.append(piece)

    def decoded(self) -> Iterator[pa.RecordBatch]:
        """The rows; nothing where only the footer is there."""
        if self.group == FOOTER:
            return
        file = pq.ParquetFile(
            self, metadata=self._metadata, read_dictionary=list(self._dictionaries), pre_buffer=False,
            coerce_int96_timestamp_unit="us",
        )  # fmt: skip
        have = set(file.schema_arrow.names)
        names = [name for name in self._schema.names if name in have]
        rows = file.read_row_group(self.group, columns=names, use_threads=False).combine_chunks()
        columns = {each.name: self._column(rows, each) for each in self._schema}
        yield pa.RecordBatch.from_pydict({**columns, **(self._place(len(rows)) if self._with_place else {})})

    def _place(self, rows: int) -> dict[str, pa.Array]:
        groups = (self._metadata.row_group(group) for group in range(self.group)) if self._metadata else ()
        first = sum(group.num_rows for group in groups)
        places = pa.repeat(pa.scalar(self._number), rows), pa.array(np.arange(first, first + rows))
        return dict(zip(PLACE, places, strict=True))

    def _column(self, rows: pa.Table, field: pa.Field) -> pa.Array:
        if field.name not in rows.schema.names:
            return pa.nulls(len(rows), field.type)
        column = rows[field.name].combine_chunks()
        return column if pa.types.is_dictionary(column.type) else column.cast(field.type)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        return self._position

    def tell(self) -> int:
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Bytes that are there; asking for others is a mistake."""
        stop = self._size if size < 0 else self._position + size
        first, parts = bisect_right(self._starts, self._position) - 1, []
        for start, piece in zip(self._starts[first:], self._pieces[first:], strict=True):
            if start >= stop:
                break
            parts.append(memoryview(piece)[max(self._position - start, 0) : stop - start])
        self._position = stop
        return b"".join(parts)
