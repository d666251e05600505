"""Which features there are, and their values for the windows of turbines, in numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from turbine_health.settings import FeatureSettings
from turbine_health.tables import FeatureName
from turbine_health.transforms.kernels import (
    Cells,
    Floats,
    Integers,
    running_mean,
    trailing_count,
    trailing_extreme,
    trailing_last,
    trailing_moments,
)
from turbine_health.transforms.slicing import MICROSECONDS

ASSET = "asset"
# What features count → `event_type` of silver.asset_events.
EVENTS = {"failures": "failure", "repairs": "repair", "maintenance": "maintenance", "stops": "stop"}
SECONDS_PER_HOUR = 3_600
SECONDS_PER_DAY = 86_400
# What a statistic needs of the kernels; the others need nothing but the count.
_OF_MOMENTS = {"mean", "std", "slope", "change", "deviation"}
_OF_EXTREMES = {"min", "max", "range"}
# Never withheld for low coverage: they say how much is missing.
_ABOUT_COVERAGE = {"count", "missing_share"}
# Of the turbine as a whole, without a look-back.
_AGES = {"age_days", "data_age_hours"}
# Place of the life of a window that ends before the first one starts.
_NO_LIFE = -1


@dataclass(frozen=True)
class FeaturePlan:
    """Everything that decides a feature's value, small enough to travel to every worker."""

    step_seconds: int
    every_cells: int
    chunk_cells: int
    baseline_cells: int
    min_coverage: float
    signals: tuple[str, ...]
    features: tuple[FeatureName, ...]

    @cached_property
    def names(self) -> list[str]:
        """Feature columns, in the order of the table."""
        return [str(feature) for feature in self.features]

    @cached_property
    def lookback_hours(self) -> list[int]:
        """Every look-back over readings that some feature uses, shortest first."""
        of_readings = (feature for feature in self.features if feature.signal not in EVENTS)
        return sorted({feature.lookback_hours for feature in of_readings if feature.lookback_hours})

    @cached_property
    def events(self) -> list[str]:
        """What is counted in `silver.asset_events`: keys of `EVENTS`."""
        return list(dict.fromkeys(feature.signal for feature in self.features if feature.signal in EVENTS))

    @cached_property
    def longest_count_hours(self) -> int:
        """How far back events are counted; 0 where none is."""
        return max((feature.lookback_hours or 0 for feature in self.features if feature.signal in EVENTS), default=0)

    @cached_property
    def longest_lookback(self) -> int:
        """In cells: how far back a window can see."""
        return self.cells_in(self.lookback_hours[-1])

    def cells_in(self, hours: int) -> int:
        """Length of so many hours, in cells."""
        return hours * SECONDS_PER_HOUR // self.step_seconds

    @cached_property
    def block_cells(self) -> int:
        """Cells that are carried together to the chunks that see them."""
        return min(self.chunk_cells, self.longest_lookback)

    @cached_property
    def cell_parts(self) -> list[str]:
        """Parts of a cell that some feature needs, beside the count."""
        used = {name for hours in self.lookback_hours for name in self.statistics(hours)}
        needs = {"mean": _OF_MOMENTS, "m2": _OF_MOMENTS, "min": _OF_EXTREMES, "max": _OF_EXTREMES, "last": {"last"}}
        return [part for part, statistics in needs.items() if used & statistics]

    def statistics(self, lookback_hours: int) -> set[str]:
        """Statistics of signals over one look-back, with the means that changes are made of."""
        has_change = any(feature.statistic == "change" for feature in self.features)
        named = self.named(lookback_hours)
        return named | {"mean"} if has_change else named

    def named(self, lookback_hours: int) -> set[str]:
        """Statistics of signals over one look-back that are features."""
        of_signals = (each for each in self.features if each.signal in self.signals)
        return {each.statistic for each in of_signals if each.lookback_hours == lookback_hours}


def feature_plan(settings: FeatureSettings, signals: Sequence[str]) -> FeaturePlan:
    """What to compute, from the settings.

    Args:
        settings: The feature sets.
        signals: Those meant by a set that names none, in the order of the columns.
    """
    shortest = min(hours for each in settings.sets for hours in each.lookback_hours)
    features = [
        FeatureName(signal, statistic, hours)
        for each in settings.sets
        for signal in each.signals or signals
        for statistic in each.statistics
        for hours in each.lookback_hours
        if statistic != "change" or hours > shortest
    ]
    features += [FeatureName(ASSET, name, None if name in _AGES else shortest) for name in settings.asset_statistics]
    if counts := settings.event_counts:
        features += [FeatureName(event, "count", hours) for event in counts.events for hours in counts.lookback_hours]
    used = {feature.signal for feature in features}
    has_baseline = any(feature.statistic == "deviation" for feature in features)
    step_seconds = settings.step_minutes * 60
    return FeaturePlan(
        step_seconds=step_seconds,
        every_cells=round(settings.every_hours * SECONDS_PER_HOUR / step_seconds),
        chunk_cells=settings.chunk_days * SECONDS_PER_DAY // step_seconds,
        baseline_cells=settings.baseline_hours * SECONDS_PER_HOUR // step_seconds if has_baseline else 0,
        min_coverage=settings.min_coverage,
        signals=tuple(signal for signal in signals if signal in used),
        features=tuple(dict.fromkeys(features)),
    )


@dataclass(frozen=True)
class Slice:
    """Cells of some turbines without gaps, from the same one on. The arrays beside `cells` have a row a turbine.

    Rows of `cells` are signals, turbine by turbine. `last_usable` is in seconds since 1970; it and `expected` mean nothing
    where `usable` is 0.
    """

    cells: Cells
    readings: Floats
    usable: Floats
    flagged: Floats
    expected: Floats
    last_usable: Floats


class CellRows(Protocol):
    """What a worker holds of one turbine, gaps and all."""

    def laid_out(self, first: int, stop: int) -> Slice:
        """The cells with absolute index in [first, stop); empty where there is no row."""


@dataclass(frozen=True)
class Stretch:
    """Windows of a turbine that lie in one life, as places in its window ends, and the first cell that they see."""

    windows: slice
    first_cell: int


def stretches(ends: Integers, life_starts: Floats, plan: FeaturePlan) -> dict[int, Stretch]:
    """Cut a turbine's windows by its lives: place of the life → its windows.

    No window reaches over the start of a life. The first life as a rule starts with the first reading, so its
    cell counts; of later ones a cell that mixes standstill and new life belongs to neither. Windows before the
    first life belong to none (-1): nothing cuts them, and they have no age and no baseline.

    Args:
        ends: Ascending window ends, as absolute cell indices.
        life_starts: Ascending, seconds since 1970; empty where no life is known.
        plan: What to compute.
    """
    cuts = _cuts(life_starts, plan)
    life_of_end = np.searchsorted(cuts, ends, side="right") - 1
    found = {}
    for life in np.unique(life_of_end).tolist():
        first, stop = np.searchsorted(life_of_end, (life, life + 1)).tolist()
        seen_from = int(ends[first]) - plan.longest_lookback
        found[life] = Stretch(slice(first, stop), seen_from if life == _NO_LIFE else max(seen_from, int(cuts[life])))
    return found


def window_values(
    rows: Sequence[CellRows], ends: Integers, life_starts: Sequence[Floats], plan: FeaturePlan
) -> dict[str, Floats]:
    """Features, coverage and freshness of the windows of turbines whose lives cut them alike.

    Args:
        rows: Of each turbine, cells from the longest look-back before the first window to the last window's end, and the
            baseline's of the life that the first window lies in.
        ends: Ascending window ends, as absolute cell indices.
        life_starts: Of each turbine, see `stretches`; those have the same windows and first cells.
        plan: What to compute.

    Returns:
        One array a column, turbines × windows; NaN where a value is not defined.
    """
    parts = []
    for of_each in zip(*(stretches(ends, starts, plan).items() for starts in life_starts), strict=True):
        stretch, lives = of_each[0][1], [life for life, _ in of_each]
        of_life, first = ends[stretch.windows], stretch.first_cell
        held = _stacked([each.laid_out(first, max(int(of_life[-1]), first + 1)) for each in rows])
        born = [starts[life] if life != _NO_LIFE else np.nan for life, starts in zip(lives, life_starts, strict=True)]
        normal = [_normal(*each, of_life, plan) for each in zip(rows, lives, life_starts, strict=True)]
        parts.append(_values_in_life(held, of_life, np.concatenate(normal), np.array(born)[:, np.newaxis], plan))
    values = {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}
    everything = _stacked([each.laid_out(int(ends[0]) - plan.longest_lookback, int(ends[-1])) for each in rows])
    age = _data_age_hours(everything, ends, plan)
    return {**values, "data_age_hours": age, str(FeatureName(ASSET, "data_age_hours")): age}


def event_counts(ends: Integers, began: Mapping[str, Integers], plan: FeaturePlan) -> dict[str, Floats]:
    """How many events began in the look-back of each window, whatever lives it reaches over.

    Args:
        ends: Window ends, as absolute cell indices. An event that begins at a window's end is not known yet.
        began: Event (of `plan.events`) → when each began: ascending, microseconds since 1970.
        plan: What to compute.
    """
    at = ends * (plan.step_seconds * MICROSECONDS)
    counts = {}
    for feature in plan.features:
        if feature.signal in EVENTS and feature.lookback_hours:
            start = at - feature.lookback_hours * SECONDS_PER_HOUR * MICROSECONDS
            first, after = (np.searchsorted(began[feature.signal], moment, side="left") for moment in (start, at))
            counts[str(feature)] = (after - first).astype(np.float64)
    return counts


def _cuts(life_starts: Floats, plan: FeaturePlan) -> Integers:
    """First cell of each life."""
    exact = life_starts / plan.step_seconds
    return np.concatenate([np.floor(exact[:1]), np.ceil(exact[1:])]).astype(np.int64)


def _stacked(slices: Sequence[Slice]) -> Slice:
    if len(slices) == 1:
        return slices[0]
    of_cells = ("count", "mean", "m2", "low", "high", "last")
    of_turbine = ("readings", "usable", "flagged", "expected", "last_usable")
    cells = {name: np.concatenate([getattr(each.cells, name) for each in slices]) for name in of_cells}
    own = {name: np.concatenate([getattr(each, name) for each in slices]) for name in of_turbine}
    return Slice(cells=Cells(first=slices[0].cells.first, **cells), **own)


def _normal(rows: CellRows, life: int, life_starts: Floats, ends: Integers, plan: FeaturePlan) -> Floats:
    """Signals × windows: mean of the life's baseline as far as it was known at each of `ends`; NaN where there is none."""
    if not plan.baseline_cells or life == _NO_LIFE:
        return np.full((len(plan.signals), len(ends)), np.nan)
    first = int(_cuts(life_starts, plan)[life])
    return running_mean(rows.laid_out(first, first + plan.baseline_cells).cells, ends)


def _values_in_life(held: Slice, ends: Integers, normal: Floats, born: Floats, plan: FeaturePlan) -> dict[str, Floats]:
    """Columns of the windows of one life of each turbine, which began `born` seconds after 1970 (NaN: not known)."""
    values = {str(FeatureName(ASSET, "age_days")): (ends * plan.step_seconds - born) / SECONDS_PER_DAY}
    first, signals = held.cells.first, len(plan.signals)
    shortest_mean = None
    for hours in plan.lookback_hours:
        lookback = plan.cells_in(hours)
        expected = _expected_readings(held, ends, lookback, born, plan)
        statistics = _statistics(held.cells, ends, hours, plan)
        named = plan.named(hours)
        if "mean" in statistics:
            shortest_mean = statistics["mean"] if shortest_mean is None else shortest_mean
            statistics["change"] = shortest_mean - statistics["mean"]
        if "deviation" in named:
            statistics["deviation"] = statistics["mean"] - normal
        present = _share(statistics["count"], np.repeat(expected, signals, axis=0))
        statistics["missing_share"] = 1 - present
        is_withheld = present < plan.min_coverage
        for name in named & statistics.keys():
            is_kept = name in _ABOUT_COVERAGE or not is_withheld.any()
            kept = statistics[name] if is_kept else np.where(is_withheld, np.nan, statistics[name])
            of_signals = {signal: kept[place::signals] for place, signal in enumerate(plan.signals)}
            values.update({str(FeatureName(signal, name, hours)): found for signal, found in of_signals.items()})
        if hours == plan.lookback_hours[0]:
            readings = trailing_count(held.readings, first, ends, lookback)
            flagged = trailing_count(held.flagged, first, ends, lookback)
            values[str(FeatureName(ASSET, "flagged_share", hours))] = _ratio(flagged, readings)
            values["coverage"] = _share(trailing_count(held.usable, first, ends, lookback), expected)
    return values


def _statistics(cells: Cells, ends: Integers, hours: int, plan: FeaturePlan) -> dict[str, Floats]:
    """Statistic → signals × windows, over one look-back; what no feature needs is left out."""
    lookback, wanted = plan.cells_in(hours), plan.statistics(hours)
    cells = cells.since(int(ends[0]) - lookback)
    cells_per_day = SECONDS_PER_DAY / plan.step_seconds
    first = cells.first
    found = {"count": trailing_count(cells.count, first, ends, lookback)}
    if wanted & _OF_MOMENTS:
        moments = trailing_moments(cells, ends, lookback, with_slope="slope" in wanted)
        found |= {"mean": moments.mean, "std": moments.std}
        if "slope" in wanted:
            found["slope"] = moments.slope * cells_per_day
    if wanted & _OF_EXTREMES:
        low = trailing_extreme(cells.low, first, ends, lookback, np.minimum, np.inf)
        high = trailing_extreme(cells.high, first, ends, lookback, np.maximum, -np.inf)
        found |= {"min": low, "max": high, "range": high - low}
    if "last" in wanted:
        found["last"] = trailing_last(cells.last, cells.count > 0, first, ends, lookback)
    return found


def _expected_readings(held: Slice, ends: Integers, lookback: int, born: Floats, plan: FeaturePlan) -> Floats:
    """Readings that the sampling lets expect in the part of the look-back that lies in the life."""
    lived = np.where(np.isfinite(born), ends - born / plan.step_seconds, np.inf)
    per_cell = trailing_last(held.expected, held.usable > 0, held.cells.first, ends, lookback)
    expected: Floats = per_cell * np.minimum(lived, lookback)
    return expected


def _share(count: Floats, expected: Floats) -> Floats:
    """Share of the expected readings, at most 1; 0 where there is none."""
    return np.where(count > 0, np.minimum(_ratio(count, expected), 1), 0)


def _ratio(part: Floats, whole: Floats) -> Floats:
    ratio: Floats = part / np.where(whole > 0, whole, np.nan)
    return ratio


def _data_age_hours(held: Slice, ends: Integers, plan: FeaturePlan) -> Floats:
    """Hours since the last usable reading, whatever the life; NaN where the longest look-back has none."""
    newest = trailing_last(held.last_usable, held.usable > 0, held.cells.first, ends, plan.longest_lookback)
    age: Floats = (ends * plan.step_seconds - newest) / SECONDS_PER_HOUR
    return age
