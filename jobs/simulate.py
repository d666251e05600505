"""Write the raw logs of a simulated fleet, with what was planted in truth.json.

Usage:  spark-submit jobs/simulate.py --config conf/simulated.yaml   (or: python jobs/simulate.py …)
Reads:  nothing
Writes: the folder simulation.output: readings/*.csv, events.csv, truth.json
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from turbine_health.cli import job_parser, run_job
from turbine_health.io.folders import replace_folder
from turbine_health.settings import load_settings
from turbine_health.simulation.fleet import TRUTH, Fleet


def main(argv: Sequence[str] | None = None) -> str:
    args = job_parser("simulate", __doc__).parse_args(argv)
    settings = load_settings(args.config, overrides=args.set).simulation
    started = time.monotonic()
    fleet = Fleet(settings)
    written = replace_folder(Path(settings.output), fleet.files(), marker=TRUTH)
    return f"{fleet}; {written / 1e6:,.0f} MB to {settings.output} in {time.monotonic() - started:.0f} s"


if __name__ == "__main__":
    sys.exit(run_job("simulate", main))
