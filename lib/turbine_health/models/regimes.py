"""What a signal should read in the regime that the turbine runs in.

A bearing is hot because it is sick, or because the wind blows: the deviation from what bearings have in such wind tells which.
Fitted on healthy windows of the training part, and kept as one stage of the pipeline: a statement with its numbers in it,
so a loaded model deviates from the very same regimes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from pyspark.ml.feature import SQLTransformer
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from turbine_health.settings import RegimeSettings
from turbine_health.tables import FeatureName, feature_name, parse_feature_name

REGIME = "_regime_"


def fit_regimes(healthy: DataFrame, features: Sequence[str], settings: RegimeSettings) -> SQLTransformer | None:
    """Unlike an estimator of MLlib's this returns the stage itself: it holds nothing but numbers.

    Args:
        healthy: Healthy windows of the training part, with the columns `features`.
        features: Feature columns with values in them.
        settings: Which signals tell the regime, and which are compared with it.

    Returns:
        A stage that adds `_regime_<feature>` for the means of `settings.of`: the mean over a look-back minus its median
        in healthy windows of the same regime over that look-back. Null where a value is missing or the regime was seen
        too rarely. None where no look-back has the means that it takes.
    """
    columns: dict[str, str] = {}
    for hours in lookbacks_of(features, settings):
        tellers = [feature_name(signal, "mean", hours) for signal in settings.signals]
        edges = [_edges(healthy, name, settings.bins) for name in tellers]
        regime = _regime(tellers, edges)
        compared = [name for signal in settings.of if (name := feature_name(signal, "mean", hours)) in features]
        usual = _medians(healthy, F.expr(regime), compared, settings)
        columns |= {f"{REGIME}{name}": f"`{name}` - element_at({_array(usual[name])}, {regime})" for name in compared}
    if not columns:
        return None
    added = ", ".join(f"{expression} AS `{name}`" for name, expression in columns.items())
    return SQLTransformer(statement=f"SELECT *, {added} FROM __THIS__")


def regime_columns(features: Sequence[str], settings: RegimeSettings) -> list[str]:
    """Features whose deviation from their regime's the stage adds, in its order."""
    names = (feature_name(signal, "mean", hours) for hours in lookbacks_of(features, settings) for signal in settings.of)
    return [name for name in names if name in features]


def lookbacks_of(features: Sequence[str], settings: RegimeSettings) -> list[int]:
    """Look-backs over which every signal that tells the regime has a mean."""
    known = set(features)
    parts: list[FeatureName] = [parse_feature_name(name) for name in features]
    hours = sorted({part.lookback_hours for part in parts if part.lookback_hours is not None})
    return [each for each in hours if all(feature_name(signal, "mean", each) in known for signal in settings.signals)]


def _edges(healthy: DataFrame, name: str, bins: int) -> list[float]:
    """Inner borders of bins with about equally many healthy windows."""
    shares = [number / bins for number in range(1, bins)]
    row = healthy.agg(F.percentile(F.nanvl(name, F.lit(None)), F.array(*map(F.lit, shares)))).first()
    return sorted(set(map(float, row[0]))) if row and row[0] is not None else []


def _regime(tellers: Sequence[str], edges: Sequence[Sequence[float]]) -> str:
    """Number of the regime, from 1, as SQL; null where a signal that tells it is missing."""
    known = " AND ".join(f"`{name}` IS NOT NULL AND NOT isnan(`{name}`)" for name in tellers)
    bins = (f"size(filter({_array(borders)}, edge -> edge < `{name}`))" for name, borders in zip(tellers, edges, strict=True))
    sizes = [len(borders) + 1 for borders in edges]
    number = reduce(lambda sofar, part: f"({sofar}) * {part[1]} + {part[0]}", zip(bins, sizes, strict=True), "0")
    return f"CASE WHEN {known} THEN 1 + {number} END"


def _medians(
    healthy: DataFrame, regime: Column, names: Sequence[str], settings: RegimeSettings
) -> dict[str, list[float | None]]:
    """Feature → its median in each regime, null where too few windows have a value. As many rows as there are regimes."""
    values = {name: F.nanvl(name, F.lit(None)) for name in names}
    is_seen = {name: F.count(value) >= settings.min_windows for name, value in values.items()}
    medians = (F.when(is_seen[name], F.percentile(value, 0.5)).alias(name) for name, value in values.items())
    rows = healthy.withColumn("_regime", regime).where("_regime IS NOT NULL").groupBy("_regime").agg(*medians).collect()
    by_regime = {row["_regime"]: row for row in rows}
    regimes = range(1, settings.bins ** len(settings.signals) + 1)
    return {name: [by_regime[each][name] if each in by_regime else None for each in regimes] for name in names}


def _array(values: Sequence[float | None]) -> str:
    numbers = ", ".join("CAST(NULL AS DOUBLE)" if value is None else f"CAST('{value!r}' AS DOUBLE)" for value in values)
    return f"array({numbers})" if values else "CAST(array() AS ARRAY<DOUBLE>)"
