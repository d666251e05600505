"""Damage valid log files in 2,000 seeded ways, take them in, and count every line again.

Usage:  python benchmarks/fuzz.py [--mutations 2000] [--seed 0] [--folder data/fuzz]   (PYTHONPATH=tests; make fuzz)
Prints one line a hundred files. Exits 1 when ingest stops, when its account does not balance, or when a line is nowhere.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from landing import Landing
from mutations import differing_files, mutated_file

from turbine_health.io.delta import TableStore
from turbine_health.io.session import spark_session
from turbine_health.settings import SparkSettings, StorageSettings

FILES_A_RUN = 100


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("data/fuzz"))
    args = parser.parse_args()
    shutil.rmtree(args.folder, ignore_errors=True)
    (args.folder / "landing").mkdir(parents=True)
    settings = SparkSettings(master="local[2]", driver_memory="2g", shuffle_partitions=2)
    lost = 0
    with spark_session("fuzz", settings) as spark:
        root = args.folder.absolute()
        landing = Landing(TableStore(spark, StorageSettings(root=f"{root}/lake", reports=f"{root}/reports")), root / "landing")
        for first in range(args.seed, args.seed + args.mutations, FILES_A_RUN):
            lost += take_in(landing, range(first, min(first + FILES_A_RUN, args.seed + args.mutations)))
    print(f"{args.mutations:,} files, {lost} of them with lines that are nowhere")
    return 1 if lost else 0


def take_in(landing: Landing, seeds: range) -> int:
    """Write these mutations, ingest, and compare lines file by file; returns the files that differ."""
    files = dict(mutated_file(seed) for seed in seeds)
    for name, content in files.items():
        landing.write_bytes(name, content)
    summary = landing.ingest()
    differing = differing_files(landing, files)
    print(f"mutations {seeds[0]:5} to {seeds[-1]:5}: {summary}; {len(differing)} files differ", flush=True)
    for line in differing:
        print(f"  {line}", flush=True)
    return len(differing)


if __name__ == "__main__":
    sys.exit(main())
