"""The account of what was planted, so that tests can count it back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from turbine_health.simulation.history import Failure, Fault, History, SensorTrouble, asset_name
from turbine_health.simulation_settings import SimulationSettings


@dataclass
class Truth:
    """Counts and places of everything planted. `quarantine` has the codes of `quarantine.sensor_readings`."""

    rows: int = 0
    quarantine: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)
    files: dict[str, int] = field(default_factory=dict)
    bad_lines: list[dict[str, Any]] = field(default_factory=list)
    spans: list[dict[str, Any]] = field(default_factory=list)
    histories: list[History] = field(default_factory=list)
    events: dict[str, int] = field(default_factory=dict)

    def count_file(self, name: str, rows: int) -> None:
        """A file with so many lines below its header."""
        self.files[name] = rows
        self.rows += rows

    def bad_line(self, code: str, file: str, line: int) -> None:
        """A line that must end in quarantine with exactly this code; the header is line 1."""
        self.quarantine[code] += 1
        self.bad_lines.append({"code": code, "file": file, "line": line})

    def span(self, kind: str, asset_id: str, start: np.datetime64, end: np.datetime64, **more: Any) -> None:
        """Something that shows over a while: a gap, a stuck sensor, a spike; `end` is excluded."""
        self.spans.append({"kind": kind, "asset_id": asset_id, "start": stamp(start), "end": stamp(end), **more})

    def to_json(self, settings: SimulationSettings) -> bytes:
        """All of it. Times are UTC."""
        start = np.datetime64(settings.start, "s")
        turbines = [asset_name(turbine) for turbine in range(1, settings.turbines + 1)]
        failed = {history.asset_id for history in self.histories if history.failures}
        in_quarantine = sum(self.quarantine.values())
        account = {
            "settings": settings.model_dump(mode="json", exclude={"output"}),
            "turbines": turbines,
            "never_failing": [asset_id for asset_id in turbines if asset_id not in failed],
            "readings": {
                "files": len(self.files),
                "rows": self.rows,
                "rows_in_silver": self.rows - in_quarantine,
                "rows_in_quarantine": in_quarantine,
            },
            "quarantine": dict(sorted(self.quarantine.items())),
            "flags": dict(sorted(self.flags.items())),
            "events": self.events,
            "failures": [_failure(history, start, failure) for history, failure in self._each("failures")],
            "faults": [_fault(history, start, fault) for history, fault in self._each("faults")],
            "sensor_troubles": [_trouble(history, start, trouble) for history, trouble in self._each("sensor_troubles")],
            "spans": self.spans,
            "bad_lines": self.bad_lines,
            "files": self.files,
        }
        return (json.dumps(account, indent=1) + "\n").encode()

    def _each(self, happenings: str) -> Iterator[tuple[History, Any]]:
        for history in self.histories:
            for happening in getattr(history, happenings):
                yield history, happening


def moment(start: np.datetime64, day: float) -> np.datetime64:
    """The time, to the second, so many days after `start`."""
    return start + np.timedelta64(round(day * 86_400), "s")


def stamp(time: np.datetime64) -> str:
    """`2023-04-01 13:50:00`."""
    return str(np.datetime_as_string(time, unit="s")).replace("T", " ")


def _failure(history: History, start: np.datetime64, failure: Failure) -> dict[str, Any]:
    return {
        "asset_id": history.asset_id,
        "failure_mode": failure.mode,
        "degrading_since": None if failure.degrading_since is None else stamp(moment(start, failure.degrading_since)),
        "failed_at": stamp(moment(start, failure.failed)),
        "repaired_at": stamp(moment(start, failure.repaired)),
        "logs_while_down": failure.logs_while_down,
    }


def _fault(history: History, start: np.datetime64, fault: Fault) -> dict[str, Any]:
    return {
        "asset_id": history.asset_id,
        "failure_mode": fault.mode,
        "outcome": fault.outcome,
        "peak": round(fault.peak, 3),
        "start": stamp(moment(start, fault.start)),
        "end": stamp(moment(start, fault.end)),
    }


def _trouble(history: History, start: np.datetime64, trouble: SensorTrouble) -> dict[str, Any]:
    return {
        "asset_id": history.asset_id,
        "kind": trouble.kind,
        "signal": trouble.signal,
        "shift": round(trouble.shift, 3),
        "start": stamp(moment(start, trouble.start)),
        "end": stamp(moment(start, trouble.end)),
    }
