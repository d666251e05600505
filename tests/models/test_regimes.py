"""Deviation from the operating regime: a bearing that is hot in the wind is well, one that is hot in a calm is not."""

from __future__ import annotations

import random

import pytest
from builders import examples
from pyspark.ml import PipelineModel
from pyspark.sql import functions as F

from turbine_health.models.explanations import with_reasons
from turbine_health.models.forest_paths import forest_paths
from turbine_health.models.forests import FEATURES, LABEL, WEIGHT, classifier
from turbine_health.models.preparation import fit_preparation
from turbine_health.models.regimes import fit_regimes, regime_columns
from turbine_health.models.scoring import with_raw_score
from turbine_health.settings import ForestSettings, ModelSettings, RegimeSettings

POWER, BEARING, SHORT = "active_power_kw__mean_24h", "bearing_temp_c__mean_24h", "bearing_temp_c__mean_6h"
REGIME = RegimeSettings(signals=("active_power_kw",), of=("bearing_temp_c",), bins=4, min_windows=20)


@pytest.fixture(scope="module")
def training(spark):
    """A bearing of 40 °C and up to 40 more with power; the last twenty windows are sick: 15 °C more."""
    draw = random.Random(1)
    power = [draw.uniform(0, 2_000) for _ in range(400)]
    sick = [0] * 380 + [1] * 20
    bearing = [40 + load / 50 + draw.gauss(0, 0.5) + 15 * ill for load, ill in zip(power, sick, strict=True)]
    columns = {POWER: power, BEARING: bearing, SHORT: bearing, "failure_within_7d": sick}
    return examples(spark, "T07", "2024-01-01", **columns).cache()


def deviations(rows, stage):
    return [row[0] for row in stage.transform(rows).orderBy("window_end").select(f"_regime_{BEARING}").collect()]


def test_the_wind_explains_a_hot_bearing_and_sickness_does_not_hide_in_it(spark, training):
    stage = fit_regimes(training.where("failure_within_7d = 0"), [POWER, BEARING, SHORT], REGIME)
    assert stage is not None
    power, bearing = [100.0, 1_900.0, 100.0, None, 1_000.0], [43.0, 78.0, 58.0, 50.0, None]
    rows = examples(spark, "T08", "2024-01-01", **{POWER: power, BEARING: bearing, SHORT: bearing})
    calm, windy, sick, unknown, missing = deviations(rows, stage)
    # A quarter of the loads is 10 °C wide, so what is left of the wind is at most half of that.
    assert abs(calm) < 6
    assert abs(windy) < 6
    assert sick - calm == pytest.approx(15)
    assert (unknown, missing) == (None, None)


def test_only_look_backs_with_a_mean_of_every_teller_have_regimes():
    assert regime_columns([POWER, BEARING, SHORT], REGIME) == [BEARING]
    assert regime_columns([BEARING, SHORT], REGIME) == []


def test_a_regime_that_was_seen_too_rarely_says_nothing(training):
    rare = REGIME.model_copy(update={"min_windows": 1_000})
    stage = fit_regimes(training, [POWER, BEARING], rare)
    assert stage is not None
    assert set(deviations(training, stage)) == {None}
    preparation = fit_preparation(training, 400, [POWER, BEARING], rare)
    assert preparation.slots == (POWER, BEARING)


def test_regimes_come_from_healthy_windows_of_the_training_rows_alone(training):
    with_others = training.withColumn(BEARING, F.when(F.col("failure_within_7d") == 1, 1e6).otherwise(F.col(BEARING)))
    fitted, again = (fit_preparation(rows, 400, [POWER, BEARING], REGIME) for rows in (training, with_others))
    assert fitted.model.stages[0].getStatement() == again.model.stages[0].getStatement()


def test_a_saved_model_deviates_from_the_very_same_regimes(training, tmp_path):
    preparation = fit_preparation(training, 400, [POWER, BEARING, SHORT], REGIME)
    assert preparation.slots == (POWER, BEARING, SHORT, f"regime:{BEARING}")
    assert set(preparation.healthy_medians) == {POWER, BEARING, SHORT}
    preparation.model.write().overwrite().save(str(tmp_path / "model"))
    loaded = PipelineModel.load(str(tmp_path / "model"))
    before, after = (model.transform(training).orderBy("window_end") for model in (preparation.model, loaded))
    assert before.select(FEATURES).collect() == after.select(FEATURES).collect()


def test_a_deviation_counts_among_the_reasons_of_its_signal_and_all_add_up(training):
    preparation = fit_preparation(training, 400, [POWER, BEARING], REGIME)
    rows = preparation.vectors(training, ["asset_id", "window_end", LABEL]).withColumn(WEIGHT, F.lit(1.0))
    small = ForestSettings(trees=5, depth=3, min_rows_per_leaf=2)
    model = preparation.pipeline_with(classifier(ModelSettings(classifier=small)).fit(rows))
    explained = with_raw_score(training, model).transform(
        with_reasons, model, forest_paths(model), features=preparation.features, normal=preparation.healthy_medians
    )
    for row in explained.where("failure_within_7d = 1").collect():
        parts = [reason["contribution"] for reason in row["reasons"]]
        assert row["base_score"] + row["other_contribution"] + sum(parts) == pytest.approx(row["raw_score"])
        assert row["reasons"][0]["feature"] == BEARING
