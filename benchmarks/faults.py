"""Kill a job at random moments, run it again, and compare every table with those of an undisturbed run.

Usage:  python benchmarks/faults.py [--job ingest] [--kills 30] [--seed 1] [--folder data/faults]
        (PYTHONPATH=tests; make faults, which kills ingest 30 times and predict 20 times)
Prints one line a kill and a summary; exits 1 when any table differs.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from acceptance.plant import OF_THE_RUN, REPOSITORY, Plant, job_environment, simulated_names

FOREST = {"trees": 20, "depth": 6}
# A kill in the first seconds only proves that Python can be killed: leave out the start of the JVM.
QUIET_START_SECONDS = 5.0


@dataclass(frozen=True)
class Victim:
    """A job, the fleet whose logs it meets, its arguments, and the jobs that come before it."""

    job: str
    fleet: Mapping[str, int]
    arguments: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


VICTIMS = {
    victim.job: victim
    for victim in (
        Victim("ingest", {"turbines": 3, "days": 90}),
        # Turbines of both folds fail, or nothing can be trained.
        Victim(
            "predict",
            {"turbines": 6, "days": 150, "seed": 11},
            ("--from", "2023-01-01"),
            after=("ingest", "build_features", "train", "promote"),
        ),
    )
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--job", choices=VICTIMS, default="ingest")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "data" / "faults")
    args = parser.parse_args()
    shutil.rmtree(args.folder, ignore_errors=True)
    victim = VICTIMS[args.job]
    before = plant_before(victim, args.folder.absolute() / "before")
    undisturbed = before.copy(args.folder.absolute() / "undisturbed")
    began = time.monotonic()
    undisturbed.run_by_python(victim.job, *victim.arguments)
    seconds = time.monotonic() - began
    expected = undisturbed.checksums(OF_THE_RUN)
    print(f"undisturbed: {seconds:.0f} s, {sum(rows for rows, _ in expected.values()):,} rows in all tables", flush=True)
    chance = random.Random(args.seed)
    equal = 0
    for number in range(1, args.kills + 1):
        while True:
            moment = chance.uniform(QUIET_START_SECONDS, seconds)
            killed = kill_and_run_again(before, args.folder.absolute() / "killed", victim, moment)
            if killed:
                break
            # The undisturbed run took longer than this one, which was done before: draw again, from what is left.
            seconds = moment
        found, stage = killed
        differing = sorted(table for table in expected.keys() | found.keys() if expected.get(table) != found.get(table))
        equal += not differing
        verdict = f"DIFFERENT: {', '.join(differing)}" if differing else "equal"
        print(f"kill {number:2} after {moment:5.1f} s ({stage}): {verdict}", flush=True)
    print(f"{equal} of {args.kills} equal")
    return 0 if equal == args.kills else 1


def plant_before(victim: Victim, folder: Path) -> Plant:
    """A small fleet, taken in in several batches, with all that the job needs."""
    folder.mkdir(parents=True)
    plant = Plant.in_folder(folder)
    values = {
        "simulation": {**victim.fleet, "dirt": 3.0},
        "ingest": {"max_batch_mb": 1},
        "features": {"every_hours": 1, "lookback_hours": [24, 168]},
        "model": {"classifier": FOREST, "regressor": FOREST},
        "split": {"folds": 2},
        "spark": {"master": "local[2]", "driver_memory": "1g"},
    }
    plant.write_settings(values, known_turbines=simulated_names(victim.fleet["turbines"]))
    plant.run_in_one_process("simulate", *victim.after)
    return plant


def kill_and_run_again(
    before: Plant, folder: Path, victim: Victim, moment: float
) -> tuple[dict[str, tuple[int, int]], str] | None:
    """Tables after a run that was killed and one that was not, and how far the first one came; None: it was done before."""
    shutil.rmtree(folder, ignore_errors=True)
    plant = before.copy(folder)
    process = subprocess.Popen(
        plant.by_python(victim.job, *victim.arguments), env=job_environment(), start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        process.wait(moment)
        return None
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    commits = commits_of(plant) - commits_of(before)
    batches = len(list(plant.lake.glob("_checkpoints/*/commits/*")))
    stage = f"{commits} commits" + (f", {batches} batches" if batches else "")
    plant.run_by_python(victim.job, *victim.arguments)
    return plant.checksums(OF_THE_RUN), stage


def commits_of(plant: Plant) -> int:
    """Of all tables, also of one that was only begun."""
    return len(list(plant.lake.glob("*/*/_delta_log/*.json")))


if __name__ == "__main__":
    sys.exit(main())
