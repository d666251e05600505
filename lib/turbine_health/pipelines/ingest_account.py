"""The account of a batch: what came, where it is now, and whether the sums match."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from turbine_health.errors import DataError
from turbine_health.io.local_rows import local_rows
from turbine_health.pipelines.ingest_received import Received
from turbine_health.tables import CHANGED_HOURS, INGEST_RUNS, QUARANTINE
from turbine_health.transforms.layouts import Layout

SUPERSEDED = "superseded"


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


def record_account(
    received: Received, layouts: Sequence[Layout], changed: DataFrame, started: tuple[datetime, float]
) -> BatchAccount:
    """Count where the rows of the batch are now, refuse a sum that does not match, and write the account.

    Args:
        received: The batch, all its tables written.
        layouts: Of its files.
        changed: Hours of silver that it wrote, with `new_rows`.
        started: Wall clock and monotonic seconds.

    Raises:
        DataError: Rows received are neither in silver nor in quarantine, or in both.
    """
    set_aside = _set_aside(received)
    in_silver = int(changed.agg(F.coalesce(F.sum("new_rows"), F.lit(0))).collect()[0][0])
    superseded = sum(row["count"] for row in set_aside if SUPERSEDED in row["codes"])
    replaced = sum(row["count"] for row in set_aside if SUPERSEDED in row["codes"] and not row["is_of_batch"])
    rejected = sum(row["count"] for row in set_aside if SUPERSEDED not in row["codes"])
    account = BatchAccount(received.run_id, len(layouts), received.totals.rows, in_silver, rejected, superseded)
    if account.rows_in != in_silver + rejected + superseded - replaced:
        raise DataError(
            f"the sums do not match: {account} ({replaced:,} of them received earlier)",
            where=f"batch {received.run_id}",
            hint="the batch counts as not taken in; run again, and report this if it stays",
        )
    codes: dict[str, int] = {}
    for row in set_aside:
        for code in row["codes"]:
            codes[code] = codes.get(code, 0) + row["count"]
    # In one order, for two accounts of the same rows are to be the same.
    _write(received, layouts, started, account, dict(sorted(codes.items())))
    return account


def _set_aside(received: Received) -> list[Row]:
    """Rows that this batch put into quarantine or brought, counted by their codes; a handful of kinds."""
    if not received.store.exists(QUARANTINE):
        return []
    return (
        received.store.read(QUARANTINE)
        .where((F.col("_run_id") == received.run_id) | received.is_own)
        .select(
            F.transform("reasons", lambda reason: F.substring_index(reason, ":", 1)).alias("codes"),
            received.is_own.alias("is_of_batch"),
        )
        .groupBy("codes", "is_of_batch")
        .count()
        .collect()
    )


def _write(
    received: Received, layouts: Sequence[Layout], started: tuple[datetime, float], account: BatchAccount, codes: dict[str, int]
) -> None:
    began, clock = started
    store = received.store
    tables = [table for table in (received.silver, QUARANTINE, CHANGED_HOURS) if store.exists(table)]
    row = (
        account.run_id, received.source.name, began, datetime.now(timezone.utc), account.files, account.rows_in,
        account.rows_to_silver, account.rows_to_quarantine, account.rows_superseded, codes,
        [f"{layout.file}: {layout.problem}" for layout in layouts if layout.problem],
        sorted({name for layout in layouts for name in layout.new_columns}),
        {table.identifier: store.version(table) for table in tables},
        round(time.monotonic() - clock, 3),
    )  # fmt: skip
    store.append(local_rows(store.spark, [row], INGEST_RUNS.schema), INGEST_RUNS, received.transaction)
