"""Sensor-health flags: values that can be read and are in range, and still should not be believed.

Flags stand beside the values, never instead of them. Each depends on readings at most
`Reach.before` earlier and `Reach.after` later, so a batch needs only that much of what is there
already, and the flags come out the same however the readings were cut into batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import pyarrow as pa

from turbine_health.settings import IngestSettings
from turbine_health.sources import Signal, Source
from turbine_health.transforms.health_kernel import HealthRules, SignalRule, flagging
from turbine_health.transforms.quality import SEPARATOR
from turbine_health.transforms.reading_packs import cutting
from turbine_health.transforms.slicing import MICROSECONDS, Kernel, Slicing

# Six equal readings of a coarse hourly or daily signal are chance, a dozen are not.
FEWEST_EQUAL_READINGS = 12
# Below this wind a turbine stands still (cut-in speed of most machines), so nothing moves.
CALM_WIND_M_S = 3.0
FULL_CIRCLE_DEG = 360

# A longer silence is a gap, however calm it was before: a winter's night in the far north, and no more.
LONGEST_PARKING = timedelta(hours=24)


@dataclass(frozen=True)
class Reach:
    """How far a reading's flags look."""

    same_value: timedelta
    longest_step: timedelta

    @classmethod
    def of(cls, source: Source, settings: IngestSettings) -> Reach:
        """From the nominal sampling of the source."""
        step = timedelta(minutes=source.sampling_minutes)
        return cls(max(timedelta(hours=settings.frozen_hours), FEWEST_EQUAL_READINGS * step), settings.max_gap_steps * step)

    @property
    def before(self) -> timedelta:
        """A reading's flags depend on readings this much earlier."""
        return max(self.same_value + 2 * self.longest_step, LONGEST_PARKING)

    @property
    def after(self) -> timedelta:
        """A reading's flags depend on readings this much later."""
        return self.longest_step


def flag_kernels(
    columns: pa.Schema, source: Source, settings: IngestSettings, slicing: Slicing, latest_by: Sequence[str]
) -> tuple[Kernel, Kernel]:
    """What cuts packs of readings into slices, and what adds `_health_flags` to the readings of each.

    The first makes `reading_packs.SLICES`, which go through an exchange by their `partition` to the second.

    These are `<signal>:<flag>` and `asset:gap`, joined by `quality.SEPARATOR`; null when fine.

    - `frozen`: the very same value for `frozen_hours` (or a dozen samplings, if that is longer) while the turbine runs.
    - `flat_at_limit`: the same, at an end of the valid range.
    - `spike`: up and straight back down, or the reverse, by more than `spike_share` of the valid range, while neither
      starting nor stopping. Wind and power may do that: gusts.
    - `asset:gap`: the reading comes more than `max_gap_steps` samplings after the one before, or has none before
      within `Reach.before`, unless that one was of a turbine parked in calm wind.

    Grain of what the second returns: one row per `asset_id` and `event_time`. A partition holds a time slice of a share of
    the turbines, and leaves it sorted, so that the files of a table follow time.

    Args:
        columns: Of the readings; those that a pack lacks are null. One row per `asset_id` and `event_time`, unless there are
            columns in `latest_by`.
        source: Its signals and sampling.
        settings: Limits of the flags.
        slicing: How much a worker holds; the flags are the same for any.
        latest_by: Columns of numbers or times, the first of them first: of rows with one key only the greatest stays.
    """
    reach = Reach.of(source, settings)
    # A slice also gets copies of the readings around it that its flags depend on; the second drops them in the end.
    cut = cutting(slicing, _micros(reach.before), _micros(reach.after), columns)
    return cut, flagging(_rules(source, settings, reach), slicing.chunk_seconds * MICROSECONDS, latest_by, columns)


def _rules(source: Source, settings: IngestSettings, reach: Reach) -> HealthRules:
    watched = [
        SignalRule(signal.name, signal.valid_range, _least_spike(signal, source, settings))
        for signal in source.signals
        if not signal.expected_constant
    ]
    return HealthRules(
        tuple(watched), source.power_signal, source.wind_signal, CALM_WIND_M_S,
        _micros(reach.same_value), _micros(reach.longest_step), _micros(reach.before), SEPARATOR,
    )  # fmt: skip


def _least_spike(signal: Signal, source: Source, settings: IngestSettings) -> float | None:
    is_gusty = signal.name in (source.power_signal, source.wind_signal)
    if signal.valid_range is None or is_gusty or _is_direction(signal):
        return None
    low, high = signal.valid_range
    return settings.spike_share * (high - low)


def _is_direction(signal: Signal) -> bool:
    """A full circle jumps from one end to the other as it turns."""
    return signal.valid_range is not None and signal.valid_range[1] - signal.valid_range[0] == FULL_CIRCLE_DEG


def _micros(length: timedelta) -> int:
    return round(length / timedelta(microseconds=1))
