"""Dirt as real logs have it, counted as it is planted. No line gets more than one kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from turbine_health.simulation.log_files import FIELDS, HEADER, Month, to_lines
from turbine_health.simulation.machine import SIGNALS
from turbine_health.simulation.truth import Truth
from turbine_health.simulation.weather import Moments

# Expected number in a month of ten-minute readings (4,464) at dirt 1.
BAD_LINES = {
    "unreadable_time": 0.5, "future_time": 0.3, "unknown_asset": 0.3, "missing_asset": 0.2, "field_count": 1.0,
    "broken_encoding": 0.3,
}  # fmt: skip
BAD_VALUES = {"missing_code": 6.0, "unreadable_number": 2.0, "out_of_range": 2.0}
EXACT_DUPLICATES, CONFLICTING_DUPLICATES, SPIKES, GAPS = 2.0, 0.7, 1.5, 0.5
# Chance in a month.
RESENT_TAIL, LATE_BLOCK, STUCK_SENSOR, NEW_COLUMN, RENAMED_COLUMN = 0.15, 0.05, 0.12, 0.02, 0.006

UNREADABLE_TIMES = ("n/a", "0000-00-00 00:00:00", "2023-13-41 25:61:00", "--:--")
UNREADABLE_NUMBERS = ("ERR", "#N/A", "1.2.3", "---")
IMPOSSIBLE_NUMBERS = ("99999", "-99990")
UNKNOWN_TURBINES = ("T00", "TEST", "WEA 7")
MISSING_CODE = "-999"
# How far a spike jumps, in the signal's unit: far beyond its noise, within its valid range.
SPIKE_HEIGHTS = {
    "gearbox_oil_temp_c": -55.0, "gearbox_bearing_temp_c": -65.0, "generator_temp_c": -80.0, "vibration_mm_s": 15.0,
    "hydraulic_pressure_bar": -100.0, "ambient_temp_c": 35.0,
}  # fmt: skip
STUCK_SENSORS = ("wind_speed_m_s", "gearbox_oil_temp_c", "gearbox_bearing_temp_c", "generator_temp_c", "hydraulic_pressure_bar")
NEW_COLUMN_NAME, RENAMED_COLUMNS = "NacelleDirection", ("GearOilTemp", "GearboxOilTemperature")

_ROWS_OF_A_MONTH = 4_464
_TAIL_ROWS = 6
_RUNNING_KW = 50


@dataclass
class LogFile:
    """A file to write. Lines are without line ends; `codes` says which end in quarantine, and why."""

    name: str
    header: str = HEADER
    lines: list[bytes] = field(default_factory=list)
    codes: dict[int, str] = field(default_factory=dict)

    def add(self, line: bytes, code: str | None = None) -> None:
        """Put a line at the end."""
        if code is not None:
            self.codes[len(self.lines)] = code
        self.lines.append(line)

    def content(self) -> bytes:
        """The bytes of the file."""
        return b"\n".join([self.header.encode(), *self.lines, b""])


class Soiler:
    """Soils the months of one turbine, in order, and keeps count."""

    def __init__(self, dirt: float, random: np.random.Generator, truth: Truth) -> None:
        self.dirt = dirt
        self.random = random
        self.truth = truth
        self._resent: Month | None = None

    def files(self, month: Month, is_last: bool) -> Iterator[LogFile]:
        """The month's file, and those in which parts of it come late or under another header."""
        sheet = Sheet(month, self.random)
        span = len(month.moments) / _ROWS_OF_A_MONTH * self.dirt
        self._freeze(sheet, span)
        self._spike(sheet, span)
        sheet.write()
        late = self._take_late(sheet, span)
        renamed = self._take_renamed(sheet, span)
        self._drop_gaps(sheet, span)
        self._spoil(sheet, span)
        file = self._month_file(sheet, is_last, span)
        yield from (each for each in (file, late, renamed) if each is not None)

    def _freeze(self, sheet: Sheet, span: float) -> None:
        """Hold a sensor's value for hours while the turbine runs."""
        if self.random.random() >= STUCK_SENSOR * span:
            return
        signal = str(self.random.choice(STUCK_SENSORS))
        block = sheet.take_block(int(self.random.integers(60, 433)), where=sheet.is_running)
        if block is not None:
            sheet.month.values[signal][block] = sheet.month.values[signal][block.start]
            self._note("frozen", sheet, block, signal=signal)

    def _spike(self, sheet: Sheet, span: float) -> None:
        """Let a sensor jump for one reading while the turbine runs."""
        for _ in range(self.random.poisson(SPIKES * span)):
            signal = str(self.random.choice(list(SPIKE_HEIGHTS)))
            block = sheet.take_block(3, where=sheet.is_running)
            if block is not None:
                sheet.month.values[signal][block.start + 1] += SPIKE_HEIGHTS[signal]
                self._note("spike", sheet, slice(block.start + 1, block.start + 2), signal=signal)

    def _take_late(self, sheet: Sheet, span: float) -> LogFile | None:
        """Some days arrive a month or two later; the hours before them come again, corrected."""
        if self.random.random() >= LATE_BLOCK * span:
            return None
        block = sheet.take_block(int(self.random.integers(200, 500)))
        if block is None:
            return None
        corrected = slice(block.start, block.start + int(self.random.integers(12, 61)))
        missing = slice(corrected.stop, block.stop)
        arrived = np.datetime64(sheet.month.name) + int(self.random.integers(1, 3))
        file = LogFile(f"{sheet.month.asset_id}_{arrived}_late_{sheet.month.name}.csv")
        again = sheet.month.part(block, is_local=False)
        again.values["active_power_kw"][: corrected.stop - corrected.start] *= 0.98
        for line in to_lines(again):
            file.add(line)
        sheet.codes.update(dict.fromkeys(range(corrected.start, corrected.stop), "superseded"))
        sheet.is_kept[missing] = False
        self._note("late", sheet, missing, file=file.name)
        return file

    def _take_renamed(self, sheet: Sheet, span: float) -> LogFile | None:
        """A day comes only as an export in which one column has another name."""
        block = sheet.take_block(144) if self.random.random() < RENAMED_COLUMN * span else None
        if block is None:
            return None
        file = LogFile(f"{sheet.month.asset_id}_{sheet.month.name}_export.csv", HEADER.replace(*RENAMED_COLUMNS))
        for line in to_lines(sheet.month.part(block, is_local=False)):
            file.add(line, "schema_drift")
        sheet.is_kept[block] = False
        self._note("gap", sheet, block)
        return file

    def _drop_gaps(self, sheet: Sheet, span: float) -> None:
        for _ in range(self.random.poisson(GAPS * span)):
            block = sheet.take_block(int(self.random.integers(4, 145)))
            if block is not None:
                sheet.is_kept[block] = False
                self._note("gap", sheet, block)

    def _spoil(self, sheet: Sheet, span: float) -> None:
        """Break single lines and single values."""
        for code, rate in BAD_LINES.items():
            for row in sheet.take_rows(self.random.poisson(rate * span)):
                sheet.lines[row] = _BROKEN[code](sheet.lines[row], self.random)
                sheet.codes[row] = code
        for flag, rate in BAD_VALUES.items():
            for row in sheet.take_rows(self.random.poisson(rate * span)):
                place = int(self.random.integers(len(SIGNALS)))
                text = str(self.random.choice(_BAD_TEXTS[flag]))
                sheet.lines[row] = _with_field(sheet.lines[row], 2 + place, text.encode())
                self.truth.flags[f"{SIGNALS[place]}:{flag}"] += 1
        for row in sheet.take_rows(self.random.poisson(EXACT_DUPLICATES * span)):
            sheet.repeat(row, sheet.lines[row])
        for row in sheet.take_rows(self.random.poisson(CONFLICTING_DUPLICATES * span)):
            sheet.repeat(row, _with_field(sheet.lines[row], 2, b"7.77"))

    def _month_file(self, sheet: Sheet, is_last: bool, span: float) -> LogFile:
        file = LogFile(sheet.month.file_name)
        if self._resent is not None:
            for line in to_lines(self._resent.part(slice(None), sheet.month.is_local)):
                file.add(line)
            self._resent = None
        rows = len(sheet.lines)
        if not is_last and rows > _TAIL_ROWS and self.random.random() < RESENT_TAIL * span:
            tail = slice(rows - int(self.random.integers(1, _TAIL_ROWS + 1)), rows)
            self._resent = sheet.month.part(tail, is_local=False)
            sheet.codes.update(dict.fromkeys(range(tail.start, tail.stop), "superseded"))
        for row in np.flatnonzero(sheet.is_kept).tolist():
            file.add(sheet.lines[row], sheet.codes.get(row))
            for line in sheet.repeats.get(row, ()):
                file.add(line)
        if self.random.random() < NEW_COLUMN * span:
            file.header = f"{file.header},{NEW_COLUMN_NAME}"
            file.lines = [line + b",%d" % self.random.integers(360) for line in file.lines]
        return file

    def _note(self, kind: str, sheet: Sheet, rows: slice, **more: str) -> None:
        moments = sheet.month.moments
        step = moments[1] - moments[0]
        self.truth.span(kind, sheet.month.asset_id, moments[rows.start], moments[rows.stop - 1] + step, **more)


class Sheet:
    """One month on its way into a file: numbers first, then lines. A row is handed out to one kind of dirt only."""

    def __init__(self, month: Month, random: np.random.Generator) -> None:
        self.month = month
        self.random = random
        self.lines: list[bytes] = []
        self.codes: dict[int, str] = {}
        self.repeats: dict[int, list[bytes]] = {}
        self.is_kept = np.ones(len(month.moments), dtype=bool)
        self._is_free = self.is_kept.copy()
        self._is_free[-_TAIL_ROWS:] = False  # the next file may send these again

    @property
    def is_running(self) -> NDArray[np.bool_]:
        """Whether the turbine made power, row by row."""
        return np.asarray(self.month.values["active_power_kw"] > _RUNNING_KW)

    def write(self) -> None:
        """Turn the numbers into lines."""
        self.lines = to_lines(self.month)

    def take_rows(self, count: int) -> list[int]:
        """Up to so many rows that nothing else has touched."""
        free = np.flatnonzero(self._is_free)
        rows = self.random.choice(free, size=min(count, free.size), replace=False)
        self._is_free[rows] = False
        return sorted(rows.tolist())

    def take_block(self, length: int, where: NDArray[np.bool_] | None = None) -> slice | None:
        """Consecutive untouched rows without a gap, three quarters of them `where`; None if eight tries find none."""
        for _ in range(8):
            first = int(self.random.integers(max(len(self.is_kept) - length, 1)))
            block = slice(first, first + length)
            moments: Moments = self.month.moments[block]
            is_whole = moments.size == length and self._is_free[block].all() and _has_equal_steps(moments)
            if is_whole and (where is None or where[block].mean() > 0.75):
                self._is_free[max(first - 1, 0) : first + length + 1] = False
                return block
        return None

    def repeat(self, row: int, line: bytes) -> None:
        """Write the row again below itself: the later line wins, the earlier one is superseded."""
        self.codes[row] = "superseded"
        self.repeats[row] = [line]


def _has_equal_steps(moments: Moments) -> bool:
    steps = np.diff(moments)
    return bool(steps.size and (steps == steps[0]).all())


def _with_field(line: bytes, place: int, text: bytes) -> bytes:
    fields = line.split(b",")
    fields[place] = text
    return b",".join(fields)


def _cut_or_stretched(line: bytes, random: np.random.Generator) -> bytes:
    fields = line.split(b",")
    if random.random() < 0.6:
        return b",".join(fields[: int(random.integers(3, FIELDS))])
    return b",".join([*fields, *fields[-int(random.integers(1, 4)) :]])


def _with_broken_bytes(line: bytes, random: np.random.Generator) -> bytes:
    place = int(random.integers(2, FIELDS))
    return _with_field(line, place, line.split(b",")[place] + b"\xff\xb0")


_BROKEN: dict[str, Callable[[bytes, np.random.Generator], bytes]] = {
    "unreadable_time": lambda line, random: _with_field(line, 1, str(random.choice(UNREADABLE_TIMES)).encode()),
    "future_time": lambda line, _: _with_field(line, 1, b"2099" + line.split(b",")[1][4:]),
    "unknown_asset": lambda line, random: _with_field(line, 0, str(random.choice(UNKNOWN_TURBINES)).encode()),
    "missing_asset": lambda line, _: _with_field(line, 0, b""),
    "field_count": _cut_or_stretched,
    "broken_encoding": _with_broken_bytes,
}
_BAD_TEXTS = {
    "missing_code": (MISSING_CODE,), "unreadable_number": UNREADABLE_NUMBERS, "out_of_range": IMPOSSIBLE_NUMBERS,
}  # fmt: skip
