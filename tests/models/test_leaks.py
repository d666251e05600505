"""What a forest must not be able to do: learn from chance, or from the future."""

import pytest
from degrading_fleet import fleet_examples, fleet_settings
from pyspark.sql import functions as F

from turbine_health.models.evaluation import ranking, score_counts
from turbine_health.models.forests import LABEL, WEIGHT, classifier, feature_gains, in_training_order
from turbine_health.models.gate import suspected_leak
from turbine_health.models.preparation import fit_preparation
from turbine_health.models.scoring import with_raw_score
from turbine_health.models.validation import out_of_fold
from turbine_health.tables import feature_columns


def vectors(spark, replaced):
    """Labelled rows of a small fleet with some columns `replaced`, as the classifier takes them, in three turbine folds."""
    chosen = fleet_settings()
    rows = fleet_examples(spark, chosen, turbines=9, days=150).where(F.col(LABEL).isNotNull()).withColumns(replaced)
    preparation = fit_preparation(rows, 1000, feature_columns(rows.columns))
    kept = ("asset_id", "window_end", LABEL)
    fold = F.pmod(F.substring("asset_id", 2, 2).cast("int"), F.lit(3))
    prepared = preparation.vectors(rows, kept).withColumns({WEIGHT: F.lit(1.0), "fold": fold})
    return in_training_order(prepared, 2).cache(), preparation, classifier(chosen.model)


@pytest.mark.parametrize(("shuffled", "low", "high"), [(True, 0.5, 1.6), (False, 3.0, 10.0)])
def test_only_with_true_labels_unseen_turbines_are_ranked_better_than_by_chance(spark, shuffled, low, high):
    by_chance = {LABEL: (F.rand(seed=4) < 0.15).cast("int")}
    rows, _, forest = vectors(spark, by_chance if shuffled else {})
    ranked = ranking(score_counts(out_of_fold(rows, F.lit(True), forest, 3, with_raw_score)).toPandas())
    assert ranked.pr_auc is not None
    assert ranked.base_rate is not None
    assert low < ranked.pr_auc / ranked.base_rate < high


def test_a_planted_feature_that_knows_the_future_is_caught(spark):
    knows = {"active_power_kw__mean_24h": F.col(LABEL) * 100.0 + F.rand(seed=1)}
    rows, preparation, forest = vectors(spark, knows)
    model = forest.fit(rows)
    ranked = ranking(score_counts(with_raw_score(rows, model)).toPandas())
    found = suspected_leak(dict(zip(preparation.slots, feature_gains(model), strict=True)), ranked.pr_auc)
    assert found is not None
    assert found.startswith("active_power_kw__mean_24h alone carries")


def test_an_honest_feature_is_not_taken_for_a_leak():
    assert suspected_leak({"bearing_temp_c__mean_24h": 0.9, "x__mean_24h": 0.1}, 0.97) is None
    assert suspected_leak({"bearing_temp_c__mean_24h": 0.2, "x__mean_24h": 0.1}, 1.0) is None


def test_a_signal_that_leaks_through_many_statistics_is_caught():
    names = [f"oil_temp_c__{statistic}_{hours}h" for statistic in ("mean", "min", "max") for hours in (24, 168, 720)]
    leaking = {**dict.fromkeys(names, 0.08), "missing:oil_temp_c__mean_24h": 0.08, "asset__age_days": 0.2}
    found = suspected_leak(leaking, 0.995)
    assert found == "oil_temp_c by all its statistics alone carries 80 % of the gain at a PR-AUC of 0.995"
    assert suspected_leak(leaking, 0.97) is None
    assert suspected_leak({name: share / 2 for name, share in leaking.items()}, 0.995) is None
