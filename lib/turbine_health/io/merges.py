"""Rows put in the place of those of their keys, by kernels that see both."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql.types import LongType, StructField, StructType

from turbine_health.feature_tables import PLACE
from turbine_health.io.conflicts import alone
from turbine_health.io.delta import TableStore, Transaction, WriteResult
from turbine_health.io.merged_files import MergedFiles, fits_merged_files
from turbine_health.io.near import Near
from turbine_health.io.workers import Kernel, by_workers
from turbine_health.tables import Table


class MergeByKernel:
    """One merge, in one commit, into a table that is made where it is not there yet.

    Where another run changes what was read of the table before the commit, `write` raises `ConcurrentRunError` and nothing
    is written; with a merge of Spark's, which reads once more by itself, where it changes it from then on.
    """

    def __init__(self, store: TableStore, table: Table, near: Near, transaction: Transaction | None = None) -> None:
        """Begin.

        Args:
            store: Where the table is.
            table: Unique by its keys.
            near: Where all new rows lie, and old ones of their keys.
            transaction: Seen before, nothing is written.

        Raises:
            TableError: The table's schema is not the catalog's (all differences named).
        """
        store.create(table)
        self._rows = store.read(table)
        self._store = store
        self._table = table
        self._near = near
        self._transaction = transaction
        path = store.path(table)
        name = (transaction.application, transaction.number) if transaction else (None, 0)
        self._files = MergedFiles(store.spark, table, path, near.sql(), *name) if fits_merged_files(store.spark, path) else None

    @property
    def is_by_workers(self) -> bool:
        """Whether workers write the files, and are to be told which old rows give way."""
        return self._files is not None

    def columns(self, names: Sequence[str]) -> StructType:
        """These of the old rows; with `PLACE`, where their files are written anew by workers."""
        place = [StructField(name, LongType()) for name in PLACE] if self._files else []
        return StructType([*(self._table.schema[name] for name in names), *place])

    def before(self, names: Sequence[str], kernel: Kernel, made: StructType) -> DataFrame | None:
        """What `kernel` makes of these columns of the old rows that lie near, and of some that do not; None: there is none."""
        if self._files:
            return self._files.before(kernel, made, StructType([self._table.schema[name] for name in names]))
        return by_workers(self._rows.where(self._near.sql()).select(*names), kernel, made)

    def write(self, rows: DataFrame, kernel: Kernel) -> WriteResult:
        """Write what `kernel` makes of each partition of `rows`.

        Args:
            rows: Partitioned as `kernel` wants them.
            kernel: Gives batches of the table's columns, of new rows, and where old ones have a `PLACE`, batches of it: of
                those that the new ones replace.

        Raises:
            ConcurrentRunError: Another run changed the same rows meanwhile.
        """
        if not self._files:
            frame = by_workers(rows, kernel, self._table.schema)
            return self._store.merge(frame, self._table, within=self._near.sql("old."), transaction=self._transaction)
        if self._files.is_done():
            return WriteResult(version=None)
        with alone(self._table.identifier, self._store.path(self._table)):
            inserted, updated = self._files.write(rows, kernel)
        if not inserted + updated:
            return WriteResult(version=None)
        return WriteResult(self._store.version(self._table), inserted, updated)
