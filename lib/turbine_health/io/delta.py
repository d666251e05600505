"""The table store: where Delta tables are read and written, by the catalog in `tables.py`."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from delta.tables import DeltaTable
from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from turbine_health.errors import TableError
from turbine_health.io.conflicts import CONFLICTS, alone
from turbine_health.io.decoded_files import decoding, file_pieces, fits_decoded_files
from turbine_health.io.encoded_files import append_encoded_files, fits_encoded_files, replace_by_encoded_files
from turbine_health.io.fingerprints import rows_where_same
from turbine_health.io.hadoop import Hadoop
from turbine_health.io.near import Near
from turbine_health.io.workers import Kernel, by_workers
from turbine_health.settings import StorageSettings
from turbine_health.tables import Table, schema_differences

# What Delta says of a folder that holds something and no commit: foreign files, or a table that another run is making.
NO_COMMIT_YET = {"DELTA_CREATE_TABLE_WITH_NON_EMPTY_LOCATION", "DELTA_MISSING_DELTA_TABLE", "DELTA_TABLE_NOT_FOUND"}
# A first commit takes a second or two; foreign files stay.
CREATE_ATTEMPTS, CREATE_PAUSE_SECONDS = 10, 1.0


@dataclass(frozen=True)
class WriteResult:
    """What one commit did, from Delta's own metrics. `version` is None when nothing was written.

    `rows` is what the table holds afterwards, where the write had to know.
    """

    version: int | None
    rows_inserted: int = 0
    rows_updated: int = 0
    rows_deleted: int = 0
    rows: int | None = None


@dataclass(frozen=True)
class Transaction:
    """Names a write so that Delta skips it when it is done again (after a kill, say)."""

    application: str
    number: int


class TableStore:
    """Delta tables under one root, `root/<layer>/<table>`.

    Every write is one commit; where another run has written the same rows meanwhile it raises `ConcurrentRunError`
    and leaves the table as that run left it.
    """

    def __init__(self, spark: SparkSession, storage: StorageSettings) -> None:
        self.spark = spark
        self.storage = storage
        self._spared: set[str] = set()

    def path(self, table: Table) -> str:
        """Folder or URI of the table."""
        return f"{self.storage.root.rstrip('/')}/{table.layer}/{table.name}"

    def require_writable(self) -> None:
        """Refuse a root where no file can be written, before anything is begun there.

        Raises:
            TableError: No such place, or not allowed.
        """
        root = self.storage.root.rstrip("/")
        try:
            Hadoop(self.spark).create_and_delete(f"{root}/_probe-{uuid.uuid4().hex}")
        except Py4JJavaError as error:
            raise TableError(
                f"nothing can be written here: {error.java_exception.getMessage()}",
                where=root,
                hint="check storage.root, its owner and its space",
            ) from None

    def exists(self, table: Table) -> bool:
        """Whether the table has been written yet."""
        return bool(DeltaTable.isDeltaTable(self.spark, self.path(table)))

    def read(self, table: Table, version: int | None = None) -> DataFrame:
        """The table, at its newest or at a given version.

        Raises:
            TableError: No such table yet, or its schema is not the catalog's (all differences named).
        """
        path = self._existing_path(table)
        reader = self.spark.read.format("delta")
        if version is not None:
            if version > self.version(table):
                raise TableError(
                    f"{table.identifier} has no version {version}", where=path, hint=f"newest is {self.version(table)}"
                )
            reader = reader.option("versionAsOf", version)
        frame = reader.load(path)
        self._refuse_other_schema(frame, table, "was written by another version of this project")
        return frame.select(*table.schema.names)

    def rows_for_kernel(
        self, table: Table, columns: Sequence[str], kernel: Kernel, version: int | None = None, near: Near | None = None
    ) -> tuple[DataFrame, Kernel]:
        """Partitions, and what makes of each what `kernel` makes of `columns`: of row groups that it decodes, or of rows.

        `near` spares files; of those that are left, `kernel` may get rows that do not lie near.
        """
        path, version = self.path(table), self.version(table) if version is None else version
        rows = self.read(table, version).select(*columns)
        if fits_decoded_files(self.spark, path, version):
            pieces = file_pieces(self.spark, path, version, columns, near.sql() if near else None)
            return pieces, decoding(rows.schema, kernel, unrepeated=table.unrepeated)
        return rows.where(near.sql()) if near else rows, kernel

    def read_by_kernel(
        self, table: Table, columns: Sequence[str], kernel: Kernel, made: StructType,
        version: int | None = None, near: Near | None = None,
    ) -> DataFrame:  # fmt: skip
        """What `kernel` makes of `columns`: see `rows_for_kernel`."""
        return by_workers(*self.rows_for_kernel(table, columns, kernel, version, near), made)

    def empty(self, table: Table) -> DataFrame:
        """No rows, with the table's columns."""
        return self.spark.createDataFrame([], table.schema)

    def version(self, table: Table) -> int:
        """Newest version of the table, read from its log; `history` would start a Spark job for it."""
        jvm = self._context._jvm
        session: Any = self.spark
        log = jvm.org.apache.spark.sql.delta.DeltaLog.forTableWithSnapshot(session._jsparkSession, self._existing_path(table))
        return int(log._2().version())

    def added_since(self, table: Table, version: int) -> DataFrame:
        """Rows added after `version` to a table that is only appended to and keeps a change feed."""
        if self.version(table) <= version:
            return self.empty(table)
        reader = self.spark.read.format("delta").option("readChangeFeed", "true").option("startingVersion", version + 1)
        return reader.load(self.path(table)).where("_change_type = 'insert'").select(*table.schema.names)

    def written_between(self, table: Table, after: int, until: int) -> DataFrame:
        """Rows as of version `until`, in files written after version `after`: all that changed, and some that did not."""
        files = [{file.rpartition("/")[2] for file in self.read(table, version).inputFiles()} for version in (after, until)]
        reader = self.spark.read.format("delta").option("versionAsOf", until).load(self.path(table))
        return reader.where(F.col("_metadata.file_name").isin(*(files[1] - files[0]))).select(*table.schema.names)

    def create(self, table: Table) -> None:
        """The table without rows, where it is not there yet; two runs may do so at once."""
        if self.exists(table):
            return
        builder = DeltaTable.createIfNotExists(self.spark).location(self.path(table)).comment(table.description)
        for field in table.schema:
            builder = builder.addColumn(
                field.name, field.dataType, nullable=field.nullable, comment=field.metadata.get("comment")
            )
        for key, value in table.properties:
            builder = builder.property(key, value)
        if table.cluster_by:
            builder = builder.clusterBy(*table.cluster_by)
        for attempt in range(CREATE_ATTEMPTS):
            try:
                builder.execute()
            except (*CONFLICTS, AnalysisException) as failure:
                may_be_rival = isinstance(failure, CONFLICTS) or failure.getCondition() in NO_COMMIT_YET
                if not may_be_rival or attempt + 1 == CREATE_ATTEMPTS:
                    raise
                time.sleep(CREATE_PAUSE_SECONDS)
            if self.exists(table):
                return

    def append(self, frame: DataFrame, table: Table, transaction: Transaction | None = None) -> WriteResult:
        """Add rows. With a `transaction` seen before, nothing is written."""
        return self._write(frame, table, "append", transaction=transaction)

    def overwrite(self, frame: DataFrame, table: Table) -> WriteResult:
        """Replace all rows in one commit; readers see before or after."""
        result = self._write(frame, table, "overwrite")
        return replace(result, rows=result.rows_inserted)

    def replace(self, frame: DataFrame, table: Table) -> WriteResult:
        """Replace all rows and the schema in one commit, for a table whose columns follow from settings."""
        return self._write(frame, table, "overwrite", options={"overwriteSchema": "true"})

    def replace_by_kernel(self, rows: DataFrame, kernel: Kernel, table: Table) -> WriteResult:
        """As `replace`, by the rows that `kernel` makes of each partition of `rows`, encoded where it makes them."""
        encoded = self._encoded(table, lambda path: replace_by_encoded_files(rows, kernel, table, path))
        return encoded or self.replace(by_workers(rows, kernel, table.schema), table)

    def append_by_kernel(self, rows: DataFrame, kernel: Kernel, table: Table, transaction: Transaction | None) -> WriteResult:
        """As `append`, of the rows that `kernel` makes of each partition of `rows`, encoded where it makes them."""
        name = (transaction.application, transaction.number) if transaction else (None, 0)
        encoded = self._encoded(table, lambda path: append_encoded_files(rows, kernel, table, path, *name))
        return encoded or self.append(by_workers(rows, kernel, table.schema), table, transaction)

    def overwrite_if_changed(self, frame: DataFrame, table: Table) -> WriteResult:
        """Replace all rows, unless the table holds these very rows already; then no version is written."""
        return self.overwrite_those_changed((frame, table))[0]

    def overwrite_those_changed(self, *wanted: tuple[DataFrame, Table]) -> list[WriteResult]:
        """As `overwrite_if_changed`, each; all are compared in one job before the first is written."""
        new = [frame.select(*table.schema.names) for frame, table in wanted]
        old = [self.read(table) if self.exists(table) else None for _, table in wanted]
        kept = rows_where_same(new, old)
        return [
            self.overwrite(rows, table) if count is None else WriteResult(version=None, rows=count)
            for rows, (_, table), count in zip(new, wanted, kept, strict=True)
        ]

    def merge(
        self,
        frame: DataFrame,
        table: Table,
        *,
        update_if: str = "true",
        within: str = "true",
        transaction: Transaction | None = None,
    ) -> WriteResult:
        """Insert rows with new keys; update the others where `update_if` (`new.` and `old.` columns) holds.

        Keys must be unique in `frame`. Without a change no version is written when the source has no rows.
        `within` is a condition on `old.` columns that every row of `frame` fulfils: it spares files.
        """
        if not self.exists(table):
            return self.append(frame, table, transaction)
        self._refuse_other_schema(frame, table, "cannot be written")
        self._spare_dictionaries(table)
        on = " AND ".join([*(f"new.`{key}` = old.`{key}`" for key in table.keys), f"({within})"])
        merge = (
            DeltaTable.forPath(self.spark, self.path(table))
            .alias("old")
            .merge(frame.alias("new"), on)
            .whenMatchedUpdateAll(condition=update_if)
            .whenNotMatchedInsertAll()
        )
        with self._named(transaction):
            return self._commit(table, merge.execute)

    def add_missing(self, table: Table, names: Sequence[str]) -> list[str]:
        """Add those of the columns `names` that the table does not have yet; null in the rows there are."""
        have = self.spark.read.format("delta").load(self._existing_path(table)).columns
        added = [field for field in table.schema if field.name in names and field.name not in have]
        if added:
            columns = ", ".join(f"`{field.name}` {field.dataType.simpleString()}" for field in added)
            self.spark.sql(f"ALTER TABLE delta.`{self.path(table)}` ADD COLUMNS ({columns})")
        return [field.name for field in added]

    def delete(self, keys: DataFrame, table: Table) -> WriteResult:
        """Delete the rows whose keys are in `keys`; none there, none written."""
        on = " AND ".join(f"gone.`{key}` = old.`{key}`" for key in table.keys)
        merge = DeltaTable.forPath(self.spark, self.path(table)).alias("old").merge(keys.alias("gone"), on)
        return self._commit(table, merge.whenMatchedDelete().execute)

    def _write(
        self, frame: DataFrame, table: Table, mode: str, *,
        transaction: Transaction | None = None, options: Mapping[str, str] | None = None,
    ) -> WriteResult:  # fmt: skip
        self._refuse_other_schema(frame, table, "cannot be written")
        self.create(table)
        self._spare_dictionaries(table)
        writer = frame.select(*table.schema.names).write.format("delta").mode(mode).options(**options or {})
        if transaction is not None:
            writer = writer.option("txnAppId", transaction.application).option("txnVersion", transaction.number)
        return self._commit(table, lambda: writer.save(self.path(table)))

    def _commit(self, table: Table, write: Callable[[], None]) -> WriteResult:
        """What `write` did to the table, none of it where another run changed the same."""
        before = self.version(table)
        with alone(table.identifier, self.path(table)):
            write()
        return self._result(table, before)

    def _existing_path(self, table: Table) -> str:
        path = self.path(table)
        if not self.exists(table):
            raise TableError(f"table {table.identifier} is not there yet", where=path, hint="run the job that writes it first")
        return path

    def _refuse_other_schema(self, frame: DataFrame, table: Table, complaint: str) -> None:
        differences = schema_differences(frame.schema, table.schema)
        if differences:
            raise TableError(
                f"{table.identifier} {complaint}: {'; '.join(differences)}",
                where=self.path(table),
                hint="build it anew in another storage.root, or use the version that wrote it",
            )

    def _spare_dictionaries(self, table: Table) -> None:
        """Tell Parquet, once, which columns need no dictionary.

        It collects values for one until it notices that they do not repeat, more than half of the time of writing them.
        In the session, for Delta hands on no option.
        """
        for name in table.unrepeated:
            if name not in self._spared:
                self.spark.conf.set(f"parquet.enable.dictionary#{name}", "false")
                self._spared.add(name)

    def _encoded(self, table: Table, write: Callable[[str], None]) -> WriteResult | None:
        """One commit by `write`; None where files that workers encode do not fit the table."""
        self.create(table)
        if not fits_encoded_files(self.spark, self.path(table)):
            return None
        return self._commit(table, lambda: write(self.path(table)))

    @contextmanager
    def _named(self, transaction: Transaction | None) -> Iterator[None]:
        names = {"txnAppId": transaction.application, "txnVersion": str(transaction.number)} if transaction else {}
        for key, value in names.items():
            self.spark.conf.set(f"spark.databricks.delta.write.{key}", value)
        try:
            yield
        finally:
            for key in names:
                self.spark.conf.unset(f"spark.databricks.delta.write.{key}")

    def _result(self, table: Table, before: int) -> WriteResult:
        newest = self.version(table)
        if newest == before:
            return WriteResult(version=None)
        metrics = self._operation_metrics(table, newest)
        return WriteResult(
            version=newest,
            rows_inserted=int(metrics.get("numTargetRowsInserted", metrics.get("numOutputRows", 0))),
            rows_updated=int(metrics.get("numTargetRowsUpdated", 0)),
            rows_deleted=int(metrics.get("numTargetRowsDeleted", metrics.get("numDeletedRows", 0))),
        )

    def _operation_metrics(self, table: Table, version: int) -> dict[str, str]:
        """What Delta wrote into the commit about it."""
        text = Hadoop(self.spark).read_text(f"{self.path(table)}/_delta_log/{version:020d}.json")
        infos = [json.loads(line)["commitInfo"] for line in text.splitlines() if line.startswith('{"commitInfo"')]
        return dict(infos[0].get("operationMetrics", {})) if infos else {}

    @property
    def _context(self) -> Any:
        return self.spark.sparkContext
