"""How one turbine turns weather and faults into readings."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from turbine_health.simulation.history import GROWING_MODES, History
from turbine_health.simulation.weather import MACHINE, Numbers, Site, TruthValues, lagged, random_stream, wandering
from turbine_health.simulation_settings import SimulationSettings

RATED_POWER_KW = 2_050.0
CUT_IN_M_S, RATED_M_S, CUT_OUT_M_S = 3.5, 12.5, 25.0
# Below 4 kW a turbine cannot feed its own needs, so it stands; a reading of 0 kW always means standstill.
LEAST_POWER_SHARE = 0.002
SLOWEST_RPM, FASTEST_RPM = 8.5, 17.1
FEATHERED_DEG = 88.0


@dataclass
class Readings:
    """One value a step of the grid and signal, before rounding; NaN where the logger was off."""

    wind_speed_m_s: Numbers
    active_power_kw: Numbers
    rotor_speed_rpm: Numbers
    pitch_angle_deg: Numbers
    gearbox_oil_temp_c: Numbers
    gearbox_bearing_temp_c: Numbers
    generator_temp_c: Numbers
    vibration_mm_s: Numbers
    hydraulic_pressure_bar: Numbers
    ambient_temp_c: Numbers


SIGNALS = tuple(signal.name for signal in fields(Readings))


@dataclass(frozen=True)
class Traits:
    """What makes this turbine unlike its sisters, so that one threshold for all of them is wrong."""

    wind_share: float
    efficiency: float
    oil_offset_c: float
    bearing_offset_c: float
    generator_offset_c: float
    vibration_factor: float
    pressure_offset_bar: float

    @classmethod
    def drawn(cls, random: np.random.Generator) -> Traits:
        """Another turbine of the same type."""
        return cls(
            wind_share=1 + 0.04 * random.standard_normal(),
            efficiency=1 - 0.05 * random.random(),
            oil_offset_c=2.0 * random.standard_normal(),
            bearing_offset_c=2.0 * random.standard_normal(),
            generator_offset_c=3.0 * random.standard_normal(),
            vibration_factor=float(np.exp(0.15 * random.standard_normal())),
            pressure_offset_bar=2.5 * random.standard_normal(),
        )


def turbine_readings(settings: SimulationSettings, site: Site, history: History, turbine: int) -> Readings:
    """What the turbine's sensors would say at each step, with every fault of its history."""
    random = random_stream(settings, MACHINE, turbine)
    traits = Traits.drawn(random)
    severity = fault_severity(settings, site, history)
    is_halted = _is_halted(site, history)
    wind = _wind_at_the_turbine(site, traits, random)
    power_share = _power_share(wind, severity, random) * traits.efficiency * ~is_halted
    is_turning = power_share > LEAST_POWER_SHARE
    rotor = _rotor_speed(wind, is_turning, random)
    pitch = _pitch_angle(wind, is_turning, severity, random)
    ambient = site.ambient_c + 0.6 * wandering(random, len(wind), 12 / site.step_hours)
    oil, bearing, generator = _temperatures(site, traits, power_share, rotor, ambient, severity, random)
    vibration = _vibration(traits, wind, rotor, power_share, severity, random)
    pressure = _hydraulic_pressure(site, traits, wind, severity, random)
    own_use = np.maximum(8 + 4 * random.standard_normal(len(wind)), 0.5)
    power = np.where(is_turning, RATED_POWER_KW * power_share, 0) - np.where(is_turning, 0, own_use)
    readings = Readings(wind, power, rotor, pitch, oil, bearing, generator, vibration, pressure, ambient)
    _mislead(readings, site, history)
    _silence(readings, site, history)
    return readings


def power_curve(wind_m_s: Numbers) -> Numbers:
    """Share of rated power at a wind speed, 0 to 1: 0 below cut-in and above cut-out, 1 from rated on."""
    cubic: Numbers = (wind_m_s**3 - CUT_IN_M_S**3) / (RATED_M_S**3 - CUT_IN_M_S**3)
    is_in_range = (wind_m_s >= CUT_IN_M_S) & (wind_m_s <= CUT_OUT_M_S)
    return np.where(is_in_range, np.clip(cubic, 0, 1), 0)


def steps_between(site: Site, start_day: float, end_day: float) -> slice:
    """The steps of the grid in `[start, end)`."""
    per_day = 24 / site.step_hours
    first, last = (int(np.ceil(day * per_day - 1e-6)) for day in (start_day, end_day))
    return slice(max(first, 0), max(last, 0))


def fault_severity(settings: SimulationSettings, site: Site, history: History) -> dict[str, Numbers]:
    """How far each fault has grown at each step; about 1 when it makes the turbine fail."""
    days = np.arange(len(site.moments)) * site.step_hours / 24
    severity = {mode: np.zeros(len(days)) for mode in GROWING_MODES}
    for fault in history.faults:
        steps = steps_between(site, fault.start, fault.end)
        progress = (days[steps] - fault.start) / (fault.end - fault.start)
        shape = np.sin(np.pi * progress) if fault.outcome == "faded" else progress
        severity[fault.mode][steps] += settings.signature_strength * fault.peak * np.maximum(shape, 0) ** fault.growth
    return severity


def _is_halted(site: Site, history: History) -> TruthValues:
    halted = np.zeros(len(site.moments), dtype=bool)
    for failure in history.failures:
        halted[steps_between(site, failure.failed, failure.repaired)] = True
    for standstill in history.standstills:
        halted[steps_between(site, standstill.start, standstill.end)] = True
    return halted


def _wind_at_the_turbine(site: Site, traits: Traits, random: np.random.Generator) -> Numbers:
    steps = len(site.wind_m_s)
    own = 0.6 * wandering(random, steps, 2 / site.step_hours) + 0.25 * random.standard_normal(steps)
    return np.maximum(site.wind_m_s * traits.wind_share + own, 0)


def _power_share(wind: Numbers, severity: dict[str, Numbers], random: np.random.Generator) -> Numbers:
    lost = 0.12 * severity["pitch"] + 0.08 * severity["generator"] + 0.04 * severity["gearbox_oil"]
    return power_curve(wind) * np.clip(1 - lost, 0.5, 1) * (1 + 0.015 * random.standard_normal(len(wind)))


def _rotor_speed(wind: Numbers, is_turning: TruthValues, random: np.random.Generator) -> Numbers:
    wanted = np.clip(SLOWEST_RPM + (wind - CUT_IN_M_S) * 1.25, SLOWEST_RPM, FASTEST_RPM)
    idling = np.clip(0.08 * wind + 0.1 * random.standard_normal(len(wind)), 0, 1.5)
    return np.where(is_turning, wanted + 0.12 * random.standard_normal(len(wind)), idling)


def _pitch_angle(wind: Numbers, is_turning: TruthValues, severity: dict[str, Numbers], random: np.random.Generator) -> Numbers:
    trouble = severity["pitch"]
    wanted = 3.6 * np.maximum(wind - RATED_M_S, 0) ** 0.75
    hunting = (0.12 + 4.0 * trouble) * random.standard_normal(len(wind))
    return np.where(is_turning, wanted + 4.0 * trouble + hunting, FEATHERED_DEG + 0.1 * random.standard_normal(len(wind)))


def _temperatures(
    site: Site, traits: Traits, power_share: Numbers, rotor: Numbers, ambient: Numbers,
    severity: dict[str, Numbers], random: np.random.Generator,
) -> tuple[Numbers, Numbers, Numbers]:  # fmt: skip
    """Oil, bearing and generator: each follows load, weather and its fault with its own inertia."""
    steps, hour = len(ambient), 1 / site.step_hours
    load, is_turning = power_share, power_share > LEAST_POWER_SHARE
    bearing_fault, oil_fault, generator_fault = (severity[mode] for mode in ("gearbox_bearing", "gearbox_oil", "generator"))
    # Filters clog and are washed by rain: cooling is better some weeks than others, in sickness and in health.
    cooling = 1.0 * wandering(random, steps, 240 * hour)
    oil_heat = 50 + 7 * load + 0.12 * ambient + traits.oil_offset_c + 0.6 * cooling
    oil_heat = oil_heat + (0.3 + load) * (38.0 * oil_fault + 8.0 * bearing_fault)
    oil = lagged(np.where(is_turning, oil_heat, 22 + 0.6 * ambient), 4.0 * hour)
    bearing_heat = 4 + 11 * load + traits.bearing_offset_c + 0.5 * cooling + (5.0 + 32.0 * load) * bearing_fault
    bearing = oil + lagged(np.where(is_turning, bearing_heat, 0), 0.8 * hour)
    generator_heat = 42 + 38 * load + 0.35 * ambient + traits.generator_offset_c + 1.5 * cooling
    generator_heat = generator_heat + 60.0 * (0.25 + load) * generator_fault
    generator = lagged(np.where(is_turning, generator_heat, 12 + 0.8 * ambient), 2.5 * hour)
    noise = 0.35 * random.standard_normal((3, steps))
    return oil + noise[0], bearing + noise[1], generator + noise[2]


def _vibration(
    traits: Traits, wind: Numbers, rotor: Numbers, load: Numbers, severity: dict[str, Numbers], random: np.random.Generator
) -> Numbers:
    speed = rotor / FASTEST_RPM
    tower_resonance = 0.5 * np.exp(-(((rotor - 11.2) / 0.6) ** 2))
    healthy = traits.vibration_factor * (0.25 + 1.5 * speed**2 + 0.5 * load + tower_resonance + 0.02 * wind)
    fault = speed**2 * (5.4 * severity["gearbox_bearing"] + 2.1 * severity["pitch"] * (wind > 9))
    return np.maximum((healthy + fault) * np.exp(0.1 * random.standard_normal(len(wind))), 0.01)


def _hydraulic_pressure(
    site: Site, traits: Traits, wind: Numbers, severity: dict[str, Numbers], random: np.random.Generator
) -> Numbers:
    """A saw-tooth: pressure leaks away and the pump restores it, sooner in strong wind (pitching) or with a leak."""
    leak = severity["hydraulics"]
    cycles = np.cumsum(site.step_hours * (0.16 + 0.015 * wind) * (1 + 3.0 * leak))
    sawtooth = (cycles + random.random()) % 1
    regulator = 1.5 * wandering(random, len(wind), 120 / site.step_hours)
    noise = 0.8 * random.standard_normal(len(wind))
    return 186 + traits.pressure_offset_bar + regulator - (11 + 8 * leak) * sawtooth - 24.0 * leak + noise


def _mislead(readings: Readings, site: Site, history: History) -> None:
    """Change what a sensor in trouble says; the machine itself does not notice."""
    days = np.arange(len(site.moments)) * site.step_hours / 24
    for trouble in history.sensor_troubles:
        steps = steps_between(site, trouble.start, trouble.end)
        said = getattr(readings, trouble.signal)
        if trouble.kind == "frozen":
            said[steps] = said[steps][:1]
        elif trouble.kind == "shifted":
            said[steps] += trouble.shift
        else:
            said[steps] += trouble.shift * (days[steps] - trouble.start) / (trouble.end - trouble.start)


def _silence(readings: Readings, site: Site, history: History) -> None:
    """Some repairs cut the logger's supply too."""
    for failure in history.failures:
        if not failure.logs_while_down:
            for signal in SIGNALS:
                getattr(readings, signal)[steps_between(site, failure.failed, failure.repaired)] = np.nan
