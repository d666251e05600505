"""How fast are windowed features, beside the usual ways? Values are compared, times and memory written down.

Usage: python benchmarks/features.py all la_haute_borne              (or: fleet_4m, fleet_42m; fleet_tiny to try it)
       python benchmarks/features.py prepare fleet_4m                (the load, as ingest leaves it behind)
       python benchmarks/features.py run fleet_4m ours polars …      (each in a process of its own)
       python benchmarks/features.py compare fleet_4m                (values of all that have run)
       python benchmarks/features.py incremental fleet_4m            (one new day; a file four weeks late; all anew)
       python benchmarks/features.py report fleet_4m                 (checks, and docs/benchmarks.md with its plot)
Results are kept in WORK/results.json (--work, default data/benchmarks). Ends with 1 when two ways differ in their values.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import duckdb
from deltalake import DeltaTable
from feature_loads import (
    FLEETS,
    LATE_ASSET,
    REAL,
    WORKER_MEMORY_GB,
    fleet,
    fresh_copy,
    late_day,
    prepare,
    settings_for_benchmark,
    small_session,
    take_in,
    worker_limit_gb,
)
from feature_report import LARGEST_DIFFERENCE, write_report
from feature_rivals import HOURS, SIGNALS, STATISTICS, WITH_SPARK, WITHOUT_SPARK
from measuring import measured
from pyspark.sql import functions as F

from turbine_health.feature_tables import signal_cells
from turbine_health.io.delta import TableStore
from turbine_health.io.session import FIRST_COMPILER_ONLY
from turbine_health.io.short_plans import for_few_rows
from turbine_health.pipelines.feature_updates import FeatureUpdates
from turbine_health.pipelines.features import build_features
from turbine_health.settings import Settings, StorageSettings
from turbine_health.tables import Table, training_examples, window_features
from turbine_health.transforms.features import feature_plan
from turbine_health.transforms.spans import all_windows

# What runs without further words: on the fleets, only those that can end.
USUAL_RIVALS = {
    REAL: ["ours", "polars", "polars_streaming", "duckdb_cells", "pandas", "spark_cells", "duckdb_raw", "spark_raw"],
    "fleet_tiny": ["ours", "polars", "polars_streaming", "duckdb_cells"],
    "fleet_4m": ["ours", "polars", "polars_streaming", "duckdb_cells", "pandas", "spark_cells"],
    "fleet_42m": ["ours", "polars", "polars_streaming", "duckdb_cells"],
}


def run(work: Path, load: str, name: str) -> dict[str, float]:
    """One rival in this process; seconds count from when a session has written a first table."""
    readings = work / load / "lake" / "silver" / "sensor_readings"
    _refuse_dead_files(readings)
    out = work / load / f"{name}.parquet"
    _remove(out)
    if name in WITHOUT_SPARK:
        with measured() as cost:
            began = time.perf_counter()
            WITHOUT_SPARK[name](readings, out)
            seconds = time.perf_counter() - began
        return {"seconds": round(seconds, 1), "cpu_seconds": cost.cpu_seconds, "peak_gb": cost.own_peak_gb}
    with small_session(name, FIRST_COMPILER_ONLY if name == "ours" else "") as spark:
        spark.range(10).write.format("delta").mode("overwrite").save(str(work / "warm"))
        limit = worker_limit_gb(spark)
        assert limit == WORKER_MEMORY_GB, f"a Python worker may take {limit:.2f} GB, not {WORKER_MEMORY_GB}"
        lake = fresh_copy(work / load / "lake", work / load / "ours") if name == "ours" else None
        with measured() as cost:
            began = time.perf_counter()
            if lake:
                with for_few_rows(spark):
                    _ours(TableStore(spark, StorageSettings(root=str(lake))))
            else:
                WITH_SPARK[name](spark, readings, out)
            seconds = time.perf_counter() - began
    peaks = {"peak_gb": cost.jvm_peak_gb, "worker_peak_gb": cost.worker_peak_gb}
    return {"seconds": round(seconds, 1), "cpu_seconds": cost.cpu_seconds, **peaks}


def _refuse_dead_files(table: Path) -> None:
    """Rivals read every Parquet file of the folder, so all must belong to the table as it is."""
    dead = {path.name for path in table.glob("*.parquet")} ^ {Path(uri).name for uri in DeltaTable(str(table)).file_uris()}
    assert not dead, f"{table} holds files that are not of its newest version: prepare the load again"


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


def _ours(store: TableStore) -> None:
    """Delta in, Delta out: cells and windows as `build_features` writes them."""
    updates = FeatureUpdates(store, settings_for_benchmark())
    updates.replace_cells()
    updates.replace_windows(all_windows(updates.known_cells()))


def compare(work: Path, load: str) -> None:
    """Largest difference of every rival's features to ours, relative to the largest reading of the turbine.

    Not relative to the value: sums of squares leave 1e-8 where a sensor stood still and the spread is 0, and a running
    sum that readings enter and leave keeps some 1e-12 of the largest that passed. Spreads are compared squared, as that
    is what the rivals' formula sums.
    """
    database = duckdb.connect()
    database.sql("SET TimeZone = 'UTC'")
    files = DeltaTable(str(work / load / "ours" / "gold" / "window_features")).file_uris()
    of_longest = {s: (f"{s}__min_{HOURS[-1]}h", f"{s}__max_{HOURS[-1]}h") for s in SIGNALS}
    largest = ", ".join(f"max(greatest(abs({low}), abs({high}), 1e-300)) AS {s}" for s, (low, high) in of_longest.items())
    database.sql(f"CREATE VIEW ours AS SELECT * FROM read_parquet({[uri.removeprefix('file://') for uri in files]})")
    database.sql(f"CREATE TABLE largest AS SELECT asset_id, {largest} FROM ours GROUP BY asset_id")
    names = [f"{s}__{statistic}_{h}h" for s in SIGNALS for statistic in STATISTICS for h in HOURS]
    gaps = ", ".join(f"max({_gap(name)}) AS {name}" for name in names)
    only_one = " + ".join(f"count(*) FILTER ((o.{name} IS NULL) <> (t.{name} IS NULL))" for name in names)
    unmatched = "count(*) FILTER (o.asset_id IS NULL OR t.asset_id IS NULL)"
    for path in sorted((work / load).glob("*.parquet")):
        theirs = f"read_parquet('{path}/*.parquet')" if path.is_dir() else f"read_parquet('{path}')"
        frame = database.sql(
            f"SELECT count(*) AS windows, {unmatched} AS unmatched, {only_one} AS only_one, {gaps} FROM ours o"
            f" FULL JOIN {theirs} t ON o.asset_id = t.asset_id AND o.window_end = t.window_end::TIMESTAMPTZ"
            " LEFT JOIN largest ON largest.asset_id = o.asset_id"
        ).df()
        worst = frame[names].T[0].fillna(0).sort_values()
        found = {name: int(frame[name][0]) for name in ("windows", "unmatched", "only_one")}
        result = {**found, "largest_difference": float(worst.iloc[-1]), "in": str(worst.index[-1])}
        _keep(work, load, f"{path.stem}_values", {**result, "equal": is_equal(result)})


def is_equal(result: dict[str, float]) -> bool:
    """Whether both define the same values, within rounding."""
    return not result["unmatched"] and not result["only_one"] and result["largest_difference"] <= LARGEST_DIFFERENCE


def _gap(name: str) -> str:
    largest = f"largest.{name.partition('__')[0]}"
    if "__std_" in name:
        return f"abs(o.{name} * o.{name} - t.{name} * t.{name}) / ({largest} * {largest})"
    return f"abs(o.{name} - t.{name}) / {largest}"


def incremental(work: Path, load: str) -> None:
    """A full build, one new day for the whole fleet, and one turbine's day four weeks late: CPU and bytes.

    Each time on a fresh copy of the load; at the end the tables are compared with those of one build of all readings.
    """
    settings = settings_for_benchmark()
    lake = fresh_copy(work / load / "lake", work / load / "incremental")
    turbines, days = FLEETS[load]
    steps = [("full", None), ("new_day", (turbines, days)), ("late_day", (1, late_day(load)))]
    with small_session("incremental", FIRST_COMPILER_ONLY) as spark:
        store = TableStore(spark, StorageSettings(root=str(lake)))
        for name, what in steps:
            if what:
                batch = fleet(spark, what[0], what[1], 1, batch=name)
                assert name != "late_day" or batch.where(F.col("asset_id") != LATE_ASSET).isEmpty()
                take_in(store, batch, settings, name)
            files = _files(lake)
            with measured() as cost:
                began = time.perf_counter()
                summary = build_features(store, settings)
                seconds = time.perf_counter() - began
            assert summary.kind != "nothing", f"{name}: nothing was built"
            written = sum(size for path, size in _files(lake).items() if path not in files)
            result = {"seconds": round(seconds, 1), "cpu_seconds": cost.cpu_seconds, "written_mb": round(written / 1e6, 1)}
            _keep(work, load, f"incremental_{name}", {**result, "windows": summary.windows, "what": str(summary)})
        rebuilt = TableStore(spark, StorageSettings(root=str(fresh_copy(lake, work / load / "rebuilt"))))
        build_features(rebuilt, settings)
    tables = _gold_tables(settings)
    same = {table.identifier: len({_checksum(each.path(table)) for each in (store, rebuilt)}) == 1 for table in tables}
    _keep(work, load, "incremental_values", {**same, "equal": all(same.values())})


def _gold_tables(settings: Settings) -> tuple[Table, ...]:
    """What a build writes."""
    names = feature_plan(settings.features, settings.feature_signals).names
    return signal_cells(settings.feature_signals), window_features(names), training_examples(names)


def _checksum(table: str) -> tuple[int, int]:
    """Number of rows, and what is equal for equal rows in any order."""
    files = [uri.removeprefix("file://") for uri in DeltaTable(table).file_uris()]
    ((rows, hashes),) = duckdb.sql(f"SELECT count(*), sum(hash(r)::HUGEINT) FROM read_parquet({files}) r").fetchall()
    return rows, int(hashes)


def _files(lake: Path) -> dict[str, int]:
    return {str(path): path.stat().st_size for path in (lake / "gold").glob("**/*.parquet")}


def _keep(work: Path, load: str, name: str, result: dict[str, object]) -> None:
    path = work / "results.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    results.setdefault(load, {})[name] = result
    path.write_text(json.dumps(results, indent=1))
    print(load, name, json.dumps(result), flush=True)


def run_each(work: Path, load: str, rivals: list[str], limit_minutes: float) -> None:
    """Every rival in a process of its own; one that takes too long is stopped."""
    for name in rivals:
        command = [sys.executable, __file__, "one", load, name, "--work", str(work)]
        try:
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60 * limit_minutes, check=False)
        except subprocess.TimeoutExpired:
            _keep(work, load, name, {"stopped_after_minutes": limit_minutes})
            _remove(work / load / f"{name}.parquet")
            continue
        failed = {"failed_with": done.returncode}
        _keep(work, load, name, failed if done.returncode else json.loads(done.stdout.splitlines()[-1]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["all", "prepare", "run", "one", "compare", "incremental", "report"])
    parser.add_argument("load", choices=[REAL, *FLEETS])
    parser.add_argument("rivals", nargs="*")
    parser.add_argument("--work", type=Path, default=Path("data/benchmarks"))
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="folder of benchmarks.md")
    parser.add_argument("--limit-minutes", type=float, default=30)
    args = parser.parse_args()
    work = args.work.resolve()
    if args.action == "one":
        print(json.dumps(run(work, args.load, args.rivals[0])))
        return 0
    steps = ["prepare", "run", "compare", "incremental", "report"] if args.action == "all" else [args.action]
    if "prepare" in steps:
        prepare(work, args.load)
    if "run" in steps:
        run_each(work, args.load, args.rivals or USUAL_RIVALS[args.load], args.limit_minutes)
    if "compare" in steps:
        compare(work, args.load)
    if "incremental" in steps and args.load in FLEETS:
        incremental(work, args.load)
    results = json.loads((work / "results.json").read_text()) if (work / "results.json").exists() else {}
    if "report" in steps:
        write_report(results, args.docs)
    unequal = [name for name, result in results.get(args.load, {}).items() if result.get("equal") is False]
    if unequal:
        print(f"features: other values than ours: {', '.join(unequal)}", file=sys.stderr)
    return 1 if unequal else 0


if __name__ == "__main__":
    sys.exit(main())
