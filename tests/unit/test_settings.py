"""Settings: what wins, what is refused, and what the refusal says."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from turbine_health.errors import SettingsError
from turbine_health.settings import ForestSettings, Settings, load_settings

SOURCE = """
name: plant
files: {path: logs/*.csv}
asset_id: {column: turbine}
time: {timestamp: {column: time}}
sampling_minutes: 10
signals: [{name: bearing_temp_c, column: T1, unit: deg C}]
"""


def settings_file(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def complaint(*args, **kwargs) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(*args, **kwargs)
    return str(caught.value)


def test_a_file_replaces_only_the_keys_it_names(tmp_path):
    settings = load_settings(settings_file(tmp_path, "features: {step_minutes: 30}"), environ={})
    assert settings.features.step_minutes == 30
    assert settings.features.lookback_hours == Settings().features.lookback_hours


def test_a_flag_wins_over_the_environment_and_the_environment_over_the_file(tmp_path):
    path = settings_file(tmp_path, "storage: {root: of-file, reports: of-file}\nspark: {master: 'local[1]'}")
    environ = {"TURBINE_HEALTH__STORAGE__ROOT": "of-environment", "TURBINE_HEALTH__STORAGE__REPORTS": "of-environment"}
    settings = load_settings(path, overrides=["storage.root=of-flag"], environ=environ)
    assert (settings.storage.root, settings.storage.reports) == (str(Path("of-flag").absolute()), "of-environment")
    assert settings.spark.master == "local[1]"


def test_a_file_is_laid_over_those_that_it_extends_relative_to_itself(tmp_path):
    settings_file(tmp_path, "labels: {horizon_days: 3}\nmodel: {seed: 5}", "below.yaml")
    settings = load_settings(settings_file(tmp_path, "extends: below.yaml\nmodel: {seed: 6}"), environ={})
    assert (settings.labels.horizon_days, settings.model.seed) == (3, 6)


def test_a_source_is_found_beside_the_settings_that_name_it(tmp_path):
    settings_file(tmp_path, SOURCE, "plant.yaml")
    (source,) = load_settings(settings_file(tmp_path, "sources: [plant.yaml]"), environ={}).sources
    assert source.name == "plant"


def test_a_source_that_is_nowhere_is_refused_by_its_name(tmp_path):
    assert "no such file" in complaint(settings_file(tmp_path, "sources: [plant.yaml]"), environ={})


def test_files_that_extend_each_other_in_a_circle_are_refused(tmp_path):
    settings_file(tmp_path, "extends: mine.yaml", "other.yaml")
    assert "extends itself" in complaint(settings_file(tmp_path, "extends: other.yaml"), environ={})


def test_values_of_flags_are_yaml(tmp_path):
    settings = load_settings(overrides=["features.lookback_hours=[24, 48]", "model.time_to_failure_cap_days=null"], environ={})
    assert settings.features.lookback_hours == (24, 48)
    assert settings.model.time_to_failure_cap_days is None


def test_all_problems_are_told_at_once(tmp_path):
    path = settings_file(
        tmp_path, "storage: {rot: x}\nfeatures: {step_minutes: 0}\nsplit: {test_share: 2}\nsources: [bad.yaml]"
    )
    bad = settings_file(tmp_path, SOURCE.replace("sampling_minutes: 10", "sampling_minutes: 0"), "bad.yaml")
    told = complaint(path, overrides=[f"sources=[{bad}]"], environ={})
    for part in (
        "storage.rot: unknown key",
        "features.step_minutes",
        "split.test_share",
        f"{bad}: sampling_minutes",
        str(path),
    ):
        assert part in told


def test_an_unknown_key_of_the_environment_is_refused():
    assert "storage.rot: unknown key" in complaint(environ={"TURBINE_HEALTH__STORAGE__ROT": "x"})


def test_a_key_given_twice_is_refused(tmp_path):
    told = complaint(settings_file(tmp_path, "storage: {root: a}\nstorage: {root: b}"), environ={})
    assert "key 'storage' is given twice" in told


def test_a_missing_file_is_named(tmp_path):
    told = complaint(tmp_path / "none.yaml", environ={})
    assert str(tmp_path / "none.yaml") in told
    assert "no such file" in told


def test_a_file_that_is_no_yaml_is_named(tmp_path):
    assert "mine.yaml" in complaint(settings_file(tmp_path, "storage: [unclosed"), environ={})


def test_a_file_that_is_no_mapping_is_refused(tmp_path):
    assert "expected a mapping" in complaint(settings_file(tmp_path, "- a\n- b"), environ={})


def test_a_flag_without_a_value_says_how_it_is_written():
    assert "section.key=value" in complaint(overrides=["storage.root"], environ={})


def test_an_embargo_shorter_than_the_horizon_is_refused():
    told = complaint(overrides=["split.embargo_days=6", "labels.horizon_days=7"], environ={})
    assert "split.embargo_days (6) is shorter than labels.horizon_days (7)" in told


@pytest.mark.parametrize("per_day", ["[]", "[0]"])
def test_scores_for_no_inspections_a_day_are_refused(per_day):
    assert "evaluation.inspections_per_day" in complaint(overrides=[f"evaluation.inspections_per_day={per_day}"], environ={})


def test_a_feature_of_a_signal_that_no_source_has_is_refused(tmp_path):
    source = settings_file(tmp_path, SOURCE, "plant.yaml")
    told = complaint(overrides=[f"sources=[{source}]", "features.signals=[oil_temp_c]"], environ={})
    assert "oil_temp_c, which no source has (bearing_temp_c)" in told


def test_an_event_that_nobody_logs_is_refused():
    assert "features.event_counts.events.0" in complaint(overrides=["features.event_counts={events: [accidents]}"], environ={})


def test_a_regime_told_by_a_signal_without_a_mean_is_refused(tmp_path):
    source = settings_file(tmp_path, SOURCE, "plant.yaml")
    regime = "model.regime={signals: [active_power_kw], of: [bearing_temp_c]}"
    assert "model.regime names active_power_kw, of which features have no mean" in complaint(
        overrides=[f"sources=[{source}]", regime], environ={}
    )


def test_a_candidate_with_an_unknown_key_or_none_at_all_is_refused():
    told = complaint(overrides=["model.tuning={classifier: [{depth: 10}, {dept: 9}], regressor: [{trees: 0}]}"], environ={})
    assert "model.tuning.classifier.1.dept: unknown key" in told
    assert "model.tuning.regressor.0.trees" in told
    assert "model.tuning: no candidates" in complaint(overrides=["model.tuning={time_blocks: 3}"], environ={})


def test_a_candidate_is_the_forest_of_the_settings_but_for_its_keys():
    overrides = ["model.classifier={trees: 70, depth: 5}", "model.tuning.classifier=[{depth: 8}]"]
    model = load_settings(overrides=overrides, environ={}).model
    assert model.tuning is not None
    # 8 is the default depth, and still a change.
    assert model.classifier.with_changes(model.tuning.classifier[0]) == ForestSettings(trees=70, depth=8)
    assert model.tuning.model_dump() == {"classifier": [{"depth": 8}], "regressor": [], "time_blocks": 2}


def test_simulating_turbines_that_the_source_does_not_know_is_refused():
    simulated = Path(__file__).parents[2] / "conf" / "simulated.yaml"
    with pytest.raises(SettingsError, match=r"simulation\.turbines is 21, but source simulated knows only 20"):
        load_settings(simulated, ["simulation.turbines=21"])
    assert load_settings(simulated, ["simulation.turbines=20"]).simulation.turbines == 20


def test_features_are_built_from_every_signal_unless_some_are_named(tmp_path):
    source = settings_file(tmp_path, SOURCE, "plant.yaml")
    assert load_settings(overrides=[f"sources=[{source}]"], environ={}).feature_signals == ("bearing_temp_c",)


def test_a_source_can_replace_some_values_of_another(tmp_path):
    source = settings_file(tmp_path, SOURCE, "plant.yaml")
    path = settings_file(tmp_path, f"sources: [{{extends: {source}, files: {{path: elsewhere/*.csv}}}}]")
    (only,) = load_settings(path, environ={}).sources
    assert (only.name, only.files.path) == ("plant", "elsewhere/*.csv")


@pytest.mark.parametrize(
    ("key", "value"), [("step_minutes", "7"), ("every_hours", "0.25"), ("lookback_hours", "[0]"), ("lookback_hours", "[]")]
)
def test_a_grid_that_does_not_fit_its_cells_is_refused(key, value):
    assert "features" in complaint(overrides=[f"features.{key}={value}"], environ={})


@pytest.mark.parametrize("path", sorted(Path(__file__).resolve().parents[2].glob("conf/*.yaml")), ids=lambda path: path.stem)
def test_every_settings_file_that_comes_with_the_project_is_accepted(path):
    load_settings(path, environ={})


def test_windows_that_end_too_seldom_to_follow_each_other_are_refused():
    with pytest.raises(ValidationError, match=r"alerts\.max_gap_hours \(48\) is shorter than features\.every_hours \(72\)"):
        Settings.model_validate({"features": {"every_hours": 72, "step_minutes": 60}})
