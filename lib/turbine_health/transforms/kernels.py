"""Trailing statistics over a dense row of cells, in numpy.

The absolute cell index is cut into blocks as long as the look-back. A window that is not a block itself
is the end of one block and the start of the next, so one running pass from each block's start and one
from its end give every window by merging two parts (van Herk, Gil-Werman). That costs O(cells) for any
look-back. Because blocks lie at multiples of the look-back since 1970, never relative to the data, a
window's value depends on nothing but its own cells: the same bytes however a series is cut.

Running sums count from a value inside the window (the block's first or last cell), so an offset of 1e6
under a spread of 1e-3 costs no digits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True)
class Cells:
    """Consecutive cells; column i is the cell with absolute index `first + i`.

    All arrays are signals × cells: the signals of one turbine or, one turbine after the other, of several. An empty cell has
    count 0, mean and m2 0, low +inf, high -inf; `last` is then arbitrary.
    """

    first: int
    count: Floats
    mean: Floats
    m2: Floats
    low: Floats
    high: Floats
    last: Floats

    @property
    def stop(self) -> int:
        """Absolute index after the last cell."""
        return self.first + int(self.count.shape[1])

    def since(self, first: int) -> Cells:
        """Those with absolute index `first` or a greater one."""
        start = max(first, self.first)
        own = np.s_[:, start - self.first :]
        parts = (self.count, self.mean, self.m2, self.low, self.high, self.last)
        return Cells(start, *(part[own] for part in parts))


@dataclass(frozen=True)
class Moments:
    """Summary of sets of cells. The mean is `origin + shift`; sums are centred; time is in cells.

    All arrays are signals × windows. `time_value` is the sum of (time - mean time) · (value - mean).
    """

    count: Floats
    origin: Floats
    shift: Floats
    m2: Floats
    time: Floats
    time_m2: Floats
    time_value: Floats

    @property
    def mean(self) -> Floats:
        """Mean; NaN where the set is empty."""
        return np.where(self.count > 0, self.origin + self.shift, np.nan)

    @property
    def std(self) -> Floats:
        """Standard deviation of a sample; NaN for fewer than two readings."""
        degrees = np.where(self.count > 1, self.count - 1, np.nan)
        return np.sqrt(np.maximum(self.m2, 0) / degrees)

    @property
    def slope(self) -> Floats:
        """Least-squares slope per cell, cells weighted by their readings; NaN for fewer than two cells."""
        return self.time_value / np.where(self.time_m2 > 0, self.time_m2, np.nan)


def trailing_moments(cells: Cells, ends: Integers, lookback: int, *, with_slope: bool = True) -> Moments:
    """Moments of the windows of `lookback` cells that end before the absolute indices `ends`.

    Cells before `cells.first` count as empty; `ends` are at most `cells.stop`. Without the slope, half
    of the sums are spared and what they would hold is 0.
    """
    blocks = _Blocks(cells.first, cells.stop, lookback)
    count, mean, m2 = (blocks.cut(values, fill=0) for values in (cells.count, cells.mean, cells.m2))
    time = np.arange(lookback, dtype=np.float64) if with_slope else None
    time_back = time[::-1] - lookback if time is not None else None
    flip = np.s_[..., ::-1]
    heads = _running(count, mean, m2, time)
    tails = _running(count[flip], mean[flip], m2[flip], time_back)
    return _merged(
        _centred({name: blocks.tail(values[flip], ends, empty=0) for name, values in tails.items()}),
        _centred({name: blocks.head(values, ends, empty=0) for name, values in heads.items()}),
        with_time=with_slope,
    )


def running_mean(cells: Cells, ends: Integers) -> Floats:
    """Mean of all readings before each of `ends`, none of which is before `cells.first`; NaN where there is none.

    After `cells.stop` it stays what it was.
    """
    leading = np.argmax(cells.count > 0, axis=1)[:, np.newaxis]
    origin = np.take_along_axis(cells.mean, leading, axis=1)
    count = np.cumsum(cells.count, axis=1)
    value = np.cumsum(np.where(cells.count > 0, cells.count * (cells.mean - origin), 0), axis=1)
    mean = origin + value / np.where(count > 0, count, np.nan)
    columns = np.minimum(ends, cells.stop) - cells.first - 1
    return np.where(columns >= 0, mean[:, np.maximum(columns, 0)], np.nan)


def trailing_extreme(values: Floats, first: int, ends: Integers, lookback: int, extreme: np.ufunc, empty: float) -> Floats:
    """Smallest (`np.minimum`, empty +inf) or largest (`np.maximum`, empty -inf) value; NaN where none is."""
    blocks = _Blocks(first, first + values.shape[1], lookback)
    cut = blocks.cut(values, fill=empty)
    heads = extreme.accumulate(cut, axis=-1)
    tails = extreme.accumulate(cut[..., ::-1], axis=-1)[..., ::-1]
    found: Floats = extreme(blocks.head(heads, ends, empty=empty), blocks.tail(tails, ends, empty=empty))
    return np.where(np.isinf(found), np.nan, found)


def trailing_count(count: Floats, first: int, ends: Integers, lookback: int) -> Floats:
    """Sum of whole numbers over each window; differences of one running sum are then exact."""
    running = np.concatenate([np.zeros((count.shape[0], 1)), np.cumsum(count, axis=1)], axis=1)
    counted: Floats = running[:, ends - first] - running[:, np.maximum(ends - lookback - first, 0)]
    return counted


def trailing_last(values: Floats, present: Booleans, first: int, ends: Integers, lookback: int) -> Floats:
    """Newest value of each window among the cells where one is `present`; NaN where none is."""
    newest = np.maximum.accumulate(np.where(present, np.arange(values.shape[1]), -1), axis=1)
    padded = np.concatenate([np.full((values.shape[0], 1), -1), newest], axis=1)
    found = padded[:, ends - first]
    is_inside = (found >= 0) & (found >= ends - lookback - first)
    return np.where(is_inside, np.take_along_axis(values, np.maximum(found, 0), axis=1), np.nan)


class _Blocks:
    """Cells [first, stop) cut at the absolute multiples of `length`, padded to whole blocks."""

    def __init__(self, first: int, stop: int, length: int) -> None:
        self.length = length
        self.first = first
        self.base = first // length * length
        self.blocks = max(-(-(stop - self.base) // length), 1)

    def cut(self, values: Floats, fill: float) -> Floats:
        """Signals × cells → signals × blocks × length."""
        padded = np.full((values.shape[0], self.blocks * self.length), fill, dtype=np.float64)
        start = self.first - self.base
        padded[:, start : start + values.shape[1]] = values
        return padded.reshape(values.shape[0], self.blocks, self.length)

    def head(self, running: Floats, ends: Integers, empty: float) -> Floats:
        """Of each window, the part in the block of its last cell."""
        return self._pick(running, ends - 1 - self.base, ends > self.first, empty)

    def tail(self, running: Floats, ends: Integers, empty: float) -> Floats:
        """Of each window, the part in the block before; empty when the window is a block itself."""
        starts = ends - self.length
        return self._pick(running, starts - self.base, (starts >= self.base) & (starts % self.length != 0), empty)

    def _pick(self, running: Floats, columns: Integers, is_there: Booleans, empty: float) -> Floats:
        picked = np.take(running.reshape(running.shape[0], -1), np.where(is_there, columns, 0), axis=1)
        picked[:, ~is_there] = empty
        return picked


def _running(count: Floats, mean: Floats, m2: Floats, time: Floats | None) -> dict[str, Floats]:
    """Sums from each block's first column on; values count from the block's first cell that is not empty."""
    leading = np.argmax(count > 0, axis=-1)[..., np.newaxis]
    origin = np.take_along_axis(mean, leading, axis=-1)
    shift = np.where(count > 0, mean - origin, 0)
    weighted = count * shift
    terms = {"count": count, "value": weighted, "square": weighted * shift + m2}
    if time is not None:
        timed = count * time
        terms |= {"time": timed, "time_time": timed * time, "time_value": weighted * time}
    sums = {name: np.cumsum(values, axis=-1) for name, values in terms.items()}
    return {**sums, "origin": np.broadcast_to(origin, count.shape)}


def _centred(sums: dict[str, Floats]) -> Moments:
    count = sums["count"]
    safe = np.maximum(count, 1)
    shift = sums["value"] / safe
    nothing = np.broadcast_to(0.0, count.shape)
    time = sums["time"] / safe if "time" in sums else nothing
    return Moments(
        count=count,
        origin=sums["origin"],
        shift=shift,
        m2=sums["square"] - sums["value"] * shift,
        time=time,
        time_m2=sums["time_time"] - sums["time"] * time if "time" in sums else nothing,
        time_value=sums["time_value"] - sums["value"] * time if "time" in sums else nothing,
    )


def _merged(older: Moments, newer: Moments, *, with_time: bool) -> Moments:
    """Both sets as one (Chan, Golub, LeVeque 1979)."""
    count = older.count + newer.count
    share = newer.count / np.maximum(count, 1)
    both = older.count * share
    value_gap = np.where(both > 0, (newer.origin - older.origin) + (newer.shift - older.shift), 0)
    is_alone = older.count == 0
    merged = replace(
        older,
        count=count,
        origin=np.where(is_alone, newer.origin, older.origin),
        shift=np.where(is_alone, newer.shift, older.shift + value_gap * share),
        m2=older.m2 + newer.m2 + value_gap * value_gap * both,
    )
    if not with_time:
        return merged
    time_gap = newer.time - older.time
    return replace(
        merged,
        time=np.where(is_alone, newer.time, older.time + time_gap * share),
        time_m2=older.time_m2 + newer.time_m2 + time_gap * time_gap * both,
        time_value=older.time_value + newer.time_value + value_gap * time_gap * both,
    )
