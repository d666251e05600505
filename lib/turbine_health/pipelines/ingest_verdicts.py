"""What the quality rules say of the lines of one batch: plain ones are read by workers, `quality` judges the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import pandas as pd
import pyarrow as pa
from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import DoubleType, IntegerType, LongType, StringType, StructField, StructType, TimestampType

from turbine_health.io.delta import TableStore
from turbine_health.io.near import Near
from turbine_health.io.raw_files import as_received_at
from turbine_health.io.short_plans import for_few_rows
from turbine_health.io.workers import by_workers
from turbine_health.settings import Settings
from turbine_health.sources import Source
from turbine_health.tables import bronze
from turbine_health.transforms.kernels import Integers
from turbine_health.transforms.layouts import Layout, common_positions
from turbine_health.transforms.plain_forms import plain_rules
from turbine_health.transforms.plain_lines import telling_plain
from turbine_health.transforms.quality import to_judged_rows, to_verdicts
from turbine_health.transforms.reading_packs import DAY_PARTS, PACK, VERDICTS, choosing, counting_days, packing, unpacked

_LINES = ("value", "_source_file", "_source_row", "_ingested_at")
_KEYS = ("asset_id", "event_time", "_file_order", "_source_row", "_ingested_at")


@dataclass(frozen=True)
class Counted:
    """`days`: columns of `reading_packs.DAY_PARTS`, of the rows that belong in silver; `unusable`: how many others."""

    days: pd.DataFrame
    unusable: int


@dataclass(frozen=True)
class Verdicts:
    """Rows of a batch: `judged` one by one, as `quality.to_verdicts` leaves them, and `plain` ones, which are fine.

    `told` is what both come from; None: every row is judged.
    """

    source: Source
    judged: DataFrame
    told: DataFrame | None = None

    @property
    def readings(self) -> StructType:
        """Columns of the readings in `packs`."""
        signals = [StructField(signal.name, DoubleType()) for signal in self.source.signals]
        return StructType([
            StructField("asset_id", StringType()), StructField("event_time", TimestampType()), *signals,
            StructField("_value_flags", StringType()), StructField("_file_order", IntegerType()),
            StructField("_source_row", LongType()), StructField("_ingested_at", TimestampType()),
        ])  # fmt: skip

    @property
    def packs(self) -> DataFrame:
        """`reading_packs.PACK` of all rows that belong in silver."""
        return self._judged_packs if self.told is None else self._of_told("pack").union(self._judged_packs)

    @cached_property
    def counted(self) -> Counted:
        """Counted once; this is the pass that reads and judges every line of the batch."""
        parts = [] if self.told is None else [_rows(row["days"]) for row in self._of_told("days").collect()]
        columns = to_arrow_schema(StructType([self.readings[name] for name in _KEYS[:2]]), timezone="UTC")
        unusable = self.judged.where(F.col("_reasons").isNotNull()).agg(F.count("*").alias("readings"))
        judged = by_workers(self._judged_packs, counting_days(columns), DAY_PARTS)
        found = pd.concat([*parts, judged.unionByName(unusable, allowMissingColumns=True).toPandas()], ignore_index=True)
        is_unusable = found["asset_id"].isna()
        days = found[~is_unusable].astype(dict.fromkeys(DAY_PARTS.names[1:], "int64")).reset_index(drop=True)
        return Counted(days, int(found.loc[is_unusable, "readings"].sum()))

    def good_keys(self, hours: Mapping[str, Integers]) -> DataFrame:
        """Key, `_file_order`, `_source_row` and `_ingested_at` of all rows that belong in silver, in some hours since 1970."""
        columns = StructType([self.readings[name] for name in _KEYS])
        return by_workers(self.packs, choosing(hours, to_arrow_schema(columns, timezone="UTC")), columns)

    @property
    def _judged_packs(self) -> DataFrame:
        good = self.judged.where(F.col("_reasons").isNull())
        return by_workers(good.select(*self.readings.names), packing(), PACK)

    def _of_told(self, column: str) -> DataFrame:
        assert self.told is not None
        return self.told.select(column).where(F.col(column).isNotNull())

    @contextmanager
    def short_plans(self) -> Iterator[None]:
        """Where workers read the plain lines, few rows of a batch are Spark's own, and plans for them are not compiled."""
        with nullcontext() if self.told is None else for_few_rows(self.told.sparkSession):
            yield

    def unpersist(self) -> None:
        """Give back what is cached."""
        for cached in (self.judged, self.told):
            if cached is not None:
                cached.unpersist()


def _rows(pack: bytes) -> pd.DataFrame:
    rows: pd.DataFrame = unpacked([pa.scalar(pack, pa.binary())], to_arrow_schema(DAY_PARTS)).to_pandas()
    return rows


def judge(
    store: TableStore, settings: Settings, source: Source, received_at: datetime, layouts: Sequence[Layout], files: DataFrame
) -> Verdicts:
    """Judge the lines that bronze holds of one batch.

    Args:
        store: Where bronze is.
        settings: How far in the future a time may lie.
        source: The description.
        received_at: Of the batch.
        layouts: Of its files.
        files: The same, of `LAYOUT_SCHEMA`.
    """
    rules = plain_rules(source, layouts, received_at, settings.ingest.max_future_minutes)
    told = None
    if rules is None:
        lines = store.read(bronze(source.name)).where(F.col("_ingested_at") == received_at)
    else:
        of_batch = Near.at("_ingested_at", received_at)
        told = store.read_by_kernel(bronze(source.name), _LINES, telling_plain(rules), VERDICTS, near=of_batch)
        # On disk, for the rows of a batch are as large as the whole heap of a small driver.
        told = told.persist(StorageLevel.DISK_ONLY)
        lines = told.where(F.col("pack").isNull() & F.col("days").isNull()).select(
            "value", F.lit(source.name).alias("_source"), "_source_file", "_source_row", as_received_at(received_at)
        )
    judged = lines.transform(to_judged_rows, files, source, common_positions(layouts), settings.ingest.max_future_minutes)
    # Four queries need the verdicts.
    return Verdicts(source, judged.transform(to_verdicts, source).persist(StorageLevel.DISK_ONLY), told)
