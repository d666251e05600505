"""A small plant whose logs a test writes line by line, and its lake."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from turbine_health.io.delta import TableStore
from turbine_health.pipelines.ingest import IngestSummary, ingest
from turbine_health.settings import Settings
from turbine_health.tables import CHANGED_HOURS, INGEST_RUNS, QUARANTINE, sensor_readings

SIGNALS = ("wind_speed_m_s", "bearing_temp_c")
HEADER = "asset_id,event_time,wind_speed_m_s,bearing_temp_c"
# Not the same in two lakes that hold the same rows.
OF_THE_RUN = ("_ingested_at", "_quarantined_at", "_run_id", "run_id", "started_at", "finished_at", "seconds", "versions")


@dataclass
class Landing:
    """Files are written in the order of arrival: each is a minute newer than the one before."""

    store: TableStore
    folder: Path
    source: dict[str, Any] = field(default_factory=dict)
    written: int = 0

    def write(self, name: str, *lines: str, header: str | None = HEADER) -> Path:
        """A log file of these lines."""
        return self.write_bytes(name, "\n".join([*([header] if header else []), *lines, ""]).encode())

    def write_bytes(self, name: str, content: bytes) -> Path:
        """A file of any content."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.written += 1
        os.utime(path, (1_700_000_000 + 60 * self.written,) * 2)
        return path

    @property
    def settings(self) -> Settings:
        """One source over the folder; `source` replaces parts of its description."""
        signals = [{"name": name, "column": name, "unit": "-", "valid_range": (-50, 100)} for name in SIGNALS]
        described = {
            "name": "plant", "files": {"path": f"{self.folder}/*.csv*"}, "asset_id": {"column": "asset_id"},
            "time": {"timestamp": {"column": "event_time", "time_zone": "UTC"}}, "sampling_minutes": 10,
            "wind_signal": "wind_speed_m_s", "signals": signals, **self.source,
        }  # fmt: skip
        return Settings.model_validate({"storage": self.store.storage.model_dump(), "sources": [described]})

    def ingest(self) -> IngestSummary:
        """Take in what is new."""
        return ingest(self.store, self.settings)

    @property
    def silver(self) -> DataFrame:
        """silver.sensor_readings."""
        return self.store.read(sensor_readings(SIGNALS))

    @property
    def quarantine(self) -> DataFrame:
        """quarantine.sensor_readings, or no rows."""
        return self.store.read(QUARANTINE) if self.store.exists(QUARANTINE) else self.store.empty(QUARANTINE)

    def codes(self) -> list[tuple[str, list[str]]]:
        """(line, codes of its reasons) of every quarantined row, sorted by line."""
        rows = self.quarantine.select(
            "value", F.transform("reasons", lambda reason: F.substring_index(reason, ":", 1)).alias("codes")
        )
        return sorted(((row["value"], row["codes"]) for row in rows.collect()), key=str)

    def rows(self) -> dict[str, list[Any]]:
        """The content of every table that ingest writes, without what is of the run."""
        tables = {"silver": sensor_readings(SIGNALS), "quarantine": QUARANTINE, "hours": CHANGED_HOURS, "runs": INGEST_RUNS}
        found = {}
        for name, table in tables.items():
            frame = self.store.read(table) if self.store.exists(table) else self.store.empty(table)
            found[name] = sorted((tuple(row) for row in frame.drop(*OF_THE_RUN).collect()), key=str)
        return found

    def versions(self) -> dict[str, int]:
        """How many commits each table of the lake has."""
        root = Path(self.store.storage.root)
        logs = root.glob("*/*/_delta_log")
        return {f"{log.parent.parent.name}.{log.parent.name}": len(list(log.glob("*.json"))) for log in logs}


def steps(asset_id: str, day: str, hours: Sequence[int] = range(24), temp: float = 60.0) -> list[str]:
    """Lines of one turbine at every full hour of `day`."""
    return [f"{asset_id},{day} {hour:02}:00:00,8.{hour},{temp + hour}" for hour in hours]
