"""Several jobs, one after the other, in one Python process and one JVM.

Usage:  python tests/acceptance/one_process.py SETTINGS JOB…

A job may bring arguments, "predict --from 2023-05-01"; `promote` makes the newest models champions.
"""

from __future__ import annotations

import runpy
import shlex
import sys

from acceptance.plant import REPOSITORY, promote

from turbine_health.cli import run_job


def main(settings: str, jobs: list[str]) -> int:
    for command in jobs:
        job, *more = shlex.split(command)
        if job == "promote":
            promote(settings)
            continue
        door = runpy.run_path(str(REPOSITORY / "jobs" / f"{job}.py"))
        code = run_job(job, door["main"], ["--config", settings, *more])
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
