"""What a million readings more cost each job: fleets of different sizes, every job as a process of its own.

Usage:  python benchmarks/fleet_sizes.py [--turbines 10 40] [--folder data/fleet-sizes]   (PYTHONPATH=tests; make fleet-sizes)
Prints a Markdown table: seconds of each job for each fleet (a year of the built-in one, ten-minute readings), and the slope
from the smallest fleet to the largest. The start of the processes is in the seconds and not in the slope.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

from acceptance.plant import Plant, promote, simulated_names
from deltalake import DeltaTable

# As a schedule calls them; `predict` scores the newest window of each turbine.
JOBS = ("ingest", "build_features", "train", "predict", "monitor", "report")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turbines", type=int, nargs="+", default=[10, 40])
    parser.add_argument("--folder", type=Path, default=Path("data/fleet-sizes"))
    args = parser.parse_args()
    fleets = sorted(set(args.turbines))
    if len(fleets) < 2:
        parser.error("a slope needs two fleets of different sizes")
    shutil.rmtree(args.folder, ignore_errors=True)
    walks = [walk(args.folder.absolute() / f"{turbines}-turbines", turbines) for turbines in fleets]
    print_table(fleets, walks)
    return 0


def walk(folder: Path, turbines: int) -> tuple[float, dict[str, float]]:
    """Millions of readings in silver, and the seconds of each job."""
    folder.mkdir(parents=True)
    plant = Plant.in_folder(folder)
    plant.write_settings({"simulation": {"turbines": turbines}}, known_turbines=simulated_names(turbines))
    plant.run_by_python("simulate")
    seconds = {}
    for job in JOBS:
        started = time.monotonic()
        plant.run_by_python(job)
        seconds[job] = time.monotonic() - started
        if job == "train":
            promote(plant.settings)
    return DeltaTable(plant.lake / "silver" / "sensor_readings").count() / 1e6, seconds


def print_table(fleets: list[int], walks: list[tuple[float, dict[str, float]]]) -> None:
    """One row a job."""
    (fewest, quickest), (most, slowest) = walks[0], walks[-1]
    heads = [f"{turbines} turbines, {millions:.2f} million" for turbines, (millions, _) in zip(fleets, walks, strict=True)]
    print(f"| seconds of | {' | '.join(heads)} | per million readings more |")
    print("|---|" + "---:|" * (len(walks) + 1))
    for job in JOBS:
        slope = (slowest[job] - quickest[job]) / (most - fewest)
        print(f"| `{job}` | {' | '.join(f'{seconds[job]:.0f}' for _, seconds in walks)} | {slope:.1f} |")


if __name__ == "__main__":
    sys.exit(main())
