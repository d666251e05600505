"""Sensor-health flags in numpy, of readings brought together by turbine and time slice; `health` says what each flag means.

This module is all that a Python worker imports for them: neither settings nor source descriptions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from turbine_health.transforms.cells import floats
from turbine_health.transforms.kernels import Booleans, Floats, Integers
from turbine_health.transforms.reading_packs import ROWS_PER_BATCH, with_slices
from turbine_health.transforms.slicing import Kernel, sorted_codes

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True)
class SignalRule:
    """What one watched signal may do."""

    name: str
    limits: tuple[float, float] | None
    """Ends of its valid range."""
    spike: float | None
    """Smallest jump, out and back, that is a spike; None: it may jump."""


@dataclass(frozen=True)
class HealthRules:
    """All that decides the flags; times in microseconds."""

    watched: tuple[SignalRule, ...]
    power: str | None
    wind: str | None
    calm_wind: float
    same_value: int
    longest_step: int
    before: int
    separator: str

    @property
    def signals(self) -> tuple[str, ...]:
        """Columns that are looked at."""
        roles = [name for name in (self.power, self.wind) if name is not None]
        return tuple(dict.fromkeys([*(rule.name for rule in self.watched), *roles]))


@dataclass(frozen=True)
class Series:
    """Readings sorted by turbine and time; `continues`: the one before is of the same turbine. NaN: no value."""

    at: Integers
    continues: Booleans
    values: dict[str, Floats]


def flagging(rules: HealthRules, chunk: int, latest_by: Sequence[str], columns: pa.Schema) -> Kernel:
    """The kernel from `reading_packs.SLICES`, of readings with `columns`; see `flagged`."""

    def flag(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        readings = with_slices(batches, columns)
        if readings is not None:
            yield from flagged(readings, rules, chunk, latest_by).to_batches(max_chunksize=ROWS_PER_BATCH)

    return flag


def flagged(readings: pa.Table, rules: HealthRules, chunk: int, latest_by: Sequence[str]) -> pa.Table:
    """Readings of whole slices with `_health_flags`, sorted; `_slice` and what only looks into a slice are gone.

    Args:
        readings: `asset_id`, `event_time`, the signals, and `_slice`: which slice this copy of the reading is for.
        rules: What is a flag.
        chunk: Length of a slice, microseconds.
        latest_by: Where a turbine and time come twice, the greatest by these columns stays.
    """
    at = readings["event_time"].cast(pa.int64()).to_numpy()
    codes, _ = sorted_codes(readings["asset_id"].combine_chunks())
    keys = [at, codes, readings["_slice"].to_numpy()]
    order = np.lexsort(keys)
    is_again = ~_differs(keys, order)
    if latest_by and is_again.any():
        order = np.lexsort([*(readings[name].cast(pa.int64()).to_numpy() for name in reversed(latest_by)), *keys])
        # The last of each key stays: the one whose follower has another key.
        order = order[np.append(_differs(keys, order)[1:], True)]
    continues = ~_differs(keys[1:], order)
    values = {name: floats(readings[name])[order] for name in rules.signals}
    series = Series(at[order], continues, values)
    is_own = series.at // chunk == keys[2][order]
    texts = joined(found_flags(series, rules), len(order), rules.separator)
    rows = readings.drop_columns(["_slice"]).take(pa.array(order[is_own]))
    return rows.append_column("_health_flags", texts.filter(pa.array(is_own)))


def found_flags(series: Series, rules: HealthRules) -> Iterator[tuple[str, Booleans]]:
    """Each flag and the readings that have it, in the order in which a reading's flags are written."""
    step = np.diff(series.at, prepend=series.at[:1])
    is_near = series.continues & (step <= rules.longest_step)
    is_running = _is_running(series, rules)
    for rule in rules.watched:
        is_moving = series.values[rule.name] > rules.calm_wind if rule.name == rules.wind else is_running
        is_stuck = _is_stuck(series, series.values[rule.name], is_near, rules.same_value) & is_moving
        is_at_limit = np.isin(series.values[rule.name], rule.limits or ())
        yield f"{rule.name}:flat_at_limit", is_stuck & is_at_limit
        yield f"{rule.name}:frozen", is_stuck & ~is_at_limit
    is_steady = is_near & (is_running == _before(is_running))
    # Steady up to the next reading is what the next one is, seen from before it.
    is_between = is_steady & _after(is_steady)
    for rule in rules.watched:
        if rule.spike is not None:
            yield f"{rule.name}:spike", is_between & _is_out_and_back(series.values[rule.name], rule.spike)
    is_resting = series.continues & (step <= rules.before) & _before(_is_parked(series, rules))
    yield "asset:gap", ~is_near & ~is_resting


def joined(found: Iterable[tuple[str, Booleans]], rows: int, separator: str) -> pa.Array:
    """The flags of each reading as one text; null where there is none."""
    texts = np.full(rows, None, dtype=object)
    for flag, is_flagged in found:
        at = np.flatnonzero(is_flagged)
        texts[at] = [flag if text is None else f"{text}{separator}{flag}" for text in texts[at]]
    return pa.array(texts, type=pa.string())


def _is_stuck(series: Series, values: Floats, is_near: Booleans, same_value: int) -> Booleans:
    """Whether the value has been the same, reading after reading, for so long."""
    is_empty = np.isnan(values)
    is_same = (values == _before(values)) | (is_empty & _before(is_empty))
    since = np.maximum.accumulate(np.where(is_near & is_same, 0, np.arange(len(values))))
    return (series.at - series.at[since] >= same_value) & ~is_empty


def _is_out_and_back(values: Floats, least: float) -> Booleans:
    out, back = values - _before(values), values - _after(values)
    # A comparison with a missing value is false, and the lesser of a number and NaN is NaN.
    return (np.minimum(out, back) > least) | (np.maximum(out, back) < -least)


def _is_running(series: Series, rules: HealthRules) -> Booleans:
    """Whether power is made; where no power is measured, whether wind blows; else always."""
    if rules.power:
        return series.values[rules.power] > 0
    if rules.wind:
        return series.values[rules.wind] > rules.calm_wind
    return np.ones(len(series.at), dtype=bool)


def _is_parked(series: Series, rules: HealthRules) -> Booleans:
    """Whether the turbine stands in calm wind: many loggers stop then."""
    if rules.power is None or rules.wind is None:
        return np.zeros(len(series.at), dtype=bool)
    return (series.values[rules.power] <= 0) & (series.values[rules.wind] <= rules.calm_wind)


def _differs(keys: Sequence[Integers], order: Integers) -> Booleans:
    """Whether each row, in this order, differs from the one before it in any key; the first does."""
    differs = np.zeros(len(order), dtype=bool)
    differs[:1] = True
    for key in keys:
        in_order = key[order]
        differs[1:] |= in_order[1:] != in_order[:-1]
    return differs


def _before(values: NDArray[T]) -> NDArray[T]:
    """What stands one place before; the first stands for itself, and has nothing before it."""
    return np.concatenate([values[:1], values[:-1]])


def _after(values: NDArray[T]) -> NDArray[T]:
    """What stands one place after; the last stands for itself."""
    return np.concatenate([values[1:], values[-1:]])
