"""What all job doors share: flags, logging, and exit codes."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence

from turbine_health.errors import TurbineHealthError

logger = logging.getLogger("turbine_health")

EXIT_DONE = 0
EXIT_OUR_BUG = 1
EXIT_USER_CAN_MEND = 2


def job_parser(name: str, description: str) -> argparse.ArgumentParser:
    """A parser with the flags that every job has: `--config`, `--set`, `--quiet`."""
    parser = argparse.ArgumentParser(prog=f"jobs/{name}.py", description=description)
    parser.add_argument("--config", help="settings file, merged over conf/base.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="replace one setting")
    parser.add_argument("--quiet", action="store_true", help="only the summary line and errors")
    return parser


def run_job(name: str, main: Callable[[Sequence[str] | None], str], argv: Sequence[str] | None = None) -> int:
    """Run a job's body and turn how it ended into an exit code.

    Args:
        name: Of the job, for the summary line.
        main: Takes the arguments, does the work, returns the summary sentence.
        argv: Arguments; None means the command line's.

    Returns:
        0 when done; 2 after one clear line for what the user can mend. Our own bugs keep
        their traceback, with which Python exits 1.
    """
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", level=logging.INFO, stream=sys.stderr)
    logging.getLogger("py4j").setLevel(logging.WARNING)
    try:
        summary = main(argv)
    except TurbineHealthError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return EXIT_USER_CAN_MEND
    print(f"{name}: {summary}")
    return EXIT_DONE
