"""All jobs on a standalone cluster of real processes: same results as local mode, also when a worker is lost.

Usage:  make bench-cluster   (or: PYTHONPATH=tests python benchmarks/cluster.py FOLDER [--turbines 6] [--days 150])
Prints: seconds per job in local mode, on two workers and on one, as a table; and whatever differs in their results

The workers have one core each, and see the lake and the MLflow store by path, outside their own folders.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from acceptance.plant import OF_THE_RUN, REPOSITORY, Plant, promote
from mlflow import MlflowClient

JOBS = ("ingest", "build_features", "train", "predict", "monitor")
FOREST = {"trees": 20, "depth": 6}
EXECUTORS = ("--executor-memory", "1g", "--py-files", str(REPOSITORY / "dist" / "turbine_health.zip"))
# Times and file names differ from run to run; all other metrics must not.
METRICS_OF_THE_RUN = ("seconds", "duration")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="gets a lake and an MLflow store for each way of running")
    parser.add_argument("--turbines", type=int, default=6)
    parser.add_argument("--days", type=int, default=150)
    args = parser.parse_args()
    folder = args.folder.resolve()
    fleet = simulated_fleet(folder, args.turbines, args.days)
    seconds, plants = {}, {}
    for name, workers in (("local", 0), ("two-workers", 2), ("one-worker", 1)):
        plants[name] = fleet.with_same_landing(fresh(folder / name))
        with cluster(folder, workers) as master:
            seconds[name] = walk(plants[name], master)
    print_seconds(seconds)
    for name in ("two-workers", "one-worker"):
        print_differences(name, plants["local"], plants[name])
    lost = plants["two-workers"].copy(fresh(folder / "worker-lost"))
    with cluster(folder, 2) as master:
        train_losing_a_worker(lost, folder, master)
    print_differences("worker lost in training", plants["two-workers"], lost)


def simulated_fleet(folder: Path, turbines: int, days: int) -> Plant:
    """Landing files and no tables yet."""
    plant = Plant.in_folder(fresh(folder / "fleet"))
    plant.write_settings({
        "simulation": {"turbines": turbines, "days": days, "seed": 11},
        "model": {"classifier": FOREST, "regressor": FOREST},
    })  # fmt: skip
    plant.run("simulate")
    return plant


def fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[str]:
    """Address of a cluster of so many workers of one core; of none: local mode on two cores."""
    if workers == 0:
        yield "local[2]"
        return
    environment = cluster_environment(folder)
    command = [REPOSITORY / "bin" / "cluster", "start", str(workers), "1", "2g"]
    started = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    try:
        yield started.stdout.strip()
    finally:
        subprocess.run([REPOSITORY / "bin" / "cluster", "stop"], env=environment, check=True)


def cluster_environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "CLUSTER_FOLDER": str(folder / "cluster")}


def walk(plant: Plant, master: str) -> dict[str, float]:
    """Seconds of each job."""
    seconds = {}
    for job in JOBS:
        started = time.monotonic()
        plant.run(job, master=master, submit=() if master.startswith("local") else EXECUTORS)
        seconds[job] = time.monotonic() - started
        if job == "train":
            promote(plant.settings)
    return seconds


def train_losing_a_worker(plant: Plant, folder: Path, master: str) -> None:
    """End one of two workers, its executor too, as soon as training has told its first step."""

    def lose_a_worker() -> None:
        subprocess.run([REPOSITORY / "bin" / "cluster", "kill", "2"], env=cluster_environment(folder), check=True)

    plant.interrupt("train", after_progress_lines=2, by=lose_a_worker, master=master, submit=EXECUTORS)


def print_seconds(seconds: dict[str, dict[str, float]]) -> None:
    print("| job | " + " | ".join(seconds) + " |")
    print("|---|" + "---:|" * len(seconds))
    for job in JOBS:
        print(f"| {job} | " + " | ".join(f"{by_job[job]:.0f}" for by_job in seconds.values()) + " |")


def print_differences(name: str, expected: Plant, actual: Plant) -> None:
    tables = {
        table: (rows, actual_rows)
        for table, (rows, checksum) in expected.checksums(leaving_out=OF_THE_RUN).items()
        for actual_rows, actual_checksum in [actual.checksums(leaving_out=OF_THE_RUN).get(table, (0, 0))]
        if (rows, checksum) != (actual_rows, actual_checksum)
    }
    print(f"{name}: tables that differ: {tables or 'none'}")
    before, after = metrics(expected), metrics(actual)
    differing = {
        metric: (value, after.get(metric))
        for metric, value in before.items()
        if not metric.endswith(METRICS_OF_THE_RUN) and after.get(metric) != value
    }
    print(f"{name}: {len(before)} metrics, differing: {differing or 'none'}")


def metrics(plant: Plant) -> dict[str, float]:
    """Of the newest run of each experiment, as `experiment/metric`."""
    client = MlflowClient(tracking_uri=f"sqlite:///{plant.folder}/mlflow.db")
    found = {}
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id], max_results=1):
            found |= {f"{experiment.name}/{name}": value for name, value in run.data.metrics.items()}
    return found


if __name__ == "__main__":
    main()
