"""Which rows a later one of the same turbine and time replaces, in the batch and in silver."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from turbine_health.pipelines.ingest_received import Received
from turbine_health.tables import PROVENANCE, QUARANTINE, bronze
from turbine_health.transforms.superseding import superseded_reasons, with_rank


@dataclass(frozen=True)
class Superseded:
    """Rows that a later row of the same key replaces: those of the batch, and those that silver held.

    `rows` is cached, with the columns of `_KEYED`, `_winner_file`, and `is_new`, true for those of the batch; None
    when there are none. `moments` and `sources` say where their lines are in bronze.
    """

    rows: DataFrame | None
    of_batch: int = 0
    of_silver: int = 0
    silver_times: tuple[datetime, datetime] | None = None
    moments: tuple[datetime, ...] = ()
    sources: tuple[str, ...] = ()

    def with_lines(self, received: Received) -> DataFrame:
        """The rows as quarantine holds them, but for `_quarantined_at`; their lines come from bronze."""
        assert self.rows is not None
        known = {source.name for source in received.settings.sources}
        tables = [bronze(name) for name in self.sources if name in known and received.store.exists(bronze(name))]
        lines = reduce(DataFrame.unionByName, (received.store.read(table) for table in tables))
        few = (
            lines.where(F.col("_ingested_at").isin(*self.moments))
            .join(F.broadcast(self.rows.select(*PROVENANCE)), on=list(PROVENANCE), how="left_semi")
            .select(*PROVENANCE, "value")
        )
        return (
            self.rows.join(few, on=list(PROVENANCE), how="left")
            .withColumns({"reasons": superseded_reasons(F.col("_winner_file")), "_run_id": F.lit(received.run_id)})
            .select(*[name for name in QUARANTINE.schema.names if name != "_quarantined_at"])
        )


_KEYED = ("asset_id", "event_time", "_source", "_source_file", "_source_row", "_ingested_at", "_file_order", "is_new")


def find_superseded(received: Received, neighbours: DataFrame | None) -> Superseded:
    """Find them, in the hours whose keys are not proven unique."""
    if received.totals.unproven_hours == 0 and neighbours is None:
        return Superseded(None)
    rows = _superseded_rows(received, neighbours).persist()
    is_old = ~F.col("is_new")
    old_time = F.when(is_old, F.col("event_time"))
    found = rows.agg(
        F.count_if("is_new"), F.count_if(is_old), F.min(old_time), F.max(old_time),
        F.collect_set("_ingested_at"), F.collect_set("_source"),
    ).head()  # fmt: skip
    assert found is not None
    of_batch, of_silver, first, last, moments, sources = found
    if not of_batch + of_silver:
        return Superseded(None)
    return Superseded(rows, of_batch, of_silver, (first, last) if of_silver else None, tuple(moments), tuple(sources))


def _superseded_rows(received: Received, neighbours: DataFrame | None) -> DataFrame:
    suspects = received.hours.where(F.col("asset_id").isNotNull() & ~F.col("is_unique")).select("asset_id", "hour_start")
    old = None
    if neighbours is not None:
        old = neighbours.withColumn("is_new", F.lit(False)).select(*_KEYED)
        suspects = suspects.union(old.select("asset_id", _hour())).distinct()
    files = received.files.select("_file_order", "_source_file")
    new = (
        received.good.join(F.broadcast(files), on="_file_order", how="left")
        .withColumns({"_source": F.lit(received.source.name), "is_new": F.lit(True)})
        .select(*_KEYED)
    )
    candidates = (new if old is None else new.unionByName(old)).withColumn("hour_start", _hour())
    suspected = candidates.join(suspects, on=["asset_id", "hour_start"], how="left_semi")
    return suspected.transform(with_rank).where(F.col("rank") > 1).select(*_KEYED, "_winner_file")


def _hour() -> Column:
    return F.date_trunc("HOUR", F.col("event_time")).alias("hour_start")
