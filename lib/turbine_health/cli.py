"""What all job doors share: flags, logging, and exit codes."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from datetime import datetime, timezone

from turbine_health.errors import TurbineHealthError
from turbine_health.logs import say_last, start_logging

EXIT_DONE = 0
EXIT_OUR_BUG = 1
EXIT_USER_CAN_MEND = 2
# What shells report of a program that Ctrl-C ended: 128 and the signal's number.
EXIT_INTERRUPTED = 130
OF_EVERY_JOB = ("config", "set", "quiet", "log")


def job_parser(name: str, description: str) -> argparse.ArgumentParser:
    """A parser with the flags that every job has: `--config`, `--set`, `--quiet`, `--log`."""
    parser = argparse.ArgumentParser(
        prog=f"jobs/{name}.py",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[_log_flags()],
        allow_abbrev=False,
    )
    parser.add_argument("--config", help="settings file, merged over conf/base.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="replace one setting")
    return parser


def utc_time(text: str) -> datetime:
    """`2024-01-31` or `2024-01-31T06:00` from a flag, as a time in UTC unless it names an offset."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 2024-01-31 or 2024-01-31T06:00") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def refuse_beside(parser: argparse.ArgumentParser, args: argparse.Namespace, alone: str, *allowed: str) -> argparse.Namespace:
    """The arguments; ends the process as for any wrong flag where `alone` was given beside a flag that it would ignore."""
    others = sorted(name for name, value in vars(args).items() if value != parser.get_default(name))
    ignored = [f"--{name.replace('_', '-')}" for name in others if name not in {alone, *allowed, *OF_EVERY_JOB}]
    if getattr(args, alone) and ignored:
        parser.error(f"--{alone} does not go with {' and '.join(ignored)}")
    return args


def run_job(name: str, main: Callable[[Sequence[str] | None], str], argv: Sequence[str] | None = None) -> int:
    """Run a job's body and turn how it ended into an exit code.

    Args:
        name: Of the job, for the summary line.
        main: Takes the arguments, does the work, returns the summary sentence; empty: it has said everything.
        argv: Arguments; None means the command line's.

    Returns:
        0 when done; 2 after one clear line for what the user can mend; 130 after one when the user
        interrupted it. Our own bugs keep their traceback, with which Python exits 1.
    """
    flags, _ = _log_flags().parse_known_args(argv)
    try:
        start_logging(name, flags.log, flags.quiet)
        summary = main(argv)
    except TurbineHealthError as error:
        say_last(f"{name}: {error}", flags.log, failed=True)
        return EXIT_USER_CAN_MEND
    except BaseException as error:
        if not _is_interrupted(error):
            raise
        say_last(f"{name}: interrupted; what was written is whole, and the next run goes on", flags.log, failed=True)
        return EXIT_INTERRUPTED
    if summary:
        say_last(f"{name}: {summary}", flags.log)
    return EXIT_DONE


def _is_interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind it: Spark may fail while it stops, when its own process got the signal too."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _log_flags() -> argparse.ArgumentParser:
    """Read before the job's own flags, so that even a mistake among those is told in the right form."""
    flags = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    flags.add_argument("--quiet", action="store_true", help="only the summary line and errors")
    flags.add_argument("--log", choices=("text", "json"), default="text", help="lines for people, or JSON for a log collector")
    return flags
