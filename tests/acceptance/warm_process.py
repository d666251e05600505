"""One plant's jobs after another's, in one Python process and one JVM: Spark starts and is compiled once for all of them.

Usage:  python tests/acceptance/warm_process.py     (acceptance.plant starts it)

Each line of standard input is a JSON list: settings, then jobs, as for bin/walk.py. What they print is
followed by a line of `END` and their exit code.
"""

from __future__ import annotations

import json
import runpy
import sys
import traceback
from pathlib import Path

WALK = Path(__file__).resolve().parents[2] / "bin" / "walk.py"
# Never in a log: ASCII record separator.
END = "\x1eended with "


def main() -> None:
    walk = runpy.run_path(str(WALK))["main"]
    for line in sys.stdin:
        settings, *jobs = json.loads(line)
        try:
            code = walk(settings, jobs)
        except Exception:
            traceback.print_exc()
            code = 1
        print(f"{END}{code}", flush=True)


if __name__ == "__main__":
    main()
