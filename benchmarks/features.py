"""How fast are windowed features, beside the usual ways? Values are compared, times and memory written down.

Usage: python benchmarks/features.py prepare la_haute_borne          (or: fleet_4m, fleet_42m)
       python benchmarks/features.py run fleet_4m ours polars …      (each in a process of its own)
       python benchmarks/features.py compare fleet_4m                (values of all that have run)
       python benchmarks/features.py incremental fleet_4m            (one new day; a file four weeks late)
Results are kept in WORK/results.json (--work, default data/benchmarks); docs/benchmarks.md is written from them by hand.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path

import duckdb
from feature_rivals import HOURS, SIGNALS, STATISTICS, WITH_SPARK, WITHOUT_SPARK
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from turbine_health.io.delta import TableStore
from turbine_health.io.session import spark_session
from turbine_health.pipelines.feature_updates import FeatureUpdates
from turbine_health.pipelines.features import build_features
from turbine_health.settings import Settings, SparkSettings, StorageSettings, load_settings
from turbine_health.tables import ASSET_LIVES, CHANGED_HOURS, sensor_readings
from turbine_health.transforms.windows import to_window_spans

FLEETS = {"fleet_4m": 40, "fleet_42m": 400}
FLEET_DAYS = 730
READINGS_A_DAY = 144
STARTED = 1_577_836_800  # 2020-01-01


def settings_for_benchmark() -> Settings:
    """84 features on an hourly grid."""
    return load_settings(
        "conf/la_haute_borne.yaml",
        overrides=[
            "features.every_hours=1", f"features.lookback_hours={list(HOURS)}", f"features.statistics={list(STATISTICS)}",
            "features.asset_statistics=[]", f"features.signals={list(SIGNALS)}",
        ],
    )  # fmt: skip


def small_session(name: str) -> AbstractContextManager[SparkSession]:
    """Two cores, 4 GB of heap, 2 GB for each Python worker."""
    limits = {"spark.executor.pyspark.memory": "4g", "spark.sql.files.maxPartitionBytes": "64m"}
    return spark_session(name, SparkSettings(master="local[2]", driver_memory="4g", shuffle_partitions=4, conf=limits))


def prepare(work: Path, load: str) -> None:
    """silver.sensor_readings, silver.asset_lives and ops.changed_hours of one load."""
    settings = settings_for_benchmark()
    shutil.rmtree(work / load, ignore_errors=True)
    with small_session("prepare") as spark:
        store = TableStore(spark, StorageSettings(root=str(work / load / "lake")))
        readings = la_haute_borne(spark) if load == "la_haute_borne" else fleet(spark, FLEETS[load], 0, FLEET_DAYS)
        take_in(store, readings, settings, "first")


def take_in(store: TableStore, readings: DataFrame, settings: Settings, batch: str) -> None:
    """What ingest leaves behind."""
    table = sensor_readings(settings.signal_names)
    for field in table.schema:
        if field.name not in readings.columns:
            readings = readings.withColumn(field.name, _constant(field.name).cast(field.dataType))
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


def _constant(name: str) -> Column:
    values = {
        "quality_flags": F.array(),
        "_source": F.lit("la_haute_borne"),
        "_source_row": F.lit(0),
        "_source_file": F.lit("first"),
    }
    return values.get(name, F.current_timestamp() if name == "_ingested_at" else F.lit(None))


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


def run(work: Path, load: str, name: str) -> dict[str, float]:
    """One rival in this process; seconds do not count the start of Python or the JVM."""
    readings = work / load / "lake" / "silver" / "sensor_readings"
    out = work / load / f"{name}.parquet"
    _remove(out)
    if name in WITHOUT_SPARK:
        began = time.perf_counter()
        WITHOUT_SPARK[name](readings, out)
        return _measured(time.perf_counter() - began)
    with small_session(name) as spark:
        spark.range(10).write.mode("overwrite").parquet(str(work / "warm"))
        busy, began = _busy_seconds(), time.perf_counter()
        if name == "ours":
            _ours(TableStore(spark, StorageSettings(root=str(work / load / "lake"))), out)
        else:
            WITH_SPARK[name](spark, readings, out)
        seconds = time.perf_counter() - began
        return _measured(seconds, _busy_seconds() - busy)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


def _ours(store: TableStore, out: Path) -> None:
    """Delta in, Delta out: cells and windows as `build_features` writes them."""
    updates = FeatureUpdates(store, settings_for_benchmark())
    updates.replace_cells()
    known = updates.known_cells()
    updates.replace_windows(to_window_spans(known, known, updates.plan.longest_lookback))
    out.symlink_to(Path(store.path(updates.windows)).resolve())


def _busy_seconds() -> float:
    """CPU seconds of this process and all that it started, the JVM and the Python workers among them."""
    family, total = {os.getpid()}, 0.0
    stats = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        stats[int(entry.parent.name)] = (int(fields[1]), sum(int(ticks) for ticks in fields[11:15]))
    grown = True
    while grown:
        more = {pid for pid, (parent, _) in stats.items() if parent in family} - family
        family |= more
        grown = bool(more)
    total = sum(stats[pid][1] for pid in family if pid in stats)
    return total / os.sysconf("SC_CLK_TCK")


def _measured(seconds: float, busy: float | None = None) -> dict[str, float]:
    """Without `busy`, everything happened in this process: its CPU and its peak memory count."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    if busy is not None:
        return {"seconds": round(seconds, 1), "cpu_seconds": round(busy, 1)}
    own = {"cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1), "peak_gb": round(usage.ru_maxrss / 2**20, 2)}
    return {"seconds": round(seconds, 1), **own}


def compare(work: Path, load: str) -> None:
    """Largest difference of every rival's features to ours, relative to the largest reading of the window.

    Not relative to the value: sums of squares leave 1e-8 where a sensor stood still and the spread is 0. Spreads are
    compared squared, as that is what the rivals' formula sums.
    """
    database = duckdb.connect()
    database.sql("SET TimeZone = 'UTC'")
    ours = f"read_parquet('{work / load / 'ours.parquet'}/*.parquet')"
    names = [f"{s}__{statistic}_{h}h" for s in SIGNALS for statistic in STATISTICS for h in HOURS]
    gaps = ", ".join(f"max({_gap(name)}) AS {name}" for name in names)
    only_one = " + ".join(f"count(*) FILTER ((o.{name} IS NULL) <> (t.{name} IS NULL))" for name in names)
    for path in sorted(set((work / load).glob("*.parquet")) - {work / load / "ours.parquet"}):
        theirs = f"read_parquet('{path}/*.parquet')" if path.is_dir() else f"read_parquet('{path}')"
        frame = database.sql(
            f"SELECT count(*) AS rows, {only_one} AS only_one, {gaps} FROM {ours} o FULL JOIN {theirs} t"
            " ON o.asset_id = t.asset_id AND o.window_end = t.window_end::TIMESTAMPTZ"
        ).df()
        worst = frame[names].T[0].fillna(0).sort_values()
        result = {"windows": int(frame["rows"][0]), "values_only_one_has": int(frame["only_one"][0])}
        _keep(work, load, f"{path.stem}_values", {**result, "largest_difference": worst.iloc[-1], "in": worst.index[-1]})


def _gap(name: str) -> str:
    signal, _, rest = name.partition("__")
    hours = rest.rpartition("_")[2]
    largest = f"greatest(abs(o.{signal}__min_{hours}), abs(o.{signal}__max_{hours}), 1e-300)"
    if "__std_" in name:
        return f"abs(o.{name} * o.{name} - t.{name} * t.{name}) / ({largest} * {largest})"
    return f"abs(o.{name} - t.{name}) / {largest}"


def incremental(work: Path, load: str) -> None:
    """A full build, one new day for the whole fleet, and one turbine's day four weeks late: CPU and bytes."""
    settings = settings_for_benchmark()
    with small_session("incremental") as spark:
        store = TableStore(spark, StorageSettings(root=str(work / load / "lake")))
        days = [("full", None), ("new_day", (FLEETS[load], FLEET_DAYS)), ("late_day", (1, FLEET_DAYS - 27))]
        for name, what in days:
            if what:
                take_in(store, fleet(spark, what[0], what[1], 1, batch=name), settings, name)
            before, files, began = _busy_seconds(), _files(work / load), time.perf_counter()
            summary = build_features(store, settings)
            written = sum(size for path, size in _files(work / load).items() if path not in files)
            result = {"seconds": round(time.perf_counter() - began, 1), "cpu_seconds": round(_busy_seconds() - before, 1)}
            _keep(work, load, f"incremental_{name}", {**result, "written_mb": round(written / 1e6, 1), "what": str(summary)})


def _files(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_size for path in (folder / "lake" / "gold").glob("**/*.parquet")}


def _keep(work: Path, load: str, name: str, result: dict[str, object]) -> None:
    path = work / "results.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    results.setdefault(load, {})[name] = result
    path.write_text(json.dumps(results, indent=1))
    print(load, name, json.dumps(result), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["prepare", "run", "one", "compare", "incremental"])
    parser.add_argument("load", choices=["la_haute_borne", *FLEETS])
    parser.add_argument("rivals", nargs="*")
    parser.add_argument("--work", type=Path, default=Path("data/benchmarks"))
    parser.add_argument("--limit-minutes", type=float, default=30)
    args = parser.parse_args()
    work = args.work.resolve()
    if args.action == "one":
        print(json.dumps(run(work, args.load, args.rivals[0])))
        return
    if args.action != "run":
        {"prepare": prepare, "compare": compare, "incremental": incremental}[args.action](work, args.load)
        return
    for name in args.rivals:
        command = [sys.executable, __file__, "one", args.load, name, "--work", str(work)]
        try:
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60 * args.limit_minutes, check=False)
        except subprocess.TimeoutExpired:
            _keep(work, args.load, name, {"stopped_after_minutes": args.limit_minutes})
            continue
        failed = {"failed_with": done.returncode}
        _keep(work, args.load, name, failed if done.returncode else json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()
