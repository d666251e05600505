"""Lines of a log file as ingest sees them, for tests: `judged(spark, source, "T07,2024-01-01 00:10:00,5")`."""

from __future__ import annotations

from typing import Any

from builders import INGESTED_AT, frame, source
from pyspark.sql import DataFrame, SparkSession

from turbine_health.sources import Source
from turbine_health.tables import bronze
from turbine_health.transforms.layouts import LAYOUT_SCHEMA, layout_of
from turbine_health.transforms.quality import to_judged_rows, with_signals

FILE = "file:/landing/T07.csv"


def one_signal(**options: Any) -> Source:
    """A source of one signal, `bearing_temp_c`, with these keys of its description."""
    signal = {"name": "bearing_temp_c", "column": "bearing_temp_c", "unit": "deg C", **options}
    return Source.model_validate({**source().model_dump(), "signals": [signal]})


def judged(spark: SparkSession, described: Source, *lines: str, header: str | None = None, file: str = FILE) -> DataFrame:
    """Rows of one file after `to_judged_rows`. The header names the described columns unless given."""
    if header is None:
        header = ",".join(["asset_id", "event_time", *(signal.column for signal in described.signals)])
    layout = layout_of(described, file, 0, header)
    received = [
        {"value": line, "_source": described.name, "_source_file": file, "_source_row": row, "_ingested_at": INGESTED_AT}
        for row, line in enumerate([header, *lines])
    ]
    layouts = spark.createDataFrame([layout.as_row()], LAYOUT_SCHEMA)
    rows = frame(spark, received, bronze(described.name))
    return rows.transform(to_judged_rows, layouts, described, layout.positions or None, 60)


def reasons(spark: SparkSession, described: Source, *lines: str, **where: str) -> list[list[str]]:
    """The reasons of each line, in order."""
    rows = judged(spark, described, *lines, **where).orderBy("_source_row").select("_reasons").collect()
    return [row["_reasons"].split("\x1f") if row["_reasons"] else [] for row in rows]


def values(spark: SparkSession, described: Source, *texts: str) -> list[tuple[float | None, str]]:
    """What becomes of each text of the first signal: the value and its flags."""
    signal = described.signals[0].name
    lines = [f"T07,2024-01-01 00:00:{second:02},{text}" for second, text in enumerate(texts)]
    rows = judged(spark, described, *lines).transform(with_signals, described).orderBy("_source_row")
    return [(row[signal], row["_value_flags"]) for row in rows.select(signal, "_value_flags").collect()]
