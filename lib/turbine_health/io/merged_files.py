"""Merges whose rows Python workers decode, compare and encode: of a table, only the files that a new row may meet.

Why, and where Spark's own merge is used instead: docs/decisions/encoded-files.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from py4j.protocol import Py4JError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from turbine_health.feature_tables import PLACE
from turbine_health.io.decoded_files import decoding
from turbine_health.io.encoded_files import encoded_pieces, fits_encoded_files, small_batches
from turbine_health.io.workers import Kernel, by_workers
from turbine_health.tables import Table

# Numbers of rows in a file.
Rows = NDArray[np.int64]


def fits_merged_files(spark: SparkSession, path: str) -> bool:
    """Whether rows of the table at `path` can be replaced so; else a merge of Spark's is to be used.

    False where files cannot be written or read so (`fits_encoded_files`, `fits_decoded_files`), and where the table keeps a
    change feed.
    """
    session: Any = spark
    try:
        return fits_encoded_files(spark, path) and bool(_jvm_side(spark).fits(session._jsparkSession, path))
    # No such class, or one that was compiled for another Delta.
    except (Py4JError, TypeError):
        return False


class MergedFiles:
    """One merge into a table, which it holds fast as it is: another run that changes what was read makes it fail."""

    def __init__(self, spark: SparkSession, table: Table, path: str, near: str, application: str | None, number: int) -> None:
        """See `io/merges.py`; `path` is a Delta table for which `fits_merged_files` holds."""
        session: Any = spark
        self._spark = spark
        self._table = table
        self._merge = _jvm_side(spark)(session._jsparkSession, path, near, application, number)

    def is_done(self) -> bool:
        """Whether a commit of this name is there already."""
        return bool(self._merge.isDone())

    def before(self, kernel: Kernel, made: StructType, columns: StructType) -> DataFrame | None:
        """What `kernel` makes of the rows in files where old rows may lie, with their `PLACE`; None: there is no such file."""
        if self._merge.isAlone():
            return None
        pieces = DataFrame(self._merge.before(columns.names), self._spark)
        return by_workers(pieces, decoding(columns, kernel, with_place=True), made)

    def write(self, rows: DataFrame, kernel: Kernel) -> tuple[int, int]:
        """Write what `kernel` makes of each partition of `rows`, in one commit.

        Args:
            rows: Partitioned as `kernel` wants them.
            kernel: Gives batches of new rows, and batches of `PLACE` of the old rows of their keys.

        Returns:
            Rows inserted and updated.
        """
        with small_batches(self._spark):
            replaced = _by_file(self._merge.add(encoded_pieces(rows, kernel, self._table)))
            if replaced:
                self._store_rest(replaced)
        updated = sum(len(gone) for gone in replaced.values())
        return int(self._merge.commit(list(replaced), updated)), updated

    def _store_rest(self, replaced: dict[int, Rows]) -> None:
        """What stays of files with rows that are replaced."""
        pieces = DataFrame(self._merge.holding(list(replaced), self._table.schema.names), self._spark)
        decode = decoding(self._table.schema, _without(replaced), with_place=True)
        self._merge.keep(encoded_pieces(pieces, decode, self._table))


def _without(replaced: dict[int, Rows]) -> Kernel:
    def keep(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            file, row = (batch[name].to_numpy() for name in PLACE)
            is_kept = ~np.isin(row, replaced[int(file[0])])
            if is_kept.any():
                yield batch.drop_columns(list(PLACE)).filter(pa.array(is_kept))

    return keep


def _by_file(replaced: Any) -> dict[int, Rows]:
    """File → numbers of rows, from what the tasks gave along."""
    found: dict[int, list[Rows]] = {}
    for each in replaced:
        found.setdefault(int(each.file()), []).append(np.frombuffer(each.rows(), dtype=np.int64))
    return {file: np.concatenate(parts) for file, parts in found.items()}


def _jvm_side(spark: Any) -> Any:
    return spark.sparkContext._jvm.turbinehealth.MergedFiles
