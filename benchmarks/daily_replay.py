"""Replay a year day by day, and the same year in one run: are all tables equal, alert episodes included?

Usage:  python benchmarks/daily_replay.py [--days 365] [--turbines 4] [--folder data/daily-replay]
        (PYTHONPATH=tests; make daily-replay)
Every day scores the windows that ended since the day before and follows the predictions up with that day's clock, as a
nightly schedule does. Then one run each of `predict` and `monitor` does the whole span in a second lake. The start of
the jobs' processes is left out, which would be most of the time. Prints the tables and exits 1 when any differs.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

from acceptance.plant import OF_THE_RUN, REPOSITORY, Plant

from turbine_health.io.delta import TableStore
from turbine_health.io.session import spark_session
from turbine_health.io.tracking import Tracker
from turbine_health.pipelines.monitor import monitor
from turbine_health.pipelines.predict import predict
from turbine_health.settings import load_settings

FIRST_DAY = datetime(2023, 1, 1, tzinfo=timezone.utc)
FOREST = {"trees": 10, "depth": 6}
DAY = timedelta(days=1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--turbines", type=int, default=4)
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "data" / "daily-replay")
    args = parser.parse_args()
    last_day = FIRST_DAY + args.days * DAY
    shutil.rmtree(args.folder, ignore_errors=True)
    trained = trained_plant(args.folder.absolute() / "trained", args.turbines)
    daily, at_once = (trained.copy(fresh(args.folder.absolute() / name)) for name in ("daily", "at-once"))
    replay(at_once, [(FIRST_DAY, last_day)])
    replay(daily, [(FIRST_DAY + number * DAY, FIRST_DAY + (number + 1) * DAY) for number in range(args.days)])
    return compare(at_once, daily)


def trained_plant(folder: Path, turbines: int) -> Plant:
    """A year of logs, features and champions, and no predictions."""
    plant = Plant.in_folder(fresh(folder))
    values = {
        "simulation": {"turbines": turbines, "seed": 11},
        "model": {"classifier": FOREST, "regressor": FOREST},
        "split": {"folds": 2},
        "spark": {"shuffle_partitions": 2},
    }
    plant.write_settings(values, known_turbines=[f"T{number:02d}" for number in range(1, turbines + 1)])
    plant.run_in_one_process("simulate", "ingest", "build_features", "train", "promote")
    return plant


def fresh(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def replay(plant: Plant, spans: list[tuple[datetime, datetime]]) -> None:
    """Score the windows of each span, then monitor with its end as the clock."""
    settings = load_settings(plant.settings)
    started = time.monotonic()
    with spark_session("daily-replay", settings.spark) as spark:
        store, tracker = TableStore(spark, settings.storage), Tracker(settings.mlflow)
        for number, (start, end) in enumerate(spans, start=1):
            predict(store, tracker, settings, start, end)
            monitor(store, settings, now=end)
            if number % 30 == 0 or number == len(spans):
                print(f"{number} of {len(spans)} runs, {time.monotonic() - started:.0f} s", flush=True)


def compare(expected: Plant, actual: Plant) -> int:
    """Print a line a table; 1 when any differs."""
    one, other = expected.checksums(OF_THE_RUN), actual.checksums(OF_THE_RUN)
    differing = [table for table in sorted(one.keys() | other.keys()) if one.get(table) != other.get(table)]
    for table, (rows, _) in sorted(one.items()):
        print(f"{table}: {rows:,} rows, {'DIFFERENT' if table in differing else 'equal'}")
    print(f"{len(one) - len(differing)} of {len(one)} tables equal")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
