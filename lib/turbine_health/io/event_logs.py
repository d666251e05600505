"""The edge of ingest where people write failures and repairs down: a small file of its own, read anew every time."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from turbine_health.errors import SourceError
from turbine_health.io.hadoop import Hadoop
from turbine_health.io.raw_files import row_in_file
from turbine_health.sources import EventLog, Source


def read_event_log(spark: SparkSession, source: Source, log: EventLog) -> DataFrame:
    """The entries of an event log: its columns as text, `_source_row`, and `value`, the entry as JSON.

    `_log_order` puts all of them in order: the later file, then further down the file. Of several files
    `_source_row` alone is not unique.

    Raises:
        SourceError: No such file, or a column that the description names is not in it.
    """
    where = f"source {source.name}, failures.path {log.path}"
    if not Hadoop(spark).glob(log.path):
        raise SourceError("no such event log", where=where, hint="check failures.path, or say `failures: {kind: none}`")
    entries = spark.read.option("header", "true").option("sep", log.delimiter).csv(log.path)
    wanted = (log.asset_column, log.type_column, log.component_column, log.started_column, log.ended_column)
    missing = [name for name in wanted if name is not None and name not in entries.columns]
    if missing:
        raise SourceError(
            f"column {', '.join(missing)} is not in the header ({', '.join(entries.columns)})",
            where=where,
            hint="mend the description's *_column keys; null says there is no such column",
        )
    value = F.to_json(F.struct(*entries.columns), {"ignoreNullFields": "false"})
    file = [F.col(f"_metadata.{name}") for name in ("file_modification_time", "file_path")]
    rows = entries.select("*", value.alias("value"), row_in_file(), F.struct(*file).alias("_file"))
    return rows.withColumn("_log_order", F.struct("_file", "_source_row")).drop("_file")
