"""Care of the tables that are there: compaction, clustering, and removal of what nobody can need."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from turbine_health.io.conflicts import alone

# Delta forgets the log of old versions after 30 days unless told otherwise, and says so in this property.
DEFAULT_LOG_HOURS = 720
LOG_RETENTION = "delta.logRetentionDuration"
# Between two runs no version may fall out of the log, so it is told to remember for much longer than it must.
LEAST_SPARE_HOURS, SPARE_HOURS = 24 * 90, 24 * 365


@dataclass(frozen=True)
class TableCare:
    """What was done to one table."""

    identifier: str
    files_compacted: int
    retention_hours: int
    lost_versions: tuple[int, ...] = ()
    """Versions that a registered model was trained on and that the table no longer knows."""


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
        """Let the table remember its versions for so long and a year more, unless it does for long enough."""
        if self._log_hours(identifier) < hours + LEAST_SPARE_HOURS:
            kept = f"'{LOG_RETENTION}' = 'interval {hours + SPARE_HOURS} hours'"
            with alone(identifier, self._path(identifier)):
                self.spark.sql(f"ALTER TABLE {self._name(identifier)} SET TBLPROPERTIES ({kept})")

    def compact(self, identifier: str) -> int:
        """Merge small files and cluster by the table's own columns. Returns how many files were merged.

        Raises:
            ConcurrentRunError: Another run changed the same files meanwhile.
        """
        with alone(identifier, self._path(identifier)):
            row = self.spark.sql(f"OPTIMIZE {self._name(identifier)}").select("metrics.numFilesRemoved").head()
        return int(row[0]) if row else 0

    def vacuum(self, identifier: str, hours: int) -> None:
        """Delete files that no version of the last `hours` hours needs."""
        self.spark.sql(f"VACUUM {self._name(identifier)} RETAIN {hours} HOURS")

    def _log_hours(self, identifier: str) -> int:
        """What `keep_log` set; other words than its own count as Delta's default."""
        row = self.spark.sql(f"DESCRIBE DETAIL {self._name(identifier)}").select("properties").head()
        found = re.fullmatch(r"interval (\d+) hours", row[0].get(LOG_RETENTION, "") if row else "")
        return int(found[1]) if found else DEFAULT_LOG_HOURS

    def _name(self, identifier: str) -> str:
        return f"delta.`{self._path(identifier)}`"

    def _path(self, identifier: str) -> str:
        return f"{self.root}/{identifier.replace('.', '/')}"
