"""Readings as a logger writes them: one CSV file a turbine and month, in the vendor's names and units."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.csv

from turbine_health.simulation.machine import SIGNALS, Readings
from turbine_health.simulation.weather import Moments, Numbers, Site

LOCAL_ZONE = ZoneInfo("Europe/Berlin")


@dataclass(frozen=True)
class Channel:
    """How the vendor logs a signal: column, decimals, raw units in one canonical unit, and where the sensor saturates."""

    column: str
    decimals: int
    lowest: float
    highest: float
    raw_units: float = 1


CHANNELS = {
    "wind_speed_m_s": Channel("WindSpeed", 2, 0, 55),
    "active_power_kw": Channel("Power", 1, -90, 2_400),
    "rotor_speed_rpm": Channel("RotorRpm", 2, 0, 25),
    "pitch_angle_deg": Channel("PitchAngle", 2, -50, 110),
    "gearbox_oil_temp_c": Channel("GearOilTemp", 1, -40, 155),
    "gearbox_bearing_temp_c": Channel("GearBearingTemp", 1, -40, 195),
    "generator_temp_c": Channel("GenTemp", 1, -60, 235),
    "vibration_mm_s": Channel("Vibration", 3, 0, 45),
    "hydraulic_pressure_bar": Channel("HydPressure", 0, 0, 320, raw_units=100),  # the vendor logs kPa
    "ambient_temp_c": Channel("AmbientTemp", 1, -40, 75),
}
HEADER = ",".join(["Turbine", "Timestamp", *(CHANNELS[signal].column for signal in SIGNALS)])
FIELDS = HEADER.count(",") + 1


@dataclass
class Month:
    """The readings of one turbine in one month, still as numbers. Rows are in order of time."""

    asset_id: str
    name: str
    moments: Moments
    values: dict[str, Numbers]
    is_local: bool = False

    @property
    def file_name(self) -> str:
        """`T07_2023-04.csv`; `_local` marks a logger that was left in local time."""
        return f"{self.asset_id}_{self.name}{'_local' if self.is_local else ''}.csv"

    def part(self, rows: slice, is_local: bool) -> Month:
        """A copy of some rows, for another file."""
        values = {signal: numbers[rows].copy() for signal, numbers in self.values.items()}
        return Month(self.asset_id, self.name, self.moments[rows], values, is_local)


def months(site: Site, asset_id: str, readings: Readings) -> Iterator[Month]:
    """Cut a turbine's readings into months, without the steps at which the logger was off."""
    was_logged = np.isfinite(readings.wind_speed_m_s)
    month_of = site.moments.astype("datetime64[M]")
    for month in np.unique(month_of):
        chosen = np.flatnonzero((month_of == month) & was_logged)
        if chosen.size:
            values = {signal: getattr(readings, signal)[chosen] for signal in SIGNALS}
            yield Month(asset_id, str(month), site.moments[chosen], values)


def to_lines(month: Month) -> list[bytes]:
    """The lines below the header, one a reading, without line ends."""
    columns = [pa.array([month.asset_id] * len(month.moments)), pa.array(clock(month.moments, month.is_local))]
    for signal in SIGNALS:
        channel = CHANNELS[signal]
        measured = np.clip(month.values[signal], channel.lowest, channel.highest)
        rounded = np.round(measured * channel.raw_units, channel.decimals) + 0.0  # + 0.0: no logger writes -0.0
        columns.append(pa.array(rounded if channel.decimals else rounded.astype(np.int64)))
    buffer = io.BytesIO()
    table = pa.table(columns, names=HEADER.split(","))
    pyarrow.csv.write_csv(table, buffer, pyarrow.csv.WriteOptions(include_header=False, quoting_style="none"))
    return buffer.getvalue().splitlines()


def clock(moments: Moments, is_local: bool) -> list[str]:
    """What the logger's clock showed, as text without an offset."""
    if is_local:
        seconds = moments.astype("datetime64[s]")
        hours = {hour: _offset_seconds(hour) for hour in np.unique(seconds.astype("datetime64[h]")).tolist()}
        offsets = [hours[hour] for hour in seconds.astype("datetime64[h]").tolist()]
        moments = seconds + np.array(offsets, dtype="timedelta64[s]")
    return [text.replace("T", " ") for text in np.datetime_as_string(moments, unit="s").tolist()]


def has_repeated_hour(moments: Moments) -> bool:
    """Whether the local clock is put back within the span, so that one hour comes twice."""
    first, last = (_offset_seconds(time.astype("datetime64[h]").tolist()) for time in (moments[0], moments[-1]))
    return last < first


def _offset_seconds(hour: object) -> int:
    assert isinstance(hour, datetime)
    offset = hour.replace(tzinfo=timezone.utc).astimezone(LOCAL_ZONE).utcoffset()
    return round(offset.total_seconds()) if offset else 0
