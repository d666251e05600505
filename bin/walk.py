"""Jobs one after the other in one Python process and one JVM, which then starts and compiles Spark's code only once.

Usage:  python bin/walk.py SETTINGS JOB…

A JOB is a name, `predict`, or a name with arguments, "predict --from 2023-05-01": what `python jobs/predict.py --config
SETTINGS --from 2023-05-01` does. A path that ends in `.py` names another script with such a `main`. Says before each job
what it does and after it what it took; ends with the exit code of the first job that fails.
"""

from __future__ import annotations

import runpy
import shlex
import sys
import time
from pathlib import Path

from turbine_health.cli import run_job

JOBS = Path(__file__).resolve().parents[1] / "jobs"


def main(settings: str, commands: list[str]) -> int:
    began = time.monotonic()
    for command in commands:
        job, *more = shlex.split(command)
        script = Path(job) if job.endswith(".py") else JOBS / f"{job}.py"
        door, started = runpy.run_path(str(script)), time.monotonic()
        print(f"\n== {script.stem}: {door['__doc__'].splitlines()[0]}", flush=True)
        code = run_job(script.stem, door["main"], ["--config", settings, *more])
        if code:
            return code
        print(f"   ({time.monotonic() - started:.0f} s)", flush=True)
    print(f"\nDone in {time.monotonic() - began:.0f} s.", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
