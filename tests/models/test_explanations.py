"""Reasons: what each signal contributed to a score, and that the parts add up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pyspark.ml import PipelineModel
from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from turbine_health.errors import DataError
from turbine_health.models.explanations import with_reasons
from turbine_health.models.forest_paths import ForestPaths, forest_paths
from turbine_health.models.forests import DAYS, LABEL, WEIGHT, classifier, preparation, regressor
from turbine_health.settings import ModelSettings

FEATURES = [
    "bearing_temp_c__mean_24h", "bearing_temp_c__max_24h", "vibration_mm_s__std_168h", "oil_temp_c__mean_24h",
    "active_power_kw__mean_24h", "wind_speed_m_s__mean_24h", "asset__age_days",
]  # fmt: skip
NORMAL = dict.fromkeys(FEATURES, 0.5)


@pytest.fixture(scope="module")
def labelled(spark: SparkSession) -> DataFrame:
    """Hot bearings fail; every tenth oil temperature is missing; the other signals say nothing."""
    noise = [F.rand(seed).alias(name) for seed, name in enumerate(FEATURES)]
    rows = spark.range(600, numPartitions=2).select("id", *noise)
    missing = F.when(F.col("id") % 10 > 0, F.col("oil_temp_c__mean_24h"))
    fails = F.col("bearing_temp_c__mean_24h") + 0.2 * F.rand(99) > 0.8
    return rows.select(
        "*", fails.cast("int").alias(LABEL), F.lit(1.0).alias(WEIGHT)
    ).withColumn("oil_temp_c__mean_24h", missing).cache()  # fmt: skip


@pytest.fixture(scope="module", params=["gini", "variance", "boosted"])
def model(request: pytest.FixtureRequest, labelled: DataFrame) -> PipelineModel:
    forest_settings = {"trees": 8, "depth": 5, **({} if request.param == "boosted" else {"impurity": request.param})}
    kind = "gradient_boosted" if request.param == "boosted" else "random_forest"
    settings = ModelSettings.model_validate({"kind": kind, "classifier": forest_settings})
    prepared = preparation(FEATURES, with_gaps=["oil_temp_c__mean_24h"]).fit(labelled)
    forest = classifier(settings).fit(prepared.transform(labelled))
    return PipelineModel([*prepared.stages, forest])


def test_contributions_add_up_to_what_the_forest_answers(labelled: DataFrame, model: PipelineModel) -> None:
    rows = _explained(labelled, model, most=len(FEATURES)).collect()
    gaps = [abs(row.base_score + sum(reason.contribution for reason in row.reasons) - row.raw_score) for row in rows]
    assert len(rows) == 600
    assert max(gaps) < 1e-9


def test_reasons_and_the_rest_add_up_to_a_rounded_score(labelled: DataFrame, model: PipelineModel) -> None:
    rounded = _scored(labelled, model).withColumn("raw_score", F.round("raw_score", 3))
    rows = rounded.transform(
        with_reasons, model, forest_paths(model), features=FEATURES, normal=NORMAL, most=2
    ).collect()  # fmt: skip
    assert all(len(row.reasons) == 2 for row in rows)
    sums = [row.base_score + row.other_contribution + sum(reason.contribution for reason in row.reasons) for row in rows]
    assert sums == pytest.approx([row.raw_score for row in rows], abs=1e-12)


def test_the_signal_that_makes_turbines_fail_is_the_first_reason(labelled: DataFrame, model: PipelineModel) -> None:
    surest = _explained(labelled, model).orderBy(F.col("raw_score").desc()).limit(20).collect()
    assert {row.reasons[0].feature.split("__")[0] for row in surest} == {"bearing_temp_c"}


def test_a_signal_is_named_once_with_the_sum_over_its_features(labelled: DataFrame, model: PipelineModel) -> None:
    for row in _explained(labelled, model).limit(50).collect():
        signals = [reason.feature.split("__")[0] for reason in row.reasons]
        assert len(set(signals)) == len(signals) == 5
        sizes = [abs(reason.contribution) for reason in row.reasons]
        assert sizes == sorted(sizes, reverse=True)


def test_a_missing_value_is_null_in_the_reason_and_said_in_words(labelled: DataFrame, model: PipelineModel) -> None:
    reasons = _explained(labelled, model, most=6).select(F.explode("reasons").alias("reason"), "id").select("id", "reason.*")
    oil = reasons.where("feature LIKE 'oil%' AND id % 10 = 0").collect()
    assert oil
    assert {row.value for row in oil} == {None}
    assert {row.words for row in oil} == {"oil temperature: no reading, mean of 1 day"}


def test_a_row_without_a_score_has_no_reasons(labelled: DataFrame, model: PipelineModel) -> None:
    half = _scored(labelled, model).withColumn("raw_score", F.when(F.col("id") % 2 == 0, F.col("raw_score")))
    rows = half.transform(with_reasons, model, forest_paths(model), features=FEATURES, normal=NORMAL).collect()
    assert all((row.reasons is None) == (row.id % 2 == 1) == (row.other_contribution is None) for row in rows)
    assert any(row.reasons for row in rows)


def test_reasons_survive_saving_and_loading(labelled: DataFrame, model: PipelineModel, tmp_path: Path) -> None:
    model.write().save(str(tmp_path / "model"))
    loaded = PipelineModel.load(str(tmp_path / "model"))
    assert _as_values(forest_paths(loaded)) == _as_values(forest_paths(model))


def test_a_pipeline_without_a_forest_is_refused() -> None:
    with pytest.raises(DataError, match="0 classifying forests"):
        forest_paths(PipelineModel([]))


def test_a_forest_for_the_days_left_gives_no_reasons(labelled: DataFrame) -> None:
    settings = ModelSettings.model_validate({"regressor": {"trees": 2, "depth": 2}})
    rows = preparation(FEATURES, with_gaps=[]).fit(labelled).transform(labelled)
    days_left = regressor(settings).fit(rows.withColumn(DAYS, F.col("id").cast("double")))
    with pytest.raises(DataError, match="0 classifying forests"):
        forest_paths(PipelineModel([days_left]))


def _scored(rows: DataFrame, model: PipelineModel) -> DataFrame:
    share = F.element_at(vector_to_array(F.col("probability")), 2)
    return model.transform(rows).select("id", *FEATURES, share.alias("raw_score"))


def _explained(rows: DataFrame, model: PipelineModel, most: int = 5) -> DataFrame:
    paths = forest_paths(model)
    return _scored(rows, model).transform(with_reasons, model, paths, features=FEATURES, normal=NORMAL, most=most)


def _as_values(paths: ForestPaths) -> dict[str, Sequence[Any]]:
    return {name: value.tolist() for name, value in vars(paths).items() if hasattr(value, "tolist")}
