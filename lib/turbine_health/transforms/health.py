"""Sensor-health flags: values that can be read and are in range, and still should not be believed.

Flags stand beside the values, never instead of them. Each depends on readings at most
`Reach.before` earlier and `Reach.after` later, so a batch needs only that much of what is there
already, and the flags come out the same however the readings were cut into batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from turbine_health.settings import IngestSettings
from turbine_health.sources import Signal, Source
from turbine_health.transforms.quality import SEPARATOR

HEALTH_FLAGS = ("frozen", "flat_at_limit", "spike", "gap")
# What comes back in the next reading was a spike: when a window ends, nobody can know it of its last reading.
DECIDED_LATER = ("spike",)
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


def with_health_flags(readings: DataFrame, source: Source, settings: IngestSettings) -> DataFrame:
    """Add `_health_flags`: `<signal>:<flag>` and `asset:gap`, joined by `quality.SEPARATOR`; empty when fine.

    - `frozen`: the very same value for `frozen_hours` (or a dozen samplings, if that is longer) while the turbine runs.
    - `flat_at_limit`: the same, at an end of the valid range.
    - `spike`: up and straight back down, or the reverse, by more than `spike_share` of the valid range, while neither
      starting nor stopping. Wind and power may do that: gusts.
    - `asset:gap`: the reading comes more than `max_gap_steps` samplings after the one before, or has none before
      within `Reach.before`, unless that one was of a turbine parked in calm wind.

    Grain: one row per `asset_id` and `event_time`, unique.
    """
    reach = Reach.of(source, settings)
    in_time = Window.partitionBy("asset_id").orderBy("event_time")
    sensors = [signal for signal in source.signals if not signal.expected_constant]
    neighbour = F.struct("event_time", *[signal.name for signal in source.signals])
    beside = readings.withColumns({
        "_previous": F.lag(neighbour, 1).over(in_time),
        "_next": F.lead(neighbour, 1).over(in_time),
    })  # fmt: skip
    # Only what is found beside a reading goes on to the next window, not the readings beside it.
    spikes = [
        F.when(_is_spike(signal, source, settings, reach), F.lit(f"{signal.name}:spike"))
        for signal in sensors
        if _may_spike(signal, source)
    ]
    judged = beside.select(
        *readings.columns,
        F.concat_ws(SEPARATOR, *spikes, F.when(_is_gap(source, reach), F.lit("asset:gap"))).alias("_beside_flags"),
        *[F.when(_is_new_value(signal, reach), F.col("event_time")).alias(_since(signal)) for signal in sensors],
    )
    so_far = in_time.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    since = {_since(signal): F.last(_since(signal), ignorenulls=True).over(so_far) for signal in sensors}
    dated = judged.withColumns(since) if since else judged
    stuck = [_stuck_flag(signal, source, reach) for signal in sensors]
    flags = F.concat_ws(SEPARATOR, *stuck, F.nullif("_beside_flags", F.lit("")))
    return dated.withColumn("_health_flags", flags).drop("_beside_flags", *since)


def value_flags(flags: str) -> Column:
    """The flags of a column like `quality_flags` that are about values, not about sensor health."""
    return F.filter(flags, lambda flag: ~F.substring_index(flag, ":", -1).isin(*HEALTH_FLAGS))


def is_flagged_at_once(flags: str) -> Column:
    """Whether a column like `quality_flags` holds one that no later reading has a part in; false where it is null."""
    is_known = F.exists(flags, lambda flag: ~F.substring_index(flag, ":", -1).isin(*DECIDED_LATER))
    return F.coalesce(is_known, F.lit(False))


def _since(signal: Signal) -> str:
    return f"_since_{signal.name}"


def _is_new_value(signal: Signal, reach: Reach) -> Column:
    is_same = F.col(signal.name).eqNullSafe(F.col("_previous")[signal.name]) & _is_near(F.col("_previous.event_time"), reach)
    return ~F.coalesce(is_same, F.lit(False))


def _is_near(other_time: Column, reach: Reach) -> Column:
    return F.abs(F.unix_micros(F.col("event_time")) - F.unix_micros(other_time)) <= _micros(reach.longest_step)


def _stuck_flag(signal: Signal, source: Source, reach: Reach) -> Column:
    value = F.col(signal.name)
    unchanged = F.unix_micros("event_time") - F.unix_micros(_since(signal))
    is_stuck = (unchanged >= _micros(reach.same_value)) & value.isNotNull() & _is_moving(signal, source)
    frozen = F.lit(f"{signal.name}:frozen")
    if signal.valid_range is None:
        return F.when(is_stuck, frozen)
    at_limit = F.when(value.isin(*signal.valid_range), F.lit(f"{signal.name}:flat_at_limit")).otherwise(frozen)
    return F.when(is_stuck, at_limit)


def _may_spike(signal: Signal, source: Source) -> bool:
    is_gusty = signal.name in (source.power_signal, source.wind_signal)
    return signal.valid_range is not None and not is_gusty and not _is_direction(signal)


def _is_direction(signal: Signal) -> bool:
    """A full circle jumps from one end to the other as it turns."""
    return signal.valid_range is not None and signal.valid_range[1] - signal.valid_range[0] == FULL_CIRCLE_DEG


def _is_moving(signal: Signal, source: Source) -> Column:
    """Whether the signal must change: the turbine makes power, or the wind that it measures is not calm."""
    if signal.name == source.wind_signal:
        return F.col(signal.name) > CALM_WIND_M_S
    return _is_running(source, "")


def _is_running(source: Source, prefix: str) -> Column:
    """Whether power is made; where no power is measured, whether wind blows; else always."""
    if source.power_signal:
        return F.coalesce(F.col(f"{prefix}{source.power_signal}") > 0, F.lit(False))
    if source.wind_signal:
        return F.coalesce(F.col(f"{prefix}{source.wind_signal}") > CALM_WIND_M_S, F.lit(False))
    return F.lit(True)


def _is_spike(signal: Signal, source: Source, settings: IngestSettings, reach: Reach) -> Column:
    assert signal.valid_range is not None
    low, high = signal.valid_range
    least = settings.spike_share * (high - low)
    up = F.col(signal.name) - F.col("_previous")[signal.name]
    down = F.col(signal.name) - F.col("_next")[signal.name]
    is_out_and_back = ((up > least) & (down > least)) | ((up < -least) & (down < -least))
    are_near = _is_near(F.col("_previous.event_time"), reach) & _is_near(F.col("_next.event_time"), reach)
    now = _is_running(source, "")
    is_steady = (now == _is_running(source, "_previous.")) & (now == _is_running(source, "_next."))
    return is_out_and_back & are_near & is_steady


def _is_gap(source: Source, reach: Reach) -> Column:
    previous = F.col("_previous.event_time")
    is_within_reach = F.unix_micros("event_time") - F.unix_micros(previous) <= _micros(reach.before)
    is_late = ~F.coalesce(_is_near(previous, reach), F.lit(False))
    return is_late & ~F.coalesce(is_within_reach & _was_parked(source), F.lit(False))


def _was_parked(source: Source) -> Column:
    """Whether the turbine stood in calm wind before: many loggers stop then."""
    if source.power_signal is None or source.wind_signal is None:
        return F.lit(False)
    stands = F.col("_previous")[source.power_signal] <= 0
    return stands & (F.col("_previous")[source.wind_signal] <= CALM_WIND_M_S)


def _micros(length: timedelta) -> int:
    return round(length / timedelta(microseconds=1))
