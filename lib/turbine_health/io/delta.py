"""The table store: where Delta tables are read and written, by the catalog in `tables.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from turbine_health.errors import TableError
from turbine_health.settings import StorageSettings
from turbine_health.tables import Table, schema_differences


@dataclass(frozen=True)
class WriteResult:
    """What one commit did, from Delta's own metrics. `version` is None when nothing was written."""

    version: int | None
    rows_inserted: int = 0
    rows_updated: int = 0
    rows_deleted: int = 0


@dataclass(frozen=True)
class Transaction:
    """Names a write so that Delta skips it when it is done again (after a kill, say)."""

    application: str
    number: int


def is_changed(table: Table) -> str:
    """For `update_if`: whether some column besides the keys is not what it was."""
    others = [name for name in table.schema.names if name not in table.keys]
    return " OR ".join(f"NOT (new.`{name}` <=> old.`{name}`)" for name in others)


class TableStore:
    """Delta tables under one root, `root/<layer>/<table>`."""

    def __init__(self, spark: SparkSession, storage: StorageSettings) -> None:
        self.spark = spark
        self.storage = storage

    def path(self, table: Table) -> str:
        """Folder or URI of the table."""
        return f"{self.storage.root.rstrip('/')}/{table.layer}/{table.name}"

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

    def empty(self, table: Table) -> DataFrame:
        """No rows, with the table's columns."""
        return self.spark.createDataFrame([], table.schema)

    def version(self, table: Table) -> int:
        """Newest version of the table. Raises `TableError` where there is no such table yet."""
        row = DeltaTable.forPath(self.spark, self._existing_path(table)).history(1).select("version").head()
        return int(row["version"]) if row else -1

    def added_since(self, table: Table, version: int) -> DataFrame:
        """Rows added after `version` to a table that is only appended to and keeps a change feed."""
        if self.version(table) <= version:
            return self.spark.createDataFrame([], table.schema)
        reader = self.spark.read.format("delta").option("readChangeFeed", "true").option("startingVersion", version + 1)
        return reader.load(self.path(table)).where("_change_type = 'insert'").select(*table.schema.names)

    def append(self, frame: DataFrame, table: Table, transaction: Transaction | None = None) -> WriteResult:
        """Add rows. With a `transaction` seen before, nothing is written."""
        return self._write(frame, table, "append", transaction=transaction)

    def overwrite(
        self, frame: DataFrame, table: Table, where: str | None = None, transaction: Transaction | None = None
    ) -> WriteResult:
        """Replace all rows, or those that match `where`, in one commit; readers see before or after."""
        return self._write(frame, table, "overwrite", where=where, transaction=transaction)

    def replace(self, frame: DataFrame, table: Table) -> WriteResult:
        """Replace all rows and the schema in one commit, for a table whose columns follow from settings."""
        return self._write(frame, table, "overwrite", options={"overwriteSchema": "true"})

    def overwrite_if_changed(self, frame: DataFrame, table: Table) -> WriteResult:
        """Replace all rows, unless the table holds these very rows already; then no version is written."""
        rows = frame.select(*table.schema.names)
        if self.exists(table) and _fingerprint(rows) == _fingerprint(self.read(table)):
            return WriteResult(version=None)
        return self.overwrite(rows, table)

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
        before = self.version(table)
        on = " AND ".join([*(f"new.`{key}` = old.`{key}`" for key in table.keys), f"({within})"])
        self._begin(transaction)
        try:
            (
                DeltaTable.forPath(self.spark, self.path(table))
                .alias("old")
                .merge(frame.alias("new"), on)
                .whenMatchedUpdateAll(condition=update_if)
                .whenNotMatchedInsertAll()
                .execute()
            )
        finally:
            self._end(transaction)
        return self._result(table, before)

    def _write(
        self,
        frame: DataFrame,
        table: Table,
        mode: str,
        *,
        where: str | None = None,
        transaction: Transaction | None = None,
        options: Mapping[str, str] | None = None,
    ) -> WriteResult:
        self._refuse_other_schema(frame, table, "cannot be written")
        if not self.exists(table):
            self._create(table)
        before = self.version(table)
        writer = frame.select(*table.schema.names).write.format("delta").mode(mode).options(**options or {})
        if where is not None:
            writer = writer.option("replaceWhere", where)
        if transaction is not None:
            writer = writer.option("txnAppId", transaction.application).option("txnVersion", transaction.number)
        writer.save(self.path(table))
        return self._result(table, before)

    def _create(self, table: Table) -> None:
        builder = DeltaTable.createIfNotExists(self.spark).location(self.path(table)).comment(table.description)
        for field in table.schema:
            builder = builder.addColumn(
                field.name, field.dataType, nullable=field.nullable, comment=field.metadata.get("comment")
            )
        for key, value in table.properties:
            builder = builder.property(key, value)
        if table.cluster_by:
            builder = builder.clusterBy(*table.cluster_by)
        builder.execute()

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

    def _begin(self, transaction: Transaction | None) -> None:
        if transaction is not None:
            self.spark.conf.set("spark.databricks.delta.write.txnAppId", transaction.application)
            self.spark.conf.set("spark.databricks.delta.write.txnVersion", str(transaction.number))

    def _end(self, transaction: Transaction | None) -> None:
        if transaction is not None:
            self.spark.conf.unset("spark.databricks.delta.write.txnAppId")
            self.spark.conf.unset("spark.databricks.delta.write.txnVersion")

    def _result(self, table: Table, before: int) -> WriteResult:
        newest = DeltaTable.forPath(self.spark, self.path(table)).history(1).select("version", "operationMetrics").head()
        if newest is None or newest["version"] == before:
            return WriteResult(version=None)
        metrics = newest["operationMetrics"] or {}
        inserted = metrics.get("numTargetRowsInserted", metrics.get("numOutputRows", 0))
        return WriteResult(
            version=int(newest["version"]),
            rows_inserted=int(inserted),
            rows_updated=int(metrics.get("numTargetRowsUpdated", 0)),
            rows_deleted=int(metrics.get("numTargetRowsDeleted", metrics.get("numDeletedRows", 0))),
        )


def _fingerprint(frame: DataFrame) -> tuple[int, int]:
    """Equal for equal rows in any order."""
    hashes = F.xxhash64(*frame.columns).cast("decimal(38,0)")
    row = frame.agg(F.count("*"), F.coalesce(F.sum(hashes), F.lit(0))).head()
    assert row is not None
    return int(row[0]), int(row[1])
