"""What happens to one turbine: faults that grow, failures, repairs, maintenance, stops, and harmless look-alikes.

Times are days since the fleet's first day. A *fault* is anything that shows in the sensors; only some end in failure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from turbine_health.simulation.weather import HISTORY, random_stream
from turbine_health.simulation_settings import SimulationSettings

Outcome = Literal["failure", "cured", "faded"]

# Shortest and longest time from the first trace to the failure, days. None: sudden.
RUN_UP_DAYS: dict[str, tuple[float, float] | None] = {
    "gearbox_bearing": (12, 35),
    "gearbox_oil": (8, 20),
    "generator": (6, 16),
    "hydraulics": (5, 14),
    "pitch": (5, 12),
    "electrical": None,
}
GROWING_MODES = tuple(mode for mode, days in RUN_UP_DAYS.items() if days)

# Sensors that lose their zero, and how far (in the signal's unit) before someone recalibrates them.
DRIFTING_SENSORS = {
    "gearbox_oil_temp_c": 5.0,
    "gearbox_bearing_temp_c": 6.0,
    "generator_temp_c": 8.0,
    "hydraulic_pressure_bar": 6.0,
    "vibration_mm_s": 0.5,
}

_LONGEST_REPAIR_DAYS = 7.0
_PLANTED_REPAIR_DAYS = 3.0
_YOUNGEST_FAULT_DAYS = 3.0
_SPARED_TURBINE = 10  # every tenth turbine never fails


@dataclass(frozen=True)
class Fault:
    """Something that shows in the sensors from `start` to `end`, days. Severity grows from 0 to `peak`."""

    mode: str
    start: float
    end: float
    peak: float
    growth: float
    outcome: Outcome


@dataclass(frozen=True)
class SensorTrouble:
    """A sensor that says something wrong from `start` to `end`, days, while the turbine is well.

    A drifting one loses its zero bit by bit until it is `shift` off, a shifted one at once; a frozen one
    repeats itself.
    """

    kind: Literal["drifting", "shifted", "frozen"]
    signal: str
    start: float
    end: float
    shift: float = 0


@dataclass(frozen=True)
class Failure:
    """A failure and its repair, days. `degrading_since` is None for a sudden one."""

    mode: str
    degrading_since: float | None
    failed: float
    repaired: float
    logs_while_down: bool


@dataclass(frozen=True)
class Standstill:
    """A stop for maintenance or another reason, days; `component` says at what."""

    event_type: Literal["maintenance", "stop"]
    component: str
    start: float
    end: float


@dataclass(frozen=True)
class History:
    """Everything that happens to one turbine."""

    asset_id: str
    faults: list[Fault] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    sensor_troubles: list[SensorTrouble] = field(default_factory=list)
    standstills: list[Standstill] = field(default_factory=list)

    def is_down(self, start: float, end: float) -> bool:
        """Whether any part of the span lies in a repair."""
        return any(failure.failed <= end and start <= failure.repaired for failure in self.failures)


def asset_name(turbine: int) -> str:
    """`T01` for the first turbine, counted from 1."""
    return f"T{turbine:02d}"


def turbine_history(settings: SimulationSettings, turbine: int) -> History:
    """Draw the history of one turbine, then plant what the settings ask for. Every tenth turbine never fails by chance."""
    random = random_stream(settings, HISTORY, turbine)
    history = History(asset_name(turbine))
    if turbine % _SPARED_TURBINE:
        for failure, fault in _failures(settings, random):
            if failure.failed < settings.days:
                history.failures.append(failure)
            if fault:
                history.faults.append(fault)
    for fault, cure in _harmless_faults(settings, random):
        if not history.is_down(fault.start - 1, fault.end + 1):
            history.faults.append(fault)
            history.standstills.extend(cure)
    for drift, calibration in _drifts(settings, random):
        if not history.is_down(drift.end - 1, drift.end + 1):
            history.sensor_troubles.append(drift)
            history.standstills.append(calibration)
    history.standstills.extend(
        stop for stop in _stops(settings, random) if not history.is_down(stop.start - 0.5, stop.end + 0.5)
    )
    _plant(history, settings)
    history.standstills.sort(key=lambda standstill: standstill.start)
    return history


def _failures(settings: SimulationSettings, random: np.random.Generator) -> Iterator[tuple[Failure, Fault | None]]:
    """Failures with the faults that lead to them; the last may come after the records have ended."""
    rates = settings.failures_per_turbine_year.model_dump()
    total_rate = sum(rates.values()) * random.lognormal(-0.06, 0.35)
    if total_rate <= 0:
        return
    weights = np.array(list(rates.values())) / sum(rates.values())
    busy_days = sum(weight * (np.mean(RUN_UP_DAYS[mode] or (0, 0)) + 3.0) for mode, weight in zip(rates, weights, strict=True))
    healthy_days = max(365 / total_rate - busy_days - _YOUNGEST_FAULT_DAYS, 1.0)
    now = -random.uniform(0, 30)  # the records begin in the middle of a life
    while now < settings.days:
        onset = now + _YOUNGEST_FAULT_DAYS + healthy_days * random.weibull(1.15) / 0.95
        mode = list(rates)[random.choice(len(weights), p=weights)]
        run_up = RUN_UP_DAYS[mode]
        failed = _to_minute(onset + (random.uniform(*run_up) if run_up else 0.0))
        repaired = _to_minute(failed + 1 + (_LONGEST_REPAIR_DAYS - 1) * random.beta(1.2, 2.5))
        failure = Failure(mode, onset if run_up else None, failed, repaired, logs_while_down=random.random() < 0.6)
        fault = Fault(mode, onset, failed, random.uniform(0.6, 1.4), random.uniform(1.0, 2.8), "failure")
        if failed > 0:
            yield failure, fault if run_up else None
        now = repaired


def _harmless_faults(settings: SimulationSettings, random: np.random.Generator) -> Iterator[tuple[Fault, list[Standstill]]]:
    """Faults that fade by themselves, or that maintenance finds in time."""
    for _ in range(random.poisson(1.6 * settings.look_alikes * settings.days / 365)):
        start, length = random.uniform(0, settings.days), random.uniform(2, 12)
        mode = random.choice(GROWING_MODES)
        yield Fault(str(mode), start, start + length, random.uniform(0.15, 0.55), 2.0, "faded"), []
    for _ in range(random.poisson(0.8 * settings.look_alikes * settings.days / 365)):
        start, length = random.uniform(0, settings.days), random.uniform(5, 18)
        mode, end = str(random.choice(GROWING_MODES)), start + length
        cure = Standstill("maintenance", mode, end, end + random.uniform(4, 14) / 24)
        yield Fault(mode, start, end, random.uniform(0.2, 0.55), random.uniform(1.2, 3.0), "cured"), [cure]


def _drifts(settings: SimulationSettings, random: np.random.Generator) -> Iterator[tuple[SensorTrouble, Standstill]]:
    for _ in range(random.poisson(0.8 * settings.look_alikes * settings.days / 365)):
        start, length = random.uniform(0, settings.days), random.uniform(15, 70)
        signal = str(random.choice(list(DRIFTING_SENSORS)))
        shift = DRIFTING_SENSORS[signal] * random.choice([-1, 1]) * random.uniform(0.4, 1.0)
        end = start + length
        yield (
            SensorTrouble("drifting", signal, start, end, shift),
            Standstill("maintenance", "sensors", end, end + random.uniform(1, 4) / 24),
        )


def _stops(settings: SimulationSettings, random: np.random.Generator) -> Iterator[Standstill]:
    """Routine maintenance twice a year, and short stops for grid, noise, birds and inspections."""
    service = random.uniform(10, 170)
    while service < settings.days:
        yield Standstill("maintenance", "service", service, service + random.uniform(6, 12) / 24)
        service += random.uniform(160, 200)
    for _ in range(random.poisson(9 * settings.days / 365)):
        start = random.uniform(0, settings.days)
        yield Standstill(
            "stop", str(random.choice(["grid", "curtailment", "inspection"])), start, start + random.uniform(1, 10) / 24
        )


def _plant(history: History, settings: SimulationSettings) -> None:
    """Put in what the settings name, and take out whatever chance had put in its place."""
    for planted in settings.planted:
        if planted.asset_id == history.asset_id:
            failed = (planted.fails_on - settings.start).days + 0.5
            fault = Fault(planted.failure_mode, failed - planted.run_up_days, failed, planted.severity, 2.0, "failure")
            failure = Failure(fault.mode, fault.start, failed, failed + _PLANTED_REPAIR_DAYS, logs_while_down=True)
            _clear(history, fault.start, failure.repaired)
            history.faults.append(fault)
            if failed < settings.days:
                history.failures.append(failure)
    history.failures.sort(key=lambda failure: failure.failed)
    for trouble in settings.sensor_faults:
        if trouble.asset_id == history.asset_id:
            start = float((trouble.from_day - settings.start).days)
            end = float((trouble.until_day - settings.start).days if trouble.until_day else settings.days)
            history.sensor_troubles.append(SensorTrouble(trouble.kind, trouble.signal, start, end, trouble.shift))


def _clear(history: History, start: float, end: float) -> None:
    """Remove everything that reaches into the span."""
    history.failures[:] = [
        each for each in history.failures if each.repaired < start or (each.degrading_since or each.failed) > end
    ]
    history.faults[:] = [each for each in history.faults if each.end < start or each.start > end]
    history.standstills[:] = [each for each in history.standstills if each.end < start or each.start > end]


def _to_minute(day: float) -> float:
    return round(day * 1_440) / 1_440
