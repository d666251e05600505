from turbine_health.models.gate import judge


def verdict(**changes):
    given = {
        "failures": 10, "min_failures": 5, "score": "cost", "value": 100.0, "baselines": {"never alert": 200.0},
        "difference_to_champion": (-50.0, -10.0),
    }  # fmt: skip
    return judge(**{**given, **changes})


def test_a_model_that_shows_everything_passes():
    assert verdict().passes
    assert verdict(difference_to_champion=None).passes


def test_too_few_failures_prove_nothing():
    assert verdict(failures=4).reasons == ["the test holds 4 distinct failures; 5 are needed"]


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
