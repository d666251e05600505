"""Small tables for tests, by the catalog's schemas, stating only what the test is about.

    readings(spark, "T07", "2024-01-01 00:00", bearing_temp_c=[60, 61, None])
    lives(spark, ("T07", "2024-01-01", "2024-02-01", "gearbox"), ("T07", "2024-02-03", "2024-03-01"))
    examples(spark, "T07", "2024-01-01", bearing_temp_c__mean_24h=[60.0, 61.0], failure_within_7d=[0, 1])

Times are ISO text and mean UTC. Several turbines: `readings(...).unionByName(readings(...))`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StringType, StructField, StructType

from turbine_health.io.workers import by_workers
from turbine_health.settings import IngestSettings, Settings
from turbine_health.sources import Source
from turbine_health.tables import (
    ASSET_EVENTS,
    ASSET_LIVES,
    Table,
    feature_columns,
    sensor_readings,
    training_examples,
    window_features,
)
from turbine_health.transforms.health import flag_kernels
from turbine_health.transforms.reading_packs import PACK, SLICES, packing
from turbine_health.transforms.slicing import Slicing

# Three centuries from 1970 in one piece.
ONE_SLICE = Slicing(chunk_seconds=10_000_000_000, chunks=1, turbine_shares=1)
INGESTED_AT = datetime(2030, 1, 1, tzinfo=timezone.utc)


def utc(text: str) -> datetime:
    """`2024-01-01 00:10` as an aware time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


def times(start: str, count: int, every_minutes: float) -> list[datetime]:
    """`count` times from `start` in equal steps."""
    return [utc(start) + timedelta(minutes=every_minutes * step) for step in range(count)]


def frame(spark: SparkSession, rows: Sequence[Mapping[str, Any]], schema: StructType | Table) -> DataFrame:
    """Rows given as mappings; a column that a row does not name is null. Numbers may be whole."""
    fields = (schema.schema if isinstance(schema, Table) else schema).fields
    unknown = {name for row in rows for name in row} - {field.name for field in fields}
    assert not unknown, f"no such column: {sorted(unknown)}"
    as_number = {field.name for field in fields if field.dataType.typeName() == "double"}
    tuples = [
        tuple(
            float(row[field.name]) if field.name in as_number and row.get(field.name) is not None else row.get(field.name)
            for field in fields
        )
        for row in rows
    ]
    return spark.createDataFrame(tuples, StructType(fields))


def readings(
    spark: SparkSession,
    asset_id: str,
    start: str,
    *,
    every_minutes: float = 10,
    quality_flags: Sequence[Sequence[str]] = (),
    **signals: Sequence[float | None],
) -> DataFrame:
    """silver.sensor_readings of one turbine: one row a step, from lists of equal length."""
    moments = times(start, _length(signals), every_minutes)
    rows = [
        {
            "asset_id": asset_id,
            "event_time": moment,
            "quality_flags": list(quality_flags[number]) if quality_flags else [],
            "_source": "tests",
            "_source_file": f"{asset_id}.csv",
            "_source_row": number + 1,
            "_ingested_at": INGESTED_AT,
            **{name: values[number] for name, values in signals.items()},
        }
        for number, moment in enumerate(moments)
    ]
    return frame(spark, rows, sensor_readings(list(signals)))


def lives(spark: SparkSession, *runs: tuple[str, ...]) -> DataFrame:
    """silver.asset_lives from `(asset_id, start, end)` for a running life, plus a failure mode for one that failed.

    Lives are numbered by turbine in the order given; a failed life's `down_until` is the next one's start.
    """
    rows: list[dict[str, Any]] = []
    for asset_id, start, end, *failure_mode in runs:
        earlier = [row for row in rows if row["asset_id"] == asset_id]
        if earlier:
            earlier[-1].update(down_until=utc(start), is_running=False)
        rows.append({
            "asset_id": asset_id,
            "life_number": len(earlier) + 1,
            "life_start": utc(start),
            "life_end": utc(end),
            "ended_in_failure": bool(failure_mode),
            "is_running": not failure_mode,
            "failure_mode": failure_mode[0] if failure_mode else None,
        })  # fmt: skip
    return frame(spark, rows, ASSET_LIVES)


def events(spark: SparkSession, *entries: tuple[str, str, str, str | None, str | None]) -> DataFrame:
    """silver.asset_events from `(asset_id, event_type, started_at, ended_at, component)`."""
    rows = [
        {
            "asset_id": asset_id,
            "event_type": event_type,
            "started_at": utc(started_at),
            "ended_at": utc(ended_at) if ended_at else None,
            "component": component,
            "_source": "tests",
        }
        for asset_id, event_type, started_at, ended_at, component in entries
    ]
    return frame(spark, rows, ASSET_EVENTS)


def windows(
    spark: SparkSession, asset_id: str, first_window_end: str, *, every_hours: float = 24, **columns: Sequence[Any]
) -> DataFrame:
    """gold.window_features of one turbine from lists of equal length; coverage is full and data fresh unless given."""
    rows = _window_rows(asset_id, first_window_end, every_hours, columns)
    return frame(spark, rows, window_features(feature_columns(columns)))


def examples(
    spark: SparkSession, asset_id: str, first_window_end: str, *, every_hours: float = 24, **columns: Sequence[Any]
) -> DataFrame:
    """gold.training_examples of one turbine from lists of equal length; observed, in life 1, unless given."""
    defaults = {"is_censored": False, "label_status": "observed", "life_number": 1}
    rows = [{**defaults, **row} for row in _window_rows(asset_id, first_window_end, every_hours, columns)]
    return frame(spark, rows, training_examples(feature_columns(columns)))


def source(name: str = "tests", signals: Sequence[str] = ("active_power_kw", "bearing_temp_c"), **changes: Any) -> Source:
    """A CSV source with `asset_id`, `event_time` and one column a signal, named like the signal, and an event log."""
    values: dict[str, Any] = {
        "name": name,
        "files": {"path": "landing/*.csv"},
        "asset_id": {"column": "asset_id"},
        "time": {"timestamp": {"column": "event_time", "time_zone": "UTC"}},
        "sampling_minutes": 10,
        "signals": [{"name": signal, "column": signal, "unit": signal.rpartition("_")[2]} for signal in signals],
        "failures": {"kind": "event_log", "path": "landing/events.csv"},
        **changes,
    }
    return Source.model_validate(values)


def settings(**sections: Any) -> Settings:
    """Default settings with whole or partial sections replaced: `settings(features={"lookback_hours": [24]})`."""
    return Settings.model_validate(sections)


def _window_rows(asset_id: str, first: str, every_hours: float, columns: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    return [
        {
            "asset_id": asset_id,
            "window_end": window_end,
            "coverage": 1.0,
            "data_age_hours": 0.0,
            **{name: values[number] for name, values in columns.items()},
        }
        for number, window_end in enumerate(times(first, _length(columns), every_hours * 60))
    ]


def with_health_flags(
    readings: DataFrame,
    source: Source,
    settings: IngestSettings,
    slicing: Slicing = ONE_SLICE,
    latest_by: Sequence[str] = (),
) -> DataFrame:
    """Add `_health_flags`, as ingest finds them."""
    cut, flag = flag_kernels(to_arrow_schema(readings.schema, timezone="UTC"), source, settings, slicing, latest_by)
    slices = by_workers(by_workers(readings, packing(), PACK), cut, SLICES)
    flagged = StructType([*readings.schema.fields, StructField("_health_flags", StringType())])
    return by_workers(slices.repartitionById(slicing.partitions, "partition"), flag, flagged)


def _length(columns: Mapping[str, Sequence[Any]]) -> int:
    lengths = {len(values) for values in columns.values()}
    assert len(lengths) == 1, f"lists of one length, please: { {name: len(values) for name, values in columns.items()} }"
    return lengths.pop()
