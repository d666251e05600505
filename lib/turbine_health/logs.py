"""What the jobs print: lines for people, or one JSON object a line for a log collector."""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime, timezone
from types import TracebackType
from typing import Literal

from turbine_health.redaction import masked
from turbine_health.run_id import current_run_id

logger = logging.getLogger("turbine_health")

LogFormat = Literal["text", "json"]


def start_logging(job: str, log_format: LogFormat, quiet: bool) -> None:
    """Send this package's progress to standard error, and bugs' tracebacks too, without secrets."""
    run_id = current_run_id()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonLines(job, run_id) if log_format == "json" else _Text("%(asctime)s %(message)s", datefmt="%H:%M:%S")
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    # It prints the traceback of whatever is raised in a streaming batch, which then reaches the job as an error anyway.
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    sys.excepthook = _log_bug


def say_last(message: str, log_format: LogFormat, *, failed: bool = False) -> None:
    """The one line that tells how a job ended; `--quiet` keeps it."""
    if log_format == "json":
        level = logging.ERROR if failed else logging.INFO
        logger.handle(logger.makeRecord(logger.name, level, __file__, 0, message, (), None))
    else:
        print(masked(message), file=sys.stderr if failed else sys.stdout)


class JsonLines(logging.Formatter):
    """`{"time": …, "level": …, "job": …, "run_id": …, "message": …}`, and `traceback` for a bug."""

    def __init__(self, job: str, run_id: str) -> None:
        super().__init__()
        self._run = {"job": job, "run_id": run_id}

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            **self._run,
            "message": masked(record.getMessage()),
        }
        if record.exc_info:
            line["traceback"] = masked(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))


def _log_bug(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    logger.critical("a bug of ours, please report it", exc_info=(kind, error, traceback))
