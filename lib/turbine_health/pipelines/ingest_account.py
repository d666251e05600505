"""The account of a batch: what came, where it is now, and whether the sums match."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from pyspark.sql import functions as F

from turbine_health.errors import DataError
from turbine_health.pipelines.ingest_silver import Received
from turbine_health.tables import CHANGED_HOURS, INGEST_RUNS, QUARANTINE
from turbine_health.transforms.layouts import Layout

logger = logging.getLogger("turbine_health")


@dataclass(frozen=True)
class BatchAccount:
    """Where the rows of one batch are, counted in the tables after all writes."""

    run_id: str
    files: int
    rows_in: int
    rows_to_silver: int
    rows_to_quarantine: int
    rows_superseded: int

    def __str__(self) -> str:
        return (
            f"{self.rows_in:,} rows of {self.files:,} files: {self.rows_to_silver:,} to silver, "
            f"{self.rows_to_quarantine:,} to quarantine, {self.rows_superseded:,} superseded"
        )


def record_account(received: Received, layouts: Sequence[Layout], started: tuple[datetime, float]) -> BatchAccount:
    """Count where the rows of the batch are now, refuse a sum that does not match, and write the account.

    Raises:
        DataError: Rows received are neither in silver nor in quarantine, or in both.
    """
    is_superseded = F.exists("reasons", lambda reason: reason.startswith("superseded: "))
    is_own = F.col("_ingested_at") == received.received_at
    is_of_source = F.col("_source") == received.source.name
    reasons: dict[str, int] = {}
    set_aside, superseded, replaced = 0, 0, 0
    store = received.store
    if store.exists(QUARANTINE):
        by_code = (
            store.read(QUARANTINE)
            .where(F.col("_run_id") == received.run_id)
            .select(
                F.transform("reasons", lambda reason: F.substring_index(reason, ":", 1)).alias("codes"),
                is_own.alias("own"),
                is_superseded.alias("superseded"),
            )
            .groupBy("codes", "own", "superseded")
            .count()
            .collect()
        )
        for row in by_code:
            for code in row["codes"]:
                reasons[code] = reasons.get(code, 0) + row["count"]
            superseded += row["count"] if row["superseded"] else 0
            replaced += row["count"] if row["superseded"] and not row["own"] else 0
            set_aside += row["count"] if not row["superseded"] else 0
    in_silver = (
        store.read(received.silver).where(is_own & is_of_source & (F.col("_run_id") == received.run_id)).count()
        if store.exists(received.silver)
        else 0
    )
    account = BatchAccount(received.run_id, len(layouts), received.totals.rows, in_silver, set_aside, superseded)
    if account.rows_in != in_silver + set_aside + superseded - replaced:
        raise DataError(
            f"the sums do not match: {account}", where=f"batch {received.run_id}", hint="the batch is not finished; run again"
        )
    _write(received, layouts, started, account, reasons)
    return account


def _write(
    received: Received,
    layouts: Sequence[Layout],
    started: tuple[datetime, float],
    account: BatchAccount,
    reasons: dict[str, int],
) -> None:
    began, clock = started
    store = received.store
    tables = [table for table in (received.silver, QUARANTINE, CHANGED_HOURS) if store.exists(table)]
    row = (
        account.run_id, received.source.name, began, datetime.now(timezone.utc), account.files, account.rows_in,
        account.rows_to_silver, account.rows_to_quarantine, account.rows_superseded, reasons,
        [f"{layout.file}: {layout.problem}" for layout in layouts if layout.problem],
        sorted({name for layout in layouts for name in layout.new_columns}),
        {table.identifier: store.version(table) for table in tables},
        round(time.monotonic() - clock, 3),
    )  # fmt: skip
    store.append(store.spark.createDataFrame([row], INGEST_RUNS.schema), INGEST_RUNS, received.transaction)
