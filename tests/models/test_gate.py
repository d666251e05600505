from turbine_health.models.card import model_card
from turbine_health.models.gate import cannot_be_compared, judge


def verdict(**changes):
    given = {
        "failures": 10, "min_failures": 5, "training_failures": 30, "min_training_failures": 10,
        "score": "cost", "value": 100.0, "baselines": {"never alert": 200.0}, "difference_to_champion": (-50.0, -10.0),
    }  # fmt: skip
    return judge(**{**given, **changes})


def test_a_model_that_shows_everything_passes():
    assert verdict().passes
    assert verdict(difference_to_champion=None).passes


def test_too_few_failures_prove_nothing():
    assert verdict(failures=4).reasons == ["the test holds 4 distinct failures; 5 are needed"]


def test_a_model_that_learned_from_too_few_failures_is_refused():
    assert verdict(training_failures=9).reasons == ["the training part holds 9 distinct failures; 10 are needed"]


def test_a_champion_that_can_score_nothing_any_more_is_no_hurdle_and_is_named():
    why = cannot_be_compared("3", [f"x__mean_{hours}h" for hours in range(7)])
    assert why == (
        "champion version 3 could not score the test: the table no longer has x__mean_0h, x__mean_1h, x__mean_2h, "
        "x__mean_3h, x__mean_4h and 2 more"
    )
    found = verdict(difference_to_champion=None, not_judged=why)
    assert found.passes
    assert found.not_judged == (why,)
    assert f"- **not judged**: {why}" in model_card("A", {}, {}, found, []).splitlines()


def test_a_model_that_loses_to_a_baseline_is_refused_with_both_numbers():
    assert verdict(value=200.0).reasons == ["cost is 200.00; never alert has 200.00"]


def test_a_challenger_that_may_be_worse_than_the_champion_is_refused():
    reasons = verdict(difference_to_champion=(-50.0, 1.0)).reasons
    assert reasons == ["cost minus the champion's lies between -50.00 and 1.00; it must be below zero"]


def test_all_failed_conditions_are_named_at_once():
    assert len(verdict(failures=0, value=None, difference_to_champion=(0.0, 0.0)).reasons) == 3


def test_a_baseline_that_could_not_be_computed_is_no_hurdle():
    assert verdict(baselines={"age alone": None}).passes


def test_one_feature_that_knows_everything_is_refused_as_a_leak():
    reasons = verdict(leak="x__mean_24h alone carries 90 % of the gain at a PR-AUC of 1.000").reasons
    assert reasons == ["x__mean_24h alone carries 90 % of the gain at a PR-AUC of 1.000: it seems to know the future"]
