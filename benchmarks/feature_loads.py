"""What the feature benchmark builds from: the real wind farm, or a made-up fleet, as ingest would leave it behind."""

from __future__ import annotations

import os
import shutil
from contextlib import AbstractContextManager
from pathlib import Path

from feature_rivals import HOURS, SIGNALS, STATISTICS
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from turbine_health.io.delta import TableStore
from turbine_health.io.session import spark_session
from turbine_health.settings import Settings, SparkSettings, StorageSettings, load_settings
from turbine_health.tables import ASSET_LIVES, CHANGED_HOURS, sensor_readings

REAL = "la_haute_borne"
# Turbines and days of each made-up fleet; `fleet_tiny` only shows that the harness works.
FLEETS = {"fleet_tiny": (4, 60), "fleet_4m": (40, 730), "fleet_42m": (400, 730)}
READINGS_A_DAY = 144
STARTED = 1_577_836_800  # 2020-01-01
WORKER_MEMORY_GB = 2
LATE_ASSET = "T0000"


def late_day(load: str) -> int:
    """The day that is left out of the first load for one turbine, and comes four weeks late."""
    return FLEETS[load][1] - 27


def settings_for_benchmark() -> Settings:
    """84 features on an hourly grid."""
    return load_settings(
        "conf/la_haute_borne.yaml",
        overrides=[
            "features.every_hours=1", f"features.lookback_hours={list(HOURS)}", f"features.statistics={list(STATISTICS)}",
            "features.asset_statistics=[]", f"features.signals={list(SIGNALS)}",
        ],
    )  # fmt: skip


def small_session(name: str, java_options: str = "") -> AbstractContextManager[SparkSession]:
    """Two cores, 4 GB of heap, 2 GB for each Python worker; `java_options` as the job has them that is measured.

    Spark divides the Python memory by the cores of an executor, which in local mode are one unless set; the run
    looks at a worker's own limit and refuses any other (`worker_limit_gb`).
    """
    limits = {"spark.executor.pyspark.memory": f"{WORKER_MEMORY_GB}g", "spark.sql.files.maxPartitionBytes": "64m"}
    settings = SparkSettings(master="local[2]", driver_memory="4g", shuffle_partitions=4, conf=limits)
    return spark_session(name, settings, java_options)


def worker_limit_gb(spark: SparkSession) -> float:
    """The memory that a Python worker may map, GB, as the worker itself sees it."""

    def limit(_: int) -> float:
        import resource

        return resource.getrlimit(resource.RLIMIT_AS)[0] / 2**30

    return float(spark.sparkContext.parallelize([0], 1).map(limit).first())


def prepare(work: Path, load: str) -> None:
    """silver.sensor_readings, silver.asset_lives and ops.changed_hours of one load."""
    settings = settings_for_benchmark()
    shutil.rmtree(work / load, ignore_errors=True)
    with small_session("prepare") as spark:
        store = TableStore(spark, StorageSettings(root=str(work / load / "lake")))
        take_in(store, la_haute_borne(spark) if load == REAL else first_load(spark, load), settings, "first")


def first_load(spark: SparkSession, load: str) -> DataFrame:
    """The whole fleet but the day that comes late."""
    turbines, days = FLEETS[load]
    start = F.lit(STARTED + late_day(load) * 86_400)
    seconds = F.unix_seconds("event_time")
    is_late = (F.col("asset_id") == LATE_ASSET) & (seconds >= start) & (seconds < start + 86_400)
    return fleet(spark, turbines, 0, days).where(~is_late)


def take_in(store: TableStore, readings: DataFrame, settings: Settings, batch: str) -> None:
    """What ingest leaves behind."""
    table = sensor_readings(settings.signal_names)
    for each in table.schema:
        if each.name not in readings.columns:
            readings = readings.withColumn(each.name, _constant(each.name).cast(each.dataType))
    store.append(readings.select(*table.schema.names), table)
    silver = store.read(table)
    new = silver.where(F.col("_source_file") == batch) if batch != "first" else silver
    hours = new.select("asset_id", F.date_trunc("hour", "event_time").alias("hour_start")).distinct()
    store.append(hours.withColumn("run_id", F.lit(batch)), CHANGED_HOURS)
    spans = silver.groupBy("asset_id").agg(F.min("event_time").alias("life_start"), F.max("event_time").alias("last"))
    lives = spans.select(
        "asset_id",
        F.lit(1).alias("life_number"),
        "life_start",
        (F.col("last") + F.expr("INTERVAL 10 MINUTES")).alias("life_end"),
        F.lit(False).alias("ended_in_failure"),
        F.lit(True).alias("is_running"),
        F.lit(None).cast("string").alias("failure_mode"),
        F.lit(None).cast("timestamp").alias("down_until"),
    )
    store.overwrite(lives, ASSET_LIVES)


def la_haute_borne(spark: SparkSession) -> DataFrame:
    """The real wind farm; of two rows with one key the later in the file wins."""
    source = settings_for_benchmark().sources[0]
    raw = spark.read.option("header", True).csv(source.files.path).withColumn("row", F.monotonically_increasing_id())
    keys = [F.col("Wind_turbine_name").alias("asset_id"), F.to_timestamp("Date_time").alias("event_time")]
    values = [F.col(signal.column).cast("double").alias(signal.name) for signal in source.signals]
    newest = F.max_by(F.struct(*[signal.name for signal in source.signals]), "row").alias("newest")
    return (
        raw.select(*keys, *values, "row")
        .groupBy("asset_id", "event_time")
        .agg(newest)
        .select("asset_id", "event_time", "newest.*")
    )


def fleet(spark: SparkSession, turbines: int, first_day: int, days: int, batch: str = "first") -> DataFrame:
    """Readings every 10 minutes: a daily and a yearly wave, noise by hash, 2 % missing. The same numbers each time."""
    steps = days * READINGS_A_DAY
    ids = spark.range(0, turbines * steps, numPartitions=max(turbines // 8, 4))
    turbine = F.floor(F.col("id") / steps)
    step = F.col("id") % steps + first_day * READINGS_A_DAY
    rows = ids.select(
        F.format_string("T%04d", turbine).alias("asset_id"),
        F.timestamp_seconds(F.lit(STARTED) + step * 600).alias("event_time"),
        step.alias("step"),
    )
    for number, signal in enumerate(SIGNALS):
        noise = F.pmod(F.xxhash64("asset_id", "step", F.lit(number)), F.lit(1_000_003)) / 1_000_003
        wave = 40 + 10 * F.sin(F.col("step") * (6.283 / 144)) + 5 * F.sin(F.col("step") * (6.283 / 52_560))
        rows = rows.withColumn(signal, F.when(noise > 0.02, wave + number + 8 * noise))
    return rows.drop("step").withColumn("_source_file", F.lit(batch))


def fresh_copy(lake: Path, copy: Path) -> Path:
    """The lake as before any features: links to its data files, and logs of its own, so that the lake stays as it is."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(lake, copy, copy_function=_linked, ignore=shutil.ignore_patterns("gold", "feature_runs"))
    return copy


def _linked(source: str, target: str) -> None:
    if "_delta_log" in source:
        shutil.copy2(source, target)
    else:
        os.link(source, target)


def _constant(name: str) -> Column:
    values = {
        "quality_flags": F.array(),
        "_source": F.lit(REAL),
        "_source_row": F.lit(0),
        "_source_file": F.lit("first"),
    }
    return values.get(name, F.current_timestamp() if name == "_ingested_at" else F.lit(None))
