"""What a model must beat: no model at all, and the turbine's age alone."""

from __future__ import annotations

from typing import Any

from pyspark.ml import Pipeline
from pyspark.ml.classification import RandomForestClassifier
from pyspark.ml.feature import VectorSlicer
from pyspark.ml.regression import RandomForestRegressor

from turbine_health.models.forests import DAYS, FEATURES, LABEL, WEIGHT

AGE = "asset__age_days"
# One column has few places to split at.
_AGE_FOREST: dict[str, Any] = {"featuresCol": "age", "weightCol": WEIGHT, "maxDepth": 4, "minInstancesPerNode": 50, "seed": 1}
_AGE_TREES = 10


def age_classifier(age_slot: int) -> Pipeline:
    """Unfitted: the chance of a failure from the days since the last repair alone. `age_slot`: place in the vector."""
    forest = RandomForestClassifier(labelCol=LABEL, predictionCol="predicted_class", numTrees=_AGE_TREES, **_AGE_FOREST)
    return Pipeline(stages=[_age_only(age_slot), forest])


def age_regressor(age_slot: int) -> Pipeline:
    """Unfitted: the days left from the days since the last repair alone. `age_slot`: place in the vector."""
    return Pipeline(stages=[_age_only(age_slot), RandomForestRegressor(labelCol=DAYS, numTrees=_AGE_TREES, **_AGE_FOREST)])


def _age_only(age_slot: int) -> VectorSlicer:
    return VectorSlicer(inputCol=FEATURES, outputCol="age", indices=[age_slot])
