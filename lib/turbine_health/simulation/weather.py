"""The weather of the site, which all turbines share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from turbine_health.simulation_settings import SimulationSettings

Numbers: TypeAlias = NDArray[np.float64]
Moments: TypeAlias = NDArray[np.datetime64]
TruthValues: TypeAlias = NDArray[np.bool_]

WEATHER, HISTORY, MACHINE, DIRT, EVENT_DIRT = range(5)

_MEAN_WIND_M_S = 7.6
_WEIBULL_SHAPE = 2.0
_COLDEST_DAY = 20  # of the year: 20 January
_WINDIEST_DAY = 10


@dataclass(frozen=True)
class Site:
    """What every turbine meets at each step of the grid."""

    moments: Moments
    step_hours: float
    wind_m_s: Numbers
    ambient_c: Numbers

    @property
    def start(self) -> np.datetime64:
        """The first step."""
        first: np.datetime64 = self.moments[0]
        return first


def random_stream(settings: SimulationSettings, purpose: int, turbine: int = 0) -> np.random.Generator:
    """Random numbers of one purpose and one turbine, whatever the others draw and however many there are."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(settings.seed, spawn_key=(purpose, turbine))))


def site_weather(settings: SimulationSettings) -> Site:
    """Wind (m/s) and temperature (deg C) at the site: seasons, days and nights, and fronts that take days to pass."""
    random = random_stream(settings, WEATHER)
    steps = settings.days * 1_440 // settings.sampling_minutes
    start = np.datetime64(settings.start, "s")
    moments: Moments = start + np.arange(steps).astype("timedelta64[s]") * (settings.sampling_minutes * 60)
    step_hours = settings.sampling_minutes / 60
    day_of_year = (moments - moments.astype("datetime64[Y]")) / np.timedelta64(1, "D")
    hour = day_of_year % 1 * 24
    fronts = 0.8 * wandering(random, steps, 30 / step_hours) + 0.5 * wandering(random, steps, 3 / step_hours)
    mean_wind = (
        _MEAN_WIND_M_S * (1 + 0.18 * _yearly(day_of_year, _WINDIEST_DAY)) * (1 - 0.06 * np.cos((hour - 2) / 24 * 2 * np.pi))
    )
    rank = 1 / (1 + np.exp(-1.702 * fronts / np.hypot(0.8, 0.5)))
    wind = mean_wind / 0.886 * (-np.log1p(-np.minimum(rank, 1 - 1e-9))) ** (1 / _WEIBULL_SHAPE)
    ambient = (
        10.5
        - 8.5 * _yearly(day_of_year, _COLDEST_DAY)
        - 3.0 * np.cos((hour - 15 + 12) / 24 * 2 * np.pi)
        + 3.5 * wandering(random, steps, 60 / step_hours)
    )
    return Site(moments, step_hours, wind, ambient)


def wandering(random: np.random.Generator, steps: int, memory_steps: float) -> Numbers:
    """A first-order autoregressive series of mean 0 and variance 1 that forgets within `memory_steps`."""
    keep = float(np.exp(-1 / max(memory_steps, 1e-9)))
    loudness = float(np.sqrt((1 + keep) / (1 - keep)))
    noise = random.standard_normal(steps)
    noise[0] /= loudness  # begin as any other moment does, not with the whole variance at once
    return lagged(noise, memory_steps) * loudness


def lagged(driver: Numbers, memory_steps: float) -> Numbers:
    """What follows `driver` as a first-order lag with this time constant, as heat follows load."""
    gain = 1 - float(np.exp(-1 / max(memory_steps, 1e-9)))
    followed: Any = pd.Series(driver).ewm(alpha=gain, adjust=False).mean().to_numpy()
    return np.asarray(followed, dtype=np.float64)


def _yearly(day_of_year: Numbers, peak_day: float) -> Numbers:
    return np.asarray(np.cos((day_of_year - peak_day) / 365.25 * 2 * np.pi), dtype=np.float64)
