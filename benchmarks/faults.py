"""Kill ingest at random moments, run it again, and compare every table with those of an undisturbed run.

Usage:  python benchmarks/faults.py [--kills 30] [--seed 1] [--folder data/faults]   (PYTHONPATH=tests; make faults)
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
from pathlib import Path

from acceptance.plant import OF_THE_RUN, REPOSITORY, Plant, job_environment

TURBINES = ("T01", "T02", "T03")
# A kill in the first seconds only proves that Python can be killed: leave out the start of the JVM.
QUIET_START_SECONDS = 5.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "data" / "faults")
    args = parser.parse_args()
    shutil.rmtree(args.folder, ignore_errors=True)
    undisturbed = a_plant(args.folder / "undisturbed", args.folder / "landing")
    simulate(undisturbed)
    began = time.monotonic()
    run(undisturbed)
    seconds = time.monotonic() - began
    expected = undisturbed.checksums(OF_THE_RUN)
    print(f"undisturbed: {seconds:.0f} s, {expected['silver/sensor_readings'][0]:,} rows in silver", flush=True)
    chance = random.Random(args.seed)
    equal = 0
    for number in range(1, args.kills + 1):
        moment = chance.uniform(QUIET_START_SECONDS, seconds)
        found, stage = kill_and_run_again(args.folder / "killed", undisturbed.landing, moment)
        differing = sorted(table for table in expected.keys() | found.keys() if expected.get(table) != found.get(table))
        equal += not differing
        verdict = f"DIFFERENT: {', '.join(differing)}" if differing else "equal"
        print(f"kill {number:2} after {moment:5.1f} s ({stage}): {verdict}", flush=True)
    print(f"{equal} of {args.kills} equal")
    return 0 if equal == args.kills else 1


def a_plant(folder: Path, landing: Path) -> Plant:
    """A lake of its own over the common landing folder, taken in in several batches."""
    plant = Plant(folder, landing)
    values = {
        "simulation": {"turbines": len(TURBINES), "days": 90, "dirt": 3.0},
        "ingest": {"max_batch_mb": 1},
        "spark": {"master": "local[2]", "driver_memory": "1g"},
    }
    plant.write_settings(values, known_turbines=TURBINES)
    return plant


def simulate(plant: Plant) -> None:
    """Write the landing files."""
    subprocess.run(plant.by_python("simulate"), env=job_environment(), check=True, capture_output=True)


def run(plant: Plant) -> None:
    """Ingest to its end."""
    done = subprocess.run(plant.by_python("ingest"), env=job_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"ingest exited {done.returncode}\n{done.stderr[-4000:]}")


def kill_and_run_again(folder: Path, landing: Path, moment: float) -> tuple[dict[str, tuple[int, int]], str]:
    """Tables after a run that was killed and one that was not, and how far the first one came."""
    shutil.rmtree(folder, ignore_errors=True)
    plant = a_plant(folder, landing)
    process = subprocess.Popen(
        plant.by_python("ingest"), env=job_environment(), start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        process.wait(moment)
        stage = "it was done before"
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        stage = f"{len(plant.tables())} tables, {len(list(plant.lake.glob('_checkpoints/*/commits/*')))} batches done"
    run(plant)
    return plant.checksums(OF_THE_RUN), stage


if __name__ == "__main__":
    sys.exit(main())
