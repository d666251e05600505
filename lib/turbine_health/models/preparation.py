"""From feature columns to the vector that the forests take, fitted once for both heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.ml import PipelineModel, Transformer
from pyspark.ml.feature import ImputerModel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from turbine_health.errors import DataError
from turbine_health.models.forests import FEATURES, LABEL, SAMPLED_ROWS, hash_share, one_per_lookback, preparation
from turbine_health.models.regimes import REGIME, fit_regimes, regime_columns
from turbine_health.settings import RegimeSettings

FittedPipeline = PipelineModel


@dataclass(frozen=True)
class Preparation:
    """The fitted first stages of both heads' pipelines."""

    model: PipelineModel
    features: tuple[str, ...]
    slots: tuple[str, ...]
    """What stands at each place of the vector: a feature, `regime:<feature>` or `missing:<feature>`."""
    healthy_medians: Mapping[str, float]

    def pipeline_with(self, *stages: Transformer) -> FittedPipeline:
        """Preparation and fitted head in one, from raw feature columns to prediction."""
        return PipelineModel(stages=[*self.model.stages, *stages])

    def vectors(self, rows: DataFrame, keep: Sequence[str]) -> DataFrame:
        """`keep` and `features` of rows with the raw feature columns. Grain: as `rows`."""
        return self.model.transform(rows).select(*keep, FEATURES)


def fit_preparation(
    training_rows: DataFrame, rows: int, features: Sequence[str], regime: RegimeSettings | None = None
) -> Preparation:
    """Fit medians and choose columns on at most some 20,000 training rows, the same on every run.

    Args:
        training_rows: Needs `asset_id`, `window_end`, `failure_within_7d` and `features`.
        rows: How many those are.
        features: Feature columns; those without any value in healthy rows are left out.
        regime: Adds deviations from the operating regime to the vector. None: none.

    Raises:
        DataError: No feature has a value.
    """
    share = min(1.0, SAMPLED_ROWS / max(rows, 1))
    sample = training_rows.where(hash_share(F.col("asset_id"), F.col("window_end")) < share)
    healthy = sample.where(F.col(LABEL) == 0).select(*features).cache()
    known_healthy = _counts_known(healthy, features)
    usable = [name for name in features if known_healthy[name]]
    if not usable:
        raise DataError("no feature has a value in any healthy window", where="gold.training_examples")
    known = _counts_known(sample, usable)
    with_gaps = [name for name in usable if known[name] < known["rows"]]
    marked = one_per_lookback(with_gaps)
    regimes = fit_regimes(healthy, usable, regime) if regime else None
    seen = regimes.transform(healthy) if regimes else healthy
    compared = _with_values(seen, regime_columns(usable, regime)) if regime and regimes else []
    filled = [*usable, *(REGIME + name for name in compared)]
    model = preparation(filled, marked).fit(seen)
    healthy.unpersist()
    stages = [regimes, *model.stages] if regimes else model.stages
    slots = (*usable, *(f"regime:{name}" for name in compared), *(f"missing:{name}" for name in marked))
    medians = {name: value for name, value in _medians(model).items() if name in usable}
    return Preparation(PipelineModel(stages=stages), tuple(usable), slots, medians)


def _with_values(healthy: DataFrame, compared: Sequence[str]) -> list[str]:
    """Those of which some healthy window has a deviation from the regime's."""
    known = _counts_known(healthy, [REGIME + name for name in compared])
    return [name for name in compared if known[REGIME + name]]


def _counts_known(rows: DataFrame, features: Sequence[str]) -> dict[str, int]:
    """Values that are neither null nor NaN, by feature; and `rows`."""
    counts = rows.agg(F.count("*").alias("rows"), *(F.count(F.nanvl(name, F.lit(None))).alias(name) for name in features))
    row = counts.first()
    return row.asDict() if row else {}


def _medians(model: PipelineModel) -> dict[str, float]:
    for stage in model.stages:
        if isinstance(stage, ImputerModel):
            row = stage.surrogateDF.first()
            return {name: float(value) for name, value in row.asDict().items()} if row else {}
    return {}
