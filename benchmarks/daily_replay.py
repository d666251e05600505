"""Replay a year day by day, and the same year in one run: are all tables equal, alert episodes included?

Usage:  python benchmarks/daily_replay.py [--days 365] [--turbines 4] [--folder data/daily-replay] [--resume]
        (PYTHONPATH=tests; make daily-replay)
One run each of `predict` and `monitor` does the whole span. In a second lake every day scores the windows that ended
since the day before and follows the predictions up with that day's clock, as a nightly schedule does: one process
predicts day by day, the other monitors each day once it was predicted. The start of a process for every day is left out,
which would be most of the time. Prints the tables and exits 1 when any differs.
Takes some two hours. After a kill, at any moment of the days, `--resume` does each job's newest day again and goes on.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

from acceptance.plant import OF_THE_RUN, REPOSITORY, Plant, simulated_names

from turbine_health.io.delta import TableStore
from turbine_health.io.session import spark_session
from turbine_health.io.short_plans import FOR_FEW_ROWS
from turbine_health.io.tracking import Tracker
from turbine_health.pipelines.monitor import monitor
from turbine_health.pipelines.predict import predict
from turbine_health.settings import Settings, load_settings

FIRST_DAY = datetime(2023, 1, 1, tzinfo=timezone.utc)
FOREST = {"trees": 10, "depth": 6}
DAY = timedelta(days=1)
# Large pages for each sort cost more than these few rows, too.
FOR_REPLAY = {**FOR_FEW_ROWS, "spark.buffer.pageSize": "1m"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--turbines", type=int, default=4)
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "data" / "daily-replay")
    parser.add_argument("--resume", action="store_true", help="go on with the days of a run that was killed")
    args = parser.parse_args()
    folder = args.folder.absolute()
    if args.resume:
        at_once, daily = (Plant(folder / name, folder / "trained" / "landing") for name in ("at-once", "daily"))
    else:
        shutil.rmtree(folder, ignore_errors=True)
        trained = trained_plant(folder / "trained", args.turbines)
        at_once = trained.copy(fresh(folder / "at-once"))
        replay_at_once(at_once, args.days)
        daily = trained.copy(fresh(folder / "daily"))
    # Each job in a process and a session of its own, as on a schedule.
    jobs = [
        multiprocessing.get_context("spawn").Process(target=job, args=(daily, args.days))
        for job in (predict_daily, monitor_daily)
    ]
    for job in jobs:
        job.start()
    while any(job.is_alive() for job in jobs) and not any(job.exitcode for job in jobs):
        time.sleep(1)
    if any(job.exitcode for job in jobs):
        for job in jobs:
            job.kill()
        return 1
    return compare(at_once, daily)


def trained_plant(folder: Path, turbines: int) -> Plant:
    """A year of logs, features and champions, and no predictions."""
    plant = Plant.in_folder(fresh(folder))
    values = {
        "simulation": {"turbines": turbines, "seed": 11},
        "model": {"classifier": FOREST, "regressor": FOREST},
        "split": {"folds": 2},
        "spark": {"driver_memory": "3g", "shuffle_partitions": 1, "conf": FOR_REPLAY},
    }
    plant.write_settings(values, known_turbines=simulated_names(turbines))
    plant.run_in_one_process("simulate", "ingest", "build_features", "train", "promote")
    return plant


def fresh(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


@contextmanager
def opened(plant: Plant) -> Iterator[tuple[TableStore, Settings]]:
    """The plant's lake in a session of its own, and its settings."""
    settings = load_settings(plant.settings)
    with spark_session("daily-replay", settings.spark) as spark:
        yield TableStore(spark, settings.storage), settings


def replay_at_once(plant: Plant, days: int) -> None:
    """One run of each job over the whole span."""
    end = FIRST_DAY + days * DAY
    with opened(plant) as (store, settings):
        predict(store, Tracker(settings.mlflow), settings, FIRST_DAY, end)
        monitor(store, settings, now=end)


def predict_daily(plant: Plant, days: int) -> None:
    """Score each day's windows."""
    with opened(plant) as (store, settings):
        tracker = Tracker(settings.mlflow)
        for day in days_to_do(plant, "predict", days):
            predict(store, tracker, settings, FIRST_DAY + day * DAY, FIRST_DAY + (day + 1) * DAY)


def monitor_daily(plant: Plant, days: int) -> None:
    """Monitor with each day's end as the clock, once the day was predicted."""
    with opened(plant) as (store, settings):
        for day in days_to_do(plant, "monitor", days):
            while days_done(plant, "predict") <= day:
                time.sleep(0.2)
            monitor(store, settings, now=FIRST_DAY + (day + 1) * DAY)


def days_to_do(plant: Plant, job: str, days: int) -> Iterator[int]:
    """Numbers of the days that `job` has not done; one that was not finished comes again. Notes each that is done."""
    first, started = days_done(plant, job), time.monotonic()
    for day in range(first, days):
        yield day
        written = progress_file(plant, job).with_suffix(".new")
        written.write_text(str(day + 1))
        written.replace(progress_file(plant, job))
        if (day + 1) % 10 == 0 or day + 1 == days:
            print(f"{job}: {day + 1} of {days} days, {time.monotonic() - started:.0f} s since day {first + 1}", flush=True)


def days_done(plant: Plant, job: str) -> int:
    file = progress_file(plant, job)
    return int(file.read_text()) if file.exists() else 0


def progress_file(plant: Plant, job: str) -> Path:
    return plant.settings.parent / f"{job}-days-done"


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
