"""Unfitted pipelines of both heads: gaps filled and marked, features in a vector, a forest of trees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyspark.ml import Estimator, Pipeline, PipelineModel, Transformer
from pyspark.ml.classification import GBTClassifier, RandomForestClassifier
from pyspark.ml.feature import Imputer, SQLTransformer, VectorAssembler
from pyspark.ml.regression import GBTRegressor, LinearRegression, LinearRegressionModel, RandomForestRegressor
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from turbine_health.settings import ForestSettings, LinearAnswerSettings, ModelSettings
from turbine_health.tables import parse_feature_name

FEATURES, WEIGHT = "features", "_weight"
LABEL, DAYS = "failure_within_7d", "days_known"
FILLED, MISSING = "_filled_", "_missing_"
# What regression trees on the label answer; days are answered in another column.
FAILING_SHARE = "_failing_share"

# A median of so many windows is near enough, and an exact one of them costs the same on any fleet.
SAMPLED_ROWS = 20_000
# Days in steps of 1/1024 (84 s) add up without rounding, so a forest does not depend on the order
# in which a cluster's workers deliver their sums.
DAY_STEPS = 1024


def preparation(features: Sequence[str], with_gaps: Sequence[str]) -> Pipeline:
    """Unfitted: raw feature columns (null or NaN where missing) → `features`, a vector without gaps.

    Args:
        features: Feature columns, in the vector's order.
        with_gaps: Those of them whose being missing is told to the trees, as further entries of the vector.
    """
    marks = [f"CAST(isnull(`{name}`) OR isnan(`{name}`) AS DOUBLE) AS `{MISSING}{name}`" for name in with_gaps]
    mark_gaps = SQLTransformer(statement=f"SELECT {', '.join(['*', *marks])} FROM __THIS__")
    fill_gaps = Imputer(
        inputCols=list(features), outputCols=[FILLED + name for name in features], strategy="median", relativeError=0.0
    )
    assemble = VectorAssembler(
        inputCols=[*(FILLED + name for name in features), *(MISSING + name for name in with_gaps)], outputCol=FEATURES
    )
    return Pipeline(stages=[mark_gaps, fill_gaps, assemble])


def one_per_lookback(with_gaps: Sequence[str]) -> list[str]:
    """The first column of each signal and look-back: their statistics go missing together."""
    first: dict[tuple[str, int | None], str] = {}
    for name in with_gaps:
        parts = parse_feature_name(name)
        first.setdefault((parts.signal, parts.lookback_hours), name)
    return list(first.values())


def classifier(settings: ModelSettings, *, share_of_trees: float = 1.0) -> Estimator[Any]:
    """Unfitted: `features`, `failure_within_7d` and `_weight` → `probability`."""
    forest = _smaller(settings.classifier, share_of_trees)
    shared: dict[str, Any] = {"labelCol": LABEL, **_tree_params(forest, settings)}
    if settings.kind == "gradient_boosted":
        return GBTClassifier(**shared, predictionCol="predicted_class", maxIter=forest.trees, stepSize=forest.learning_rate)
    if forest.impurity == "variance":
        return _regression_trees_on_label(RandomForestRegressor(**shared, numTrees=forest.trees))
    return RandomForestClassifier(**shared, predictionCol="predicted_class", numTrees=forest.trees, impurity=forest.impurity)


def _regression_trees_on_label(trees: RandomForestRegressor) -> Pipeline:
    """A forest for two classes whose leaves stay apart: the mean of a label of 0 and 1 is the share of ones.

    The variance of such a label is half its Gini impurity, so the splits are the same. But MLlib's classifier (until 4.3,
    SPARK-34591) joins sister leaves that vote for the same class, which levels the shares by which windows are ranked.
    """
    healthy = "_healthy_share"
    if trees.getFeatureSubsetStrategy() == "auto":
        trees.setFeatureSubsetStrategy("sqrt")  # what `auto` is for a classifier; for a regressor it is a third
    complement = SQLTransformer(statement=f"SELECT *, 1 - {FAILING_SHARE} AS {healthy} FROM __THIS__")
    assemble = VectorAssembler(inputCols=[healthy, FAILING_SHARE], outputCol="probability")
    return Pipeline(stages=[trees.setPredictionCol(FAILING_SHARE), complement, assemble])


def regressor(settings: ModelSettings, *, share_of_trees: float = 1.0) -> Estimator[Any]:
    """Unfitted: `features`, `days_known` and `_weight` → `prediction` (days)."""
    forest = _smaller(settings.regressor, share_of_trees)
    shared: dict[str, Any] = {"labelCol": DAYS, **_tree_params(forest, settings)}
    if settings.kind == "gradient_boosted":
        trees: Estimator[Any] = GBTRegressor(**shared, maxIter=forest.trees, stepSize=forest.learning_rate)
    else:
        trees = RandomForestRegressor(**shared, numTrees=forest.trees)
    answers = settings.linear_answers
    return trees if answers is None else TreesAfterLinearAnswers(trees, answers)


class TreesAfterLinearAnswers(Estimator[PipelineModel]):
    """Trees on `features` and on the answers of linear regressions fitted on the same rows, one for each cap.

    Fitted, it is a plain pipeline of MLlib's stages, which loads without this package.
    """

    def __init__(self, trees: Any, answers: LinearAnswerSettings) -> None:
        super().__init__()
        self.trees = trees
        self.answers = answers

    def _fit(self, dataset: DataFrame) -> PipelineModel:
        linears = [self._linear_answer(dataset, cap) for cap in self.answers.caps_days]
        answers = [linear.getPredictionCol() for linear in linears]
        widen = VectorAssembler(inputCols=[FEATURES, *answers], outputCol="_features_and_linear_answers")
        trees = self.trees.copy({self.trees.featuresCol: widen.getOutputCol()})
        widened = PipelineModel([*linears, widen]).transform(dataset)
        return PipelineModel([*linears, widen, trees.fit(widened)])

    def _linear_answer(self, dataset: DataFrame, cap: float) -> LinearRegressionModel:
        regression = LinearRegression(
            featuresCol=FEATURES, labelCol="_capped_days", weightCol=WEIGHT, predictionCol=f"_linear_answer_to_{cap:g}",
            regParam=self.answers.penalty * cap, solver="normal",
        )  # fmt: skip
        fitted: LinearRegressionModel = regression.fit(dataset.withColumn("_capped_days", F.least(F.col(DAYS), F.lit(cap))))
        return fitted


def kind_of_trees(estimator: Estimator[Any]) -> str:
    """Class name of what `classifier` or `regressor` grows, such as `RandomForestRegressor`."""
    if isinstance(estimator, Pipeline):
        return type(estimator.getStages()[0]).__name__
    return type(estimator.trees if isinstance(estimator, TreesAfterLinearAnswers) else estimator).__name__


def stages_of(model: Transformer) -> list[Any]:
    """The steps of a fitted pipeline, those of pipelines within it among them; a model alone is one."""
    return [step for stage in model.stages for step in stages_of(stage)] if isinstance(model, PipelineModel) else [model]


def feature_gains(model: Transformer) -> list[float]:
    """Share of the gain by place of the vector; linear answers, where the trees got them, come last."""
    (trees,) = [stage for stage in stages_of(model) if hasattr(stage, "featureImportances")]
    return [float(gain) for gain in trees.featureImportances.toArray()]


def in_training_order(rows: DataFrame, partitions: int) -> DataFrame:
    """Rows placed and ordered by their keys alone: a forest's draws follow partition and position."""
    keys = ("asset_id", "window_end")
    return rows.repartition(partitions, *keys).sortWithinPartitions(*keys)


def hash_share(*columns: Column) -> Column:
    """A number from 0 to below 1 that looks random and depends on `columns` alone."""
    steps = 1 << 20
    return F.pmod(F.xxhash64(*columns), F.lit(steps)) / F.lit(steps)


def healthy_share_kept(failing: int, healthy: int, most_per_failing: float | None) -> float:
    """Share of the healthy rows that training keeps, 0 to 1, so that at most so many come on a failing one."""
    return 1.0 if most_per_failing is None else min(1.0, most_per_failing * failing / max(healthy, 1))


def is_kept(share: float) -> Column:
    """Whether a row trains: every failing one, and of the healthy ones about `share`, the same on every run."""
    return (F.col(LABEL) == 1) | (hash_share(F.col("asset_id"), F.col("window_end"), F.lit("thinning")) < share)


def class_weight(failing: int, healthy: int, balance: float) -> Column:
    """What a row counts in training; whole, so that sums are exact.

    Args:
        failing: Training rows with a failure ahead.
        healthy: Training rows without.
        balance: 1 lets both classes count alike, 0 every row; between them, the odds to that power.
    """
    of_failing = max(1, round((healthy / max(failing, 1)) ** balance))
    return F.when(F.col(LABEL) == 1, F.lit(float(of_failing))).otherwise(F.lit(1.0))


def exact_days(days: Column) -> Column:
    """`days` on the grid on which sums are exact."""
    return F.round(days * DAY_STEPS) / DAY_STEPS


def _smaller(forest: ForestSettings, share_of_trees: float) -> ForestSettings:
    return forest.model_copy(update={"trees": max(1, round(forest.trees * share_of_trees))})


def _tree_params(forest: ForestSettings, settings: ModelSettings) -> dict[str, Any]:
    return {
        "featuresCol": FEATURES,
        "weightCol": WEIGHT,
        "maxDepth": forest.depth,
        "minInstancesPerNode": forest.min_rows_per_leaf,
        "featureSubsetStrategy": forest.features_per_split,
        "subsamplingRate": forest.rows_per_tree,
        "maxBins": forest.bins,
        "maxMemoryInMB": settings.memory_mb,
        "seed": settings.seed,
    }
