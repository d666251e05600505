"""Distributions and correlations of millions of readings in one pass, in numpy.

In SQL, a histogram of each of ten signals takes ten rows for every reading; here a batch of readings is a
matrix and its histograms and products are a few calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

Floats = npt.NDArray[np.float64]

_SUMS = ("rows", "sum_x", "sum_y", "sum_xx", "sum_yy", "sum_xy")
_SCHEMA = (
    "first string, second string, bin int, rows double, sum_x double, sum_y double, sum_xx double, sum_yy double, sum_xy double"
)


@dataclass(frozen=True)
class Axis:
    """Range of a signal that a histogram covers; values beyond it are counted in the end bins."""

    low: float
    high: float


def to_distributions(readings: DataFrame, axes: Mapping[str, Axis], bins: int) -> tuple[DataFrame, DataFrame]:
    """Histograms of signals and correlations of each two of them.

    Args:
        readings: silver.sensor_readings. Needs the signals.
        axes: Signal → what its histogram covers.
        bins: Bins of each histogram.

    Returns:
        Two frames. Histograms: `signal`, `bin` (0 to bins - 1), `rows`. Correlations (Pearson, over readings with both
        values): `first`, `second`, `rows`, `correlation` (-1 to 1; null where one of them never changes).
    """
    signals = list(axes)
    sums = (
        readings.select(*signals)
        .mapInArrow(_Kernel(signals, [axes[name] for name in signals], bins), _SCHEMA)
        .groupBy("first", "second", "bin")
        .agg(*[F.sum(name).alias(name) for name in _SUMS])
    )
    histograms = sums.filter(F.col("second").isNull()).select(F.col("first").alias("signal"), "bin", F.col("rows").cast("long"))
    return histograms, sums.filter(F.col("second").isNotNull()).select(
        "first", "second", F.col("rows").cast("long"), _correlation()
    )


def _correlation() -> Column:
    rows = F.col("rows")
    covariance = F.col("sum_xy") - F.col("sum_x") * F.col("sum_y") / rows
    spread_x = F.col("sum_xx") - F.pow(F.col("sum_x"), F.lit(2)) / rows
    spread_y = F.col("sum_yy") - F.pow(F.col("sum_y"), F.lit(2)) / rows
    # Rounding leaves a trace of spread in a signal that never changes.
    moves = (spread_x > 1e-9 * rows) & (spread_y > 1e-9 * rows)
    return F.when(moves, covariance / F.sqrt(spread_x * spread_y)).alias("correlation")


@dataclass(frozen=True)
class _Kernel:
    """Sums of one partition. Values are centred and scaled by their axis, so that squares keep their digits."""

    signals: Sequence[str]
    axes: Sequence[Axis]
    bins: int

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        counts = np.zeros((len(self.signals), self.bins))
        products = np.zeros((6, len(self.signals), len(self.signals)))
        for batch in batches:
            values = np.column_stack([batch.column(name).to_numpy(zero_copy_only=False).astype(float) for name in self.signals])
            low = np.array([axis.low for axis in self.axes])
            scaled = (values - low) / np.array([axis.high - axis.low for axis in self.axes])
            counts += self._counts(scaled)
            products += _products(scaled - 0.5)
        yield from self._rows(counts, products)

    def _counts(self, scaled: Floats) -> Floats:
        columns = []
        for column in scaled.T:
            known = column[np.isfinite(column)]
            columns.append(np.bincount(np.clip(known * self.bins, 0, self.bins - 1).astype(int), minlength=self.bins))
        return np.array(columns, dtype=float)

    def _rows(self, counts: Floats, products: Floats) -> Iterator[pa.RecordBatch]:
        empty = dict.fromkeys(_SUMS, 0.0)
        rows: list[dict[str, object]] = [
            {**empty, "first": name, "second": None, "bin": place, "rows": count}
            for name, row in zip(self.signals, counts, strict=True)
            for place, count in enumerate(row)
        ]
        for i, first in enumerate(self.signals):
            for j, second in enumerate(self.signals):
                sums = dict(zip(_SUMS, products[:, i, j], strict=True))
                rows.append({**sums, "first": first, "second": second, "bin": None})
        yield pa.RecordBatch.from_pylist(rows, schema=_ARROW)


def _products(centred: Floats) -> Floats:
    """Per pair of columns, over the rows that have both: rows, sums, sums of squares, sum of products."""
    known = np.isfinite(centred)
    there, values = known.astype(float), np.where(known, centred, 0.0)
    squares = values**2
    return np.stack(
        [there.T @ there, values.T @ there, there.T @ values, squares.T @ there, there.T @ squares, values.T @ values]
    )


_ARROW = pa.schema(
    [("first", pa.string()), ("second", pa.string()), ("bin", pa.int32()), *[(name, pa.float64()) for name in _SUMS]]
)
