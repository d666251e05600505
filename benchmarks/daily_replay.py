"""Replay a year day by day, and the same year in one run: are all tables equal, alert episodes included?

Usage:  python benchmarks/daily_replay.py [--days 365] [--turbines 4] [--folder data/daily-replay] [--resume]
        (PYTHONPATH=tests; make daily-replay)
Every day scores the windows that ended since the day before and follows the predictions up with that day's clock, as a
nightly schedule does. Then one run each of `predict` and `monitor` does the whole span in a second lake. The start of
the jobs' processes is left out, which would be most of the time. Prints the tables and exits 1 when any differs.
Takes some two hours. After a kill, at any moment of the days, `--resume` does the newest day again and goes on.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pyarrow.compute as pc
from acceptance.plant import OF_THE_RUN, REPOSITORY, Plant, simulated_names
from deltalake import DeltaTable

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
    parser.add_argument("--resume", action="store_true", help="go on with the days of a run that was killed")
    args = parser.parse_args()
    folder = args.folder.absolute()
    days_done = 0
    if args.resume:
        at_once, daily = (Plant(folder / name, folder / "trained" / "landing") for name in ("at-once", "daily"))
        days_done = max((newest_window(daily) - FIRST_DAY) // DAY, 0)
        print(f"day {days_done + 1} is done again", flush=True)
    else:
        shutil.rmtree(folder, ignore_errors=True)
        trained = trained_plant(folder / "trained", args.turbines)
        at_once = trained.copy(fresh(folder / "at-once"))
        replay(at_once, [(FIRST_DAY, FIRST_DAY + args.days * DAY)])
        daily = trained.copy(fresh(folder / "daily"))
    replay(daily, [(FIRST_DAY + number * DAY, FIRST_DAY + (number + 1) * DAY) for number in range(days_done, args.days)])
    return compare(at_once, daily)


def trained_plant(folder: Path, turbines: int) -> Plant:
    """A year of logs, features and champions, and no predictions."""
    plant = Plant.in_folder(fresh(folder))
    values = {
        "simulation": {"turbines": turbines, "seed": 11},
        "model": {"classifier": FOREST, "regressor": FOREST},
        "split": {"folds": 2},
        # Plans made anew after each shuffle cost more than these few rows.
        "spark": {"shuffle_partitions": 1, "conf": {"spark.sql.adaptive.enabled": "false"}},
    }
    plant.write_settings(values, known_turbines=simulated_names(turbines))
    plant.run_in_one_process("simulate", "ingest", "build_features", "train", "promote")
    return plant


def fresh(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def newest_window(plant: Plant) -> datetime:
    """Newest window end that has a prediction."""
    ends = DeltaTable(plant.lake / "gold" / "failure_predictions").to_pyarrow_table(columns=["window_end"])["window_end"]
    newest = pc.max(ends).as_py()
    assert isinstance(newest, datetime), f"no predictions yet in {plant.lake}: start without --resume"
    return newest.astimezone(timezone.utc)


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
