"""Several jobs, one after the other, in one Python process and one JVM.

Usage:  python tests/acceptance/one_process.py SETTINGS JOB…   (`promote` makes the newest models champions)
"""

from __future__ import annotations

import runpy
import sys

from acceptance.plant import REPOSITORY, promote

from turbine_health.cli import run_job


def main(settings: str, jobs: list[str]) -> int:
    for job in jobs:
        if job == "promote":
            promote(settings)
            continue
        door = runpy.run_path(str(REPOSITORY / "jobs" / f"{job}.py"))
        code = run_job(job, door["main"], ["--config", settings])
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
