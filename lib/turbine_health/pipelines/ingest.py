"""Take raw logs in: every row ever received ends in silver or in quarantine, exactly once."""

from __future__ import annotations

import itertools
import logging
import time
from dataclasses import astuple, dataclass

from turbine_health.errors import SettingsError
from turbine_health.io.delta import TableStore
from turbine_health.io.feeds import headers_there, require_logs, take_new_logs
from turbine_health.io.raw_files import Batch, has_begun
from turbine_health.pipelines.ingest_account import BatchAccount
from turbine_health.pipelines.ingest_batch import take_batch
from turbine_health.pipelines.ingest_lives import update_lives
from turbine_health.settings import Settings
from turbine_health.sources import Source
from turbine_health.tables import sensor_readings
from turbine_health.transforms.layouts import layout_of, refuse_unless_some_fit

logger = logging.getLogger("turbine_health")


@dataclass(frozen=True)
class IngestSummary:
    """What one run took in, over all sources and batches."""

    batches: int
    files: int
    rows_in: int
    rows_to_silver: int
    rows_to_quarantine: int
    rows_superseded: int

    def __add__(self, other: IngestSummary) -> IngestSummary:
        return IngestSummary(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))

    def __str__(self) -> str:
        if not self.batches:
            return "nothing new"
        return (
            f"{self.rows_in:,} rows of {self.files:,} files: {self.rows_to_silver:,} in silver, "
            f"{self.rows_to_quarantine:,} in quarantine, {self.rows_superseded:,} superseded"
        )


def ingest(store: TableStore, settings: Settings) -> IngestSummary:
    """Take in every file that is new, of every source.

    Raises:
        SourceError: A path that names nothing, or a description that fits no file.
        TableError: The lake was written by another version of this project, or cannot be written.
        ConcurrentRunError: Another run takes in the same files.
        DataError: The sums do not match.
    """
    if not settings.sources:
        raise SettingsError(
            "no source of logs is named", where="sources", hint="name a file such as conf/sources/simulated.yaml"
        )
    store.require_writable()
    for source in settings.sources:
        require_logs(store.spark, source)
        _require_fit(store, settings, source)
    prepare_silver(store, settings)
    accounts = [account for source in settings.sources for account in _ingest_source(store, settings, source)]
    update_lives(store, settings)
    return _summary(accounts)


def ingest_continuously(
    store: TableStore, settings: Settings, *, pause_seconds: float = 30, passes: int | None = None
) -> IngestSummary:
    """Take in what is new as it arrives: one `ingest` after the other, so it leaves what they leave.

    Args:
        store: The lake.
        settings: The sources, and how their logs are taken in.
        pause_seconds: Between the end of one look at the sources and the next.
        passes: Looks to take; None: until interrupted.

    Returns:
        All that was taken in.

    Raises:
        TurbineHealthError: As `ingest`; what was taken in by then stays.
    """
    total = IngestSummary(0, 0, 0, 0, 0, 0)
    for look in itertools.count(1) if passes is None else range(1, passes + 1):
        if look > 1:
            time.sleep(pause_seconds)
        found = ingest(store, settings)
        if found.batches:
            logger.info("%s", found)
        total = total + found
    return total


def _require_fit(store: TableStore, settings: Settings, source: Source) -> None:
    """Refuse a description that fits no file before a stream is begun.

    Once Spark has planned a batch it brings the same files again, whatever is mended.
    """
    if not has_begun(store.spark, settings.storage.checkpoint(source.name)):
        headers = headers_there(store.spark, source)
        refuse_unless_some_fit(source, (layout_of(source, uri, 0, line) for uri, line in headers))


def prepare_silver(store: TableStore, settings: Settings) -> None:
    """Add the columns of signals that are new; refuse a lake of any other schema before a file is taken."""
    silver = sensor_readings(settings.signal_names)
    if not store.exists(silver):
        return
    added = store.add_missing(silver, settings.signal_names)
    if added:
        logger.info("%s: added %s, null in the rows there are", silver.identifier, ", ".join(added))
    store.read(silver)


def _ingest_source(store: TableStore, settings: Settings, source: Source) -> list[BatchAccount]:
    accounts: list[BatchAccount] = []

    def take(batch: Batch) -> None:
        logger.info("%s: taking in batch %d, %d files", source.name, batch.number, len(batch.files))
        account = take_batch(store, settings, source, batch)
        logger.info("%s: batch %d: %s", source.name, batch.number, account)
        accounts.append(account)

    take_new_logs(store.spark, source, settings.storage.checkpoint(source.name), settings.ingest.max_batch_mb, take)
    return accounts


def _summary(accounts: list[BatchAccount]) -> IngestSummary:
    return IngestSummary(
        batches=len(accounts),
        files=sum(account.files for account in accounts),
        rows_in=sum(account.rows_in for account in accounts),
        rows_to_silver=sum(account.rows_to_silver for account in accounts),
        rows_to_quarantine=sum(account.rows_to_quarantine for account in accounts),
        rows_superseded=sum(account.rows_superseded for account in accounts),
    )
