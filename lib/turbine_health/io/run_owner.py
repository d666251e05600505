"""Which process owns an MLflow run, so that the run of a killed one does not look alive for ever."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from turbine_health.run_id import current_run_id

_PREFIX = "turbine_health.owner_"


@dataclass(frozen=True)
class RunOwner:
    """A process on a host. `began` tells it from a later process that got the same number."""

    host: str
    pid: int
    began: str

    @classmethod
    def of_this_process(cls) -> RunOwner:
        return cls(socket.gethostname(), os.getpid(), _began(os.getpid()))

    @classmethod
    def from_tags(cls, tags: Mapping[str, str]) -> RunOwner | None:
        """The owner written on a run; None for a run that is not ours."""
        if f"{_PREFIX}pid" not in tags:
            return None
        return cls(tags[f"{_PREFIX}host"], int(tags[f"{_PREFIX}pid"]), tags[f"{_PREFIX}began"])

    def as_tags(self) -> dict[str, str]:
        """The owner as a run's tags, with the run of the jobs that it works for."""
        owner = {f"{_PREFIX}host": self.host, f"{_PREFIX}pid": str(self.pid), f"{_PREFIX}began": self.began}
        return {**owner, "run_id": current_run_id()}

    def is_gone(self, started_at: datetime, now: datetime, elsewhere_hours: float) -> bool:
        """Whether the owner has ended. On another host nobody can look, so there age decides."""
        if self.host != socket.gethostname():
            return now - started_at > timedelta(hours=elsewhere_hours)
        return not _exists(self.pid) or _began(self.pid) != self.began


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _began(pid: int) -> str:
    """Start of the process in clock ticks since boot, from Linux's /proc; empty where there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return ""
    # The command name in brackets may hold blanks; the start time is the 20th field after it.
    return stat.rpartition(")")[2].split()[19]
