"""Which rows a later one of the same turbine and time replaces, in the batch and in silver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import reduce

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from turbine_health.io.delta import TableStore
from turbine_health.io.near import Near
from turbine_health.pipelines.ingest_received import Received
from turbine_health.tables import PROVENANCE, QUARANTINE, Table, bronze
from turbine_health.transforms.bronze_lines import lines_at
from turbine_health.transforms.kernels import Integers
from turbine_health.transforms.reading_packs import HOUR
from turbine_health.transforms.superseding import superseded_reasons, suspected_hours, with_rank


@dataclass(frozen=True)
class Superseded:
    """Rows that a later row of the same key replaces: those of the batch, and those that silver held.

    `rows` is cached, with the columns of `_KEYED`, `_winner_file`, and `is_new`, true for those of the batch; None
    when there are none. `moments` and `sources` say where their lines are in bronze.
    """

    rows: DataFrame | None
    of_batch: int = 0
    moments: tuple[datetime, ...] = ()
    sources: tuple[str, ...] = ()

    def with_lines(self, received: Received) -> DataFrame:
        """The rows as quarantine holds them, but for `_quarantined_at`; their lines come from bronze."""
        assert self.rows is not None
        known = {source.name for source in received.settings.sources}
        tables = [bronze(name) for name in self.sources if name in known and received.store.exists(bronze(name))]
        of_file = self.rows.groupBy("_source_file").agg(F.collect_list("_source_row").alias("rows")).toPandas()
        wanted = {str(file): np.asarray(rows, dtype=np.int64) for file, rows in of_file.itertuples(index=False)}
        lines = reduce(DataFrame.union, (_lines(received.store, table, wanted, self.moments) for table in tables))
        return (
            self.rows.join(lines, on=list(PROVENANCE), how="left")
            .withColumns({"reasons": superseded_reasons(F.col("_winner_file")), "_run_id": F.lit(received.run_id)})
            .select(*[name for name in QUARANTINE.schema.names if name != "_quarantined_at"])
        )


_KEYED = ("asset_id", "event_time", "_source", "_source_file", "_source_row", "_ingested_at", "_file_order", "is_new")


def find_superseded(received: Received, neighbours: DataFrame | None) -> Superseded:
    """Find them, in the hours whose keys are not proven unique."""
    suspects = suspected_hours(received.verdicts.counted.days)
    if neighbours is not None:
        suspects = pd.concat([suspects, _hours_of(neighbours)]).drop_duplicates()
    if suspects.empty:
        return Superseded(None)
    rows = _superseded_rows(received, neighbours, suspects).persist()
    found = rows.agg(F.count("*"), F.count_if("is_new"), F.collect_set("_ingested_at"), F.collect_set("_source")).head()
    assert found is not None
    of_all, of_batch, moments, sources = found
    if not of_all:
        rows.unpersist()
        return Superseded(None)
    return Superseded(rows, of_batch, tuple(moments), tuple(sources))


def _superseded_rows(received: Received, neighbours: DataFrame | None, suspects: pd.DataFrame) -> DataFrame:
    files = received.files.select("_file_order", "_source_file")
    hours = {str(name): np.unique(of_turbine.to_numpy()) for name, of_turbine in suspects.groupby("asset_id")["hour"]}
    candidates = (
        received.verdicts.good_keys(hours)
        .join(F.broadcast(files), on="_file_order", how="left")
        .withColumns({"_source": F.lit(received.source.name), "is_new": F.lit(True)})
        .select(*_KEYED)
    )
    if neighbours is not None:
        candidates = candidates.unionByName(neighbours.withColumn("is_new", F.lit(False)).select(*_KEYED))
    return candidates.transform(with_rank).where(F.col("rank") > 1).select(*_KEYED, "_winner_file")


def _lines(store: TableStore, table: Table, wanted: Mapping[str, Integers], moments: Sequence[datetime]) -> DataFrame:
    """Lines of bronze with these row numbers, file by file, of batches received then; with their `PROVENANCE`."""
    columns = StructType([table.schema[name] for name in (*PROVENANCE, "value")])
    of_batches = Near.at("_ingested_at", *(moment.astimezone(timezone.utc) for moment in moments))
    return store.read_by_kernel(table, columns.names, lines_at(wanted), columns, near=of_batches)


def _hours_of(neighbours: DataFrame) -> pd.DataFrame:
    """Hours in which silver holds neighbours: `asset_id`; `hour`, since 1970."""
    hour = F.expr(f"unix_micros(event_time) div {HOUR}").alias("hour")
    hours: pd.DataFrame = neighbours.select("asset_id", hour).distinct().toPandas()
    return hours
