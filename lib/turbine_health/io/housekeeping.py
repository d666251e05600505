"""Care of the tables that are there: compaction, clustering, and removal of what nobody can need."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

# Delta forgets the log of old versions after 30 days unless told otherwise.
DEFAULT_LOG_HOURS = 720


@dataclass(frozen=True)
class TableCare:
    """What was done to one table."""

    identifier: str
    files_compacted: int
    retention_hours: int


class Housekeeping:
    """Works on every Delta table under one root, `root/<layer>/<table>`, whoever wrote it."""

    def __init__(self, spark: SparkSession, root: str) -> None:
        self.spark = spark
        self.root = root.rstrip("/")

    def tables(self) -> list[str]:
        """Identifiers (`layer.name`) of all tables there are."""
        context: Any = self.spark.sparkContext
        pattern = context._jvm.org.apache.hadoop.fs.Path(f"{self.root}/*/*/_delta_log")
        found = pattern.getFileSystem(context._jsc.hadoopConfiguration()).globStatus(pattern) or []
        folders = [status.getPath().getParent() for status in found]
        return sorted(f"{folder.getParent().getName()}.{folder.getName()}" for folder in folders)

    def age_hours(self, identifier: str, version: int, now: datetime) -> float | None:
        """Hours since a version was written; None when the log no longer knows it."""
        history = self.spark.sql(f"DESCRIBE HISTORY {self._name(identifier)}")
        row = history.where(F.col("version") == version).select(F.unix_micros("timestamp")).head()
        return None if row is None else (now - datetime.fromtimestamp(row[0] / 1e6, timezone.utc)).total_seconds() / 3600

    def keep_log(self, identifier: str, hours: int) -> None:
        """Let the table remember its versions for so long, if that is longer than Delta's 30 days."""
        if hours > DEFAULT_LOG_HOURS:
            kept = f"'delta.logRetentionDuration' = 'interval {hours} hours'"
            self.spark.sql(f"ALTER TABLE {self._name(identifier)} SET TBLPROPERTIES ({kept})")

    def compact(self, identifier: str) -> int:
        """Merge small files and cluster by the table's own columns. Returns how many files were merged."""
        row = self.spark.sql(f"OPTIMIZE {self._name(identifier)}").select("metrics.numFilesRemoved").head()
        return int(row[0]) if row else 0

    def vacuum(self, identifier: str, hours: int) -> None:
        """Delete files that no version of the last `hours` hours needs."""
        self.spark.sql(f"VACUUM {self._name(identifier)} RETAIN {hours} HOURS")

    def _name(self, identifier: str) -> str:
        return f"delta.`{self.root}/{identifier.replace('.', '/')}`"
