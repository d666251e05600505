"""The same 84 features by other ways: 7 signals × mean, std, min, max × 24 h, 7 d, 30 d, hourly.

Each rival reads `readings` (Parquet: asset_id, event_time, signals), writes `out` (Parquet: asset_id,
window_end, features) and is written as its users would: sums of values and of squares, frames or rolling sums.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pyspark.sql import SparkSession

SIGNALS = (
    "wind_speed_m_s", "active_power_kw", "pitch_angle_deg", "vane_position_deg", "nacelle_angle_deg", "wind_direction_deg",
    "ambient_temp_c",
)  # fmt: skip
HOURS = (24, 168, 720)
STATISTICS = ("mean", "std", "min", "max")


def features_sql(over: str, count: str, total: str, square: str, low: str, high: str) -> str:
    """Select list of all features; `over` is a window per look-back, the others aggregates with {s} for the signal."""
    columns = []
    for signal in SIGNALS:
        for hours in HOURS:
            n, t, q, lo, hi = (
                f"{part.format(s=signal)} {over.format(hours=hours)}" for part in (count, total, square, low, high)
            )
            columns += [
                f"({t}) / nullif({n}, 0) AS {signal}__mean_{hours}h",
                f"sqrt(greatest(({q}) - ({t}) * ({t}) / nullif({n}, 0), 0)"
                f" / nullif(greatest({n} - 1, 0), 0)) AS {signal}__std_{hours}h",
                f"{lo} AS {signal}__min_{hours}h",
                f"{hi} AS {signal}__max_{hours}h",
            ]
    return ",\n".join(columns)


def cells_sql(hour: str) -> str:
    """Hourly cells of every signal."""
    parts = [
        f"count({s}) AS {s}_n, sum({s}) AS {s}_t, sum({s} * {s}) AS {s}_q, min({s}) AS {s}_lo, max({s}) AS {s}_hi"
        for s in SIGNALS
    ]
    return f"SELECT asset_id, {hour} AS hour, {', '.join(parts)} FROM readings GROUP BY ALL"


CELL_FRAMES = {
    "count": "sum({s}_n)",
    "total": "sum({s}_t)",
    "square": "sum({s}_q)",
    "low": "min({s}_lo)",
    "high": "max({s}_hi)",
}
RAW_FRAMES = {"count": "count({s})", "total": "sum({s})", "square": "sum({s} * {s})", "low": "min({s})", "high": "max({s})"}
DUCKDB_READINGS = (
    "CREATE VIEW readings AS SELECT * REPLACE (event_time::TIMESTAMPTZ AS event_time) FROM read_parquet('{readings}/*.parquet')"
)


def duckdb_cells(readings: Path, out: Path) -> None:
    """DuckDB: hourly cells, then frames of rows over a gapless grid."""
    import duckdb

    windows = ", ".join(
        f"w{h} AS (PARTITION BY asset_id ORDER BY hour ROWS BETWEEN {h - 1} PRECEDING AND CURRENT ROW)" for h in HOURS
    )
    database = duckdb.connect()
    database.sql("SET TimeZone = 'UTC'; SET threads = 2")
    database.sql(DUCKDB_READINGS.format(readings=readings))
    hourly = cells_sql("date_trunc('hour', event_time)")
    database.sql(f"CREATE TABLE cells AS {hourly}")
    database.sql(
        f"COPY (WITH spans AS (SELECT asset_id, min(hour) AS a, max(hour) AS b FROM cells GROUP BY asset_id),"
        " grid AS (SELECT asset_id, unnest(generate_series(a, b, INTERVAL 1 HOUR)) AS hour FROM spans)"
        f" SELECT asset_id, hour + INTERVAL 1 HOUR AS window_end, {features_sql('OVER w{hours}', **CELL_FRAMES)}"
        f" FROM grid LEFT JOIN cells USING (asset_id, hour) WINDOW {windows}) TO '{out}' (FORMAT parquet)"
    )


def duckdb_raw(readings: Path, out: Path) -> None:
    """DuckDB: frames of time over the raw readings, asked at every full hour."""
    import duckdb

    windows = ", ".join(
        f"w{h} AS (PARTITION BY asset_id ORDER BY moment RANGE BETWEEN INTERVAL {h} HOURS PRECEDING"
        " AND INTERVAL 1 MICROSECOND PRECEDING)"
        for h in HOURS
    )
    nulls = ", ".join(f"NULL::DOUBLE AS {s}" for s in SIGNALS)
    database = duckdb.connect()
    database.sql("SET TimeZone = 'UTC'; SET threads = 2")
    database.sql(DUCKDB_READINGS.format(readings=readings))
    database.sql(
        "COPY (WITH spans AS (SELECT asset_id, date_trunc('hour', min(event_time)) AS a,"
        " date_trunc('hour', max(event_time)) AS b FROM readings GROUP BY asset_id),"
        " grid AS (SELECT asset_id, unnest(generate_series(a, b, INTERVAL 1 HOUR)) + INTERVAL 1 HOUR AS moment FROM spans),"
        f" rows AS (SELECT asset_id, event_time AS moment, false AS is_grid, {', '.join(SIGNALS)} FROM readings"
        f" UNION ALL SELECT asset_id, moment, true, {nulls} FROM grid),"
        f" framed AS (SELECT asset_id, moment AS window_end, is_grid, {features_sql('OVER w{hours}', **RAW_FRAMES)} FROM rows"
        f" WINDOW {windows}) SELECT * EXCLUDE (is_grid) FROM framed WHERE is_grid) TO '{out}' (FORMAT parquet)"
    )


def polars_streaming(readings: Path, out: Path) -> None:
    """The same by Polars' streaming engine, as far as it goes."""
    polars_cells(readings, out, engine="streaming")


def polars_cells(readings: Path, out: Path, engine: Literal["in-memory", "streaming"] = "in-memory") -> None:
    """Polars: hourly cells, then rolling sums, minima and maxima over a gapless grid."""
    import polars as pl

    parts = [
        part
        for s in SIGNALS
        for part in (
            pl.col(s).count().cast(pl.Float64).alias(f"{s}_n"),
            pl.col(s).sum().alias(f"{s}_t"),
            (pl.col(s) * pl.col(s)).sum().alias(f"{s}_q"),
            pl.col(s).min().alias(f"{s}_lo"),
            pl.col(s).max().alias(f"{s}_hi"),
        )
    ]
    hour = pl.col("event_time").dt.truncate("1h").alias("hour")
    cells = pl.scan_parquet(f"{readings}/*.parquet").group_by("asset_id", hour).agg(parts).collect(engine=engine)
    spans = cells.group_by("asset_id").agg(pl.col("hour").min().alias("a"), pl.col("hour").max().alias("b"))
    grid = spans.select("asset_id", pl.datetime_ranges("a", "b", "1h").alias("hour")).explode("hour")
    dense = grid.join(cells, on=["asset_id", "hour"], how="left").sort("asset_id", "hour")
    features = [pl.col("asset_id"), (pl.col("hour") + pl.duration(hours=1)).alias("window_end")]
    for s in SIGNALS:
        for h in HOURS:
            roll = {"window_size": h, "min_samples": 1}
            n, t, q = (pl.col(f"{s}_{part}").fill_null(0).rolling_sum(**roll).over("asset_id") for part in "ntq")
            some, more = pl.when(n > 0).then(n), pl.when(n > 1).then(n - 1)
            features += [
                (t / some).alias(f"{s}__mean_{h}h"),
                (((q - t * t / some).clip(0)) / more).sqrt().alias(f"{s}__std_{h}h"),
                pl.col(f"{s}_lo").rolling_min(**roll).over("asset_id").alias(f"{s}__min_{h}h"),
                pl.col(f"{s}_hi").rolling_max(**roll).over("asset_id").alias(f"{s}__max_{h}h"),
            ]
    dense.lazy().select(features).sink_parquet(out, engine=engine)


def pandas_cells(readings: Path, out: Path) -> None:
    """pandas: hourly cells, then rolling sums, minima and maxima turbine by turbine."""
    import numpy as np
    import pandas as pd

    raw = pd.read_parquet(readings)
    raw["hour"] = raw["event_time"].dt.floor("h")
    columns = list(SIGNALS)
    grouped = raw.groupby(["asset_id", "hour"])[columns]
    parts = {"n": grouped.count(), "t": grouped.sum(), "lo": grouped.min(), "hi": grouped.max()}
    parts["q"] = (raw[columns] ** 2).groupby([raw["asset_id"], raw["hour"]]).sum()
    turbines = []
    for asset_id in raw["asset_id"].unique():
        own = {name: part.loc[asset_id].asfreq("h") for name, part in parts.items()}
        values = {}
        for h in HOURS:
            n, t, q = (own[name].fillna(0).rolling(h, min_periods=1).sum() for name in "ntq")
            n = n.round()
            some = n.where(n > 0)
            spread = ((q - t * t / some).clip(lower=0) / (n - 1).where(n > 1)) ** 0.5
            low, high = own["lo"].rolling(h, min_periods=1).min(), own["hi"].rolling(h, min_periods=1).max()
            for statistic, frame in zip(STATISTICS, (t / some, spread, low, high), strict=True):
                values.update({f"{s}__{statistic}_{h}h": frame[s] for s in columns})
        frame = pd.DataFrame(values)
        frame.insert(0, "window_end", frame.index + np.timedelta64(1, "h"))
        frame.insert(0, "asset_id", asset_id)
        turbines.append(frame)
    pd.concat(turbines, ignore_index=True).to_parquet(out)


def spark_cells(spark: SparkSession, readings: Path, out: Path) -> None:
    """Spark: hourly cells, then frames of rows over a gapless grid."""
    windows = ", ".join(
        f"w{h} AS (PARTITION BY asset_id ORDER BY hour ROWS BETWEEN {h - 1} PRECEDING AND CURRENT ROW)" for h in HOURS
    )
    spark.read.parquet(str(readings)).createOrReplaceTempView("readings")
    spark.sql(cells_sql("date_trunc('hour', event_time)")).createOrReplaceTempView("cells")
    spark.sql(
        "WITH spans AS (SELECT asset_id, min(hour) AS a, max(hour) AS b FROM cells GROUP BY asset_id),"
        " grid AS (SELECT asset_id, explode(sequence(a, b, INTERVAL 1 HOUR)) AS hour FROM spans)"
        f" SELECT asset_id, hour + INTERVAL 1 HOUR AS window_end, {features_sql('OVER w{hours}', **CELL_FRAMES)}"
        f" FROM grid LEFT JOIN cells USING (asset_id, hour) WINDOW {windows}"
    ).write.parquet(str(out))


def spark_raw(spark: SparkSession, readings: Path, out: Path) -> None:
    """Spark: frames of time over the raw readings, asked at every full hour (the way of public turbine demos)."""
    windows = ", ".join(
        f"w{h} AS (PARTITION BY asset_id ORDER BY at RANGE BETWEEN {h * 3_600_000_000} PRECEDING AND 1 PRECEDING)"
        for h in HOURS
    )
    nulls = ", ".join(f"CAST(NULL AS DOUBLE) AS {s}" for s in SIGNALS)
    spark.read.parquet(str(readings)).createOrReplaceTempView("readings")
    spark.sql(
        "WITH spans AS (SELECT asset_id, date_trunc('hour', min(event_time)) AS a, date_trunc('hour', max(event_time)) AS b"
        " FROM readings GROUP BY asset_id),"
        " grid AS (SELECT asset_id, explode(sequence(a, b, INTERVAL 1 HOUR)) AS hour FROM spans),"
        f" rows AS (SELECT asset_id, unix_micros(event_time) AS at, false AS is_grid, {', '.join(SIGNALS)} FROM readings"
        f" UNION ALL SELECT asset_id, unix_micros(hour + INTERVAL 1 HOUR), true, {nulls} FROM grid),"
        f" framed AS (SELECT asset_id, timestamp_micros(at) AS window_end, is_grid,"
        f" {features_sql('OVER w{hours}', **RAW_FRAMES)} FROM rows WINDOW {windows}) SELECT * FROM framed WHERE is_grid"
    ).drop("is_grid").write.parquet(str(out))


WITHOUT_SPARK: dict[str, Callable[[Path, Path], None]] = {
    "polars": polars_cells, "polars_streaming": polars_streaming, "duckdb_cells": duckdb_cells, "duckdb_raw": duckdb_raw,
    "pandas": pandas_cells,
}  # fmt: skip
WITH_SPARK = {"spark_cells": spark_cells, "spark_raw": spark_raw}
