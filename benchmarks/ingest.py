"""Raw CSV to silver with every rule, beside the floor (read and write, no rule) and Polars.

Usage:  python benchmarks/ingest.py [--turbines 200] [--folder data/ingest-bench] [--driver-memory 2g]   (make bench-ingest)

200 turbines send about ten million rows in a year. One process after the other, both cores; seconds without the start of
Python and of the JVM. `ours` and `floor` have the same session. `a day more` is the same ingest after each turbine has sent
one day more.
Polars cleans alike (benchmarks/ingest_polars.py says what it leaves out) and writes by `deltalake`.
Prints a table with ratios and writes FOLDER/results.json.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ingest_polars import clean_by_polars
from pyspark.sql import SparkSession
from pyspark.sql.types import DoubleType, StringType, StructField, StructType, TimestampType

from turbine_health.io.delta import TableStore
from turbine_health.io.folders import replace_folder
from turbine_health.io.session import spark_session
from turbine_health.pipelines.ingest import ingest
from turbine_health.settings import Settings, load_settings
from turbine_health.simulation.fleet import TRUTH, Fleet

LAST_DAY = "2024-01"


def main() -> None:
    args = _arguments()
    if args.only:
        print("ANSWER" + json.dumps(CONTESTANTS[args.only](args)))
        return
    shutil.rmtree(args.folder, ignore_errors=True)
    write_logs(args)
    answers = {}
    for name in CONTESTANTS:
        if name == "a day more":
            for file in (args.folder / "last_day").glob("*.csv"):
                file.rename(args.folder / "logs" / "readings" / file.name)
        answers[name] = run(name, args)
        print(f"{name}: {answers[name]['seconds']:.1f} s, {answers[name]['rows']:,} rows", flush=True)
    (args.folder / "results.json").write_text(json.dumps(answers, indent=2) + "\n", encoding="utf-8")
    floor = answers["floor"]["seconds"]
    for name in ("ours", "polars"):
        print(f"{name}: {answers[name]['seconds'] / floor:.2f} x the floor")
    print(f"a day more: {answers['a day more']['seconds'] / answers['ours']['seconds']:.1%} of the year")


def write_logs(args: argparse.Namespace) -> None:
    """A year and a day of logs; the files of the last day are kept aside."""
    fleet = Fleet(settings_of(args).simulation)
    replace_folder(args.folder / "logs", fleet.files(), marker=TRUTH)
    (args.folder / "last_day").mkdir()
    for file in (args.folder / "logs" / "readings").glob(f"*_{LAST_DAY}*.csv"):
        file.rename(args.folder / "last_day" / file.name)


def run(name: str, args: argparse.Namespace) -> dict[str, float]:
    """One contestant, in a process of its own."""
    command = [sys.executable, __file__, *sys.argv[1:], "--only", name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{name} exited {done.returncode}\n{done.stderr[-4000:]}")
    (answer,) = [line for line in done.stdout.splitlines() if line.startswith("ANSWER")]
    return dict(json.loads(answer.removeprefix("ANSWER")))


def settings_of(args: argparse.Namespace) -> Settings:
    """The built-in fleet's own, with more turbines and places below the folder."""
    known = ", ".join(f"T{number:02d}" for number in range(1, args.turbines + 1))
    source = (
        f"[{{extends: conf/sources/simulated.yaml, asset_id: {{known: [{known}]}}, "
        f"files: {{path: '{args.folder}/logs/readings/*.csv'}}, failures: {{path: '{args.folder}/logs/events.csv'}}}}]"
    )
    return load_settings("conf/simulated.yaml", [
        f"simulation.turbines={args.turbines}", "simulation.days=366", f"sources={source}", f"storage.root={args.folder}/lake",
        f"spark.driver_memory={args.driver_memory}", "spark.master=local[2]",
    ])  # fmt: skip


def floor(args: argparse.Namespace) -> dict[str, float]:
    """Spark reads the columns with their types and writes them."""
    settings = settings_of(args)
    fields = [StructField("Turbine", StringType()), StructField("Timestamp", TimestampType())]
    fields += [StructField(signal.column, DoubleType()) for signal in settings.sources[0].signals]
    with warm_session(settings) as (spark, clock):
        logs = spark.read.schema(StructType(fields)).csv(settings.sources[0].files.path, header=True)
        logs.write.format("delta").save(str((args.folder / "floor").absolute()))
        seconds = clock()
        rows = spark.read.format("delta").load(str((args.folder / "floor").absolute())).count()
    return {"seconds": seconds, "rows": rows}


def ours(args: argparse.Namespace) -> dict[str, float]:
    """The job's own pipeline: bronze, quarantine, silver, changed hours, account, events."""
    settings = settings_of(args)
    with warm_session(settings) as (spark, clock):
        summary = ingest(TableStore(spark, settings.storage), settings)
        return {"seconds": clock(), "rows": summary.rows_in}


def polars(args: argparse.Namespace) -> dict[str, float]:
    """The same cleaning in the fastest library on one machine."""
    settings = settings_of(args)
    started = time.perf_counter()
    rows = clean_by_polars(settings.sources[0], settings.ingest, args.folder / "polars")
    return {"seconds": time.perf_counter() - started, "rows": rows}


CONTESTANTS: dict[str, Callable[[argparse.Namespace], dict[str, float]]] = {
    "floor": floor, "ours": ours, "polars": polars, "a day more": ours,
}  # fmt: skip


@contextmanager
def warm_session(settings: Settings) -> Iterator[tuple[SparkSession, Callable[[], float]]]:
    """A session that has written a table, and a clock that starts then."""
    scratch = Path(settings.storage.root).parent / "warm-up"
    with spark_session("bench-ingest", settings.spark) as spark:
        spark.range(1_000).write.format("delta").mode("overwrite").save(str(scratch))
        started = time.perf_counter()
        yield spark, lambda: time.perf_counter() - started


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turbines", type=int, default=200)
    parser.add_argument("--folder", type=Path, default=Path("data/ingest-bench"))
    parser.add_argument("--driver-memory", default="2g")
    parser.add_argument("--only", choices=list(CONTESTANTS), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
