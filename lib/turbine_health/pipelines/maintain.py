"""Compact, cluster and vacuum every table, and keep what registered models were trained on."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from datetime import datetime, timezone

from turbine_health.io.housekeeping import DEFAULT_LOG_HOURS, Housekeeping, TableCare
from turbine_health.io.tracking import Tracker
from turbine_health.settings import Settings

logger = logging.getLogger("turbine_health")

# A version needs its files from the moment after it was written; the clock of a store may be a little off.
SPARE_HOURS = 24


@dataclass(frozen=True)
class MaintainSummary:
    """What was done, table by table."""

    tables: tuple[TableCare, ...]

    def __str__(self) -> str:
        files = sum(table.files_compacted for table in self.tables)
        kept = ", ".join(
            f"{table.identifier} {table.retention_hours} h" for table in self.tables if table.retention_hours > 168
        )
        lost = ", ".join(f"{table.identifier} version {version}" for table in self.tables for version in table.lost_versions)
        return (
            f"{len(self.tables)} tables, {files:,} small files merged"
            + (f"; kept longer: {kept}" if kept else "")
            + (f"; trained on, but gone from the log: {lost}" if lost else "")
        )


def maintain(housekeeping: Housekeeping, tracker: Tracker, settings: Settings, now: datetime | None = None) -> MaintainSummary:
    """Take care of every table of the lake. Killed and run again it goes on."""
    now = now or datetime.now(timezone.utc)
    pinned, tables = trained_on(tracker, settings), housekeeping.tables()
    for unknown in sorted({*settings.maintenance.table_retention_hours} - {*tables}):
        logger.warning("maintenance.table_retention_hours names %s, which is not in this lake", unknown)
    return MaintainSummary(tuple(care_of_table(housekeeping, name, pinned, settings, now) for name in tables))


def trained_on(tracker: Tracker, settings: Settings) -> dict[str, set[int]]:
    """Table versions that some registered model was trained on, by identifier."""
    pinned: dict[str, set[int]] = {}
    for name in (settings.mlflow.classifier_model, settings.mlflow.regressor_model):
        for model in tracker.versions(name):
            for identifier, version in tracker.table_inputs(model.run_id).items():
                pinned.setdefault(identifier, set()).add(version)
    return pinned


def care_of_table(
    housekeeping: Housekeeping, identifier: str, pinned: dict[str, set[int]], settings: Settings, now: datetime
) -> TableCare:
    """Compact one table, then delete what neither the retention nor a version in `pinned` needs.

    A version that the log no longer knows cannot be read any more, whatever files are left; it is reported.
    """
    ages = {version: housekeeping.age_hours(identifier, version, now) for version in sorted(pinned.get(identifier, ()))}
    lost = tuple(version for version, age in ages.items() if age is None)
    for version in lost:
        logger.warning("%s: version %d, which a registered model was trained on, is gone from the log", identifier, version)
    known = [age for age in ages.values() if age is not None]
    needed = math.ceil(max(known) + SPARE_HOURS) if known else 0
    retention = settings.maintenance.table_retention_hours.get(identifier, settings.maintenance.retention_hours)
    hours = max(retention, needed)
    if known or hours > DEFAULT_LOG_HOURS:
        housekeeping.keep_log(identifier, hours)
    files = housekeeping.compact(identifier)
    housekeeping.vacuum(identifier, hours)
    logger.info("%s: %d files merged, versions of the last %d hours kept", identifier, files, hours)
    return TableCare(identifier, files, hours, lost)
