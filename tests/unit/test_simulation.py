"""The simulated fleet: repeatable, physical, and hard in the ways it claims to be."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from turbine_health.settings import SimulationSettings
from turbine_health.simulation.fleet import Fleet
from turbine_health.simulation.history import GROWING_MODES, History, turbine_history
from turbine_health.simulation.machine import SIGNALS, Readings, power_curve, steps_between, turbine_readings
from turbine_health.simulation.weather import Site, site_weather

# Where each failure mode shows first, and what it leaves alone.
SIGNATURES = {
    "gearbox_bearing": ({"gearbox_bearing_temp_c", "vibration_mm_s"}, {"generator_temp_c", "hydraulic_pressure_bar"}),
    "gearbox_oil": ({"gearbox_oil_temp_c"}, {"vibration_mm_s", "hydraulic_pressure_bar"}),
    "generator": ({"generator_temp_c"}, {"gearbox_oil_temp_c", "vibration_mm_s"}),
    "hydraulics": ({"hydraulic_pressure_bar"}, {"gearbox_oil_temp_c", "vibration_mm_s"}),
    "pitch": ({"pitch_angle_deg", "active_power_kw"}, {"hydraulic_pressure_bar"}),
}


def settings(**changes: Any) -> SimulationSettings:
    return SimulationSettings.model_validate({"turbines": 2, "days": 60, **changes})


def files(**changes: Any) -> dict[str, bytes]:
    return dict(Fleet(settings(**changes)).files())


def turbine(number: int = 1, **changes: Any) -> tuple[Site, History, Readings]:
    chosen = settings(turbines=20, **changes)
    site, history = site_weather(chosen), turbine_history(chosen, number)
    return site, history, turbine_readings(chosen, site, history, number)


@pytest.fixture(scope="module")
def healthy_year() -> Readings:
    """A turbine that never fails, nor looks as if it would."""
    return turbine(10, days=365, look_alikes=0)[2]


def test_the_same_settings_give_the_same_bytes():
    assert files() == files()


def test_another_seed_gives_other_readings():
    assert files(seed=7)["readings/T01_2023-01.csv"] != files(seed=8)["readings/T01_2023-01.csv"]


def test_more_turbines_leave_the_others_as_they_are():
    two, three = files(turbines=2), files(turbines=3)
    of_the_first = [name for name in two if name.startswith(("readings/T01", "readings/T02"))]
    assert of_the_first
    assert all(two[name] == three[name] for name in of_the_first)


def test_every_tenth_turbine_never_fails():
    fleet = settings(turbines=20, days=730)
    assert [number for number in range(1, 21) if not turbine_history(fleet, number).failures] == [10, 20]


def test_a_year_of_the_default_fleet_has_failures_enough_of_every_mode():
    fleet = SimulationSettings()
    modes = [failure.mode for number in range(1, 21) for failure in turbine_history(fleet, number).failures]
    assert 50 <= len(modes) <= 80
    assert min(modes.count(mode) for mode in (*GROWING_MODES, "electrical")) >= 5


def test_some_failures_come_without_warning():
    fleet = SimulationSettings(turbines=100)
    failures = [failure for number in range(1, 101) for failure in turbine_history(fleet, number).failures]
    sudden = sum(failure.degrading_since is None for failure in failures) / len(failures)
    assert 0.1 < sudden < 0.25


def test_repairs_take_one_to_seven_days_and_lives_do_not_overlap():
    for number in range(1, 20):
        failures = turbine_history(settings(turbines=20, days=730), number).failures
        assert all(1 <= failure.repaired - failure.failed <= 7.001 for failure in failures)
        assert all(this.repaired < following.failed for this, following in pairwise(failures))


def test_a_rate_of_zero_switches_failures_off():
    rates = dict.fromkeys((*GROWING_MODES, "electrical"), 0)
    assert not turbine_history(settings(days=730, failures_per_turbine_year=rates), 1).failures


def test_power_rises_with_wind_between_cut_in_and_rated_and_is_zero_outside():
    wind = np.array([0, 3.4, 3.6, 6, 9, 12.5, 24.9, 25.1])
    power = power_curve(wind)
    assert power[[0, 1, 7]].tolist() == [0, 0, 0]
    assert (np.diff(power[1:6]) > 0).all()
    assert power[5] == power[6] == 1


def test_temperatures_follow_the_load(healthy_year: Readings):
    is_turning = healthy_year.active_power_kw > 0
    load = healthy_year.active_power_kw[is_turning]
    for signal in ("gearbox_bearing_temp_c", "generator_temp_c"):
        assert np.corrcoef(load, getattr(healthy_year, signal)[is_turning])[0, 1] > 0.7


def test_a_standing_turbine_feathers_and_draws_power(healthy_year: Readings):
    stands = healthy_year.active_power_kw <= 0
    assert 0.05 < stands.mean() < 0.5
    assert healthy_year.pitch_angle_deg[stands].min() > 80
    assert healthy_year.rotor_speed_rpm[stands].max() < 3


def test_a_turning_rotor_makes_power_and_a_standing_one_never_does(healthy_year: Readings):
    turns = healthy_year.rotor_speed_rpm > 5
    assert healthy_year.active_power_kw[turns].min() > 1
    assert healthy_year.active_power_kw[~turns].max() < 0


def test_summer_is_warmer_than_winter(healthy_year: Readings):
    day = 24 * 6
    assert healthy_year.ambient_temp_c[170 * day : 230 * day].mean() > healthy_year.ambient_temp_c[: 50 * day].mean() + 8


def test_turbines_of_one_site_meet_the_same_wind():
    wind = [turbine(number)[2].wind_speed_m_s for number in (10, 20)]
    assert 0.9 < np.corrcoef(*wind)[0, 1] < 0.999


@pytest.mark.parametrize("mode", GROWING_MODES)
def test_a_growing_fault_shows_in_its_own_signals(mode: str):
    plan = {"planted": [{"asset_id": "T10", "failure_mode": mode, "fails_on": "2023-02-20", "run_up_days": 15}]}
    site, _, sick = turbine(10, look_alikes=0, **plan)
    _, _, well = turbine(10, look_alikes=0, signature_strength=0, **plan)
    last_days = steps_between(site, 47, 50.5)
    shows, leaves_alone = SIGNATURES[mode]
    changed = {
        signal: np.abs(getattr(sick, signal) - getattr(well, signal))[last_days].mean() / getattr(well, signal)[last_days].std()
        for signal in SIGNALS
    }
    assert all(changed[signal] > 0.04 for signal in shows), changed
    clearest = max(changed[signal] for signal in shows)
    assert all(changed[signal] < 0.1 * clearest for signal in leaves_alone), changed


def test_a_growing_fault_is_not_there_before_its_run_up():
    plan = {"planted": [{"asset_id": "T10", "failure_mode": "generator", "fails_on": "2023-02-20", "run_up_days": 15}]}
    site, _, sick = turbine(10, look_alikes=0, **plan)
    _, _, well = turbine(10, look_alikes=0, signature_strength=0, **plan)
    before = steps_between(site, 0, 35.5)
    assert np.array_equal(sick.generator_temp_c[before], well.generator_temp_c[before])


def test_no_power_is_made_during_a_repair():
    site, history, readings = turbine(1, days=365)
    assert {failure.logs_while_down for failure in history.failures} == {True, False}, "pick a turbine that has both"
    for failure in history.failures:
        power = readings.active_power_kw[steps_between(site, failure.failed, failure.repaired)]
        assert (power <= 0).all() if failure.logs_while_down else np.isnan(power).all()


def test_a_planted_fault_fails_on_its_day_and_chance_stays_out_of_its_way():
    chance = turbine_history(settings(days=365), 1).failures[1]
    day = int(chance.failed) + 1
    plan = {"asset_id": "T01", "failure_mode": "pitch", "fails_on": date(2023, 1, 1) + timedelta(days=day), "run_up_days": 10}
    planted = turbine_history(settings(days=365, planted=[plan]), 1)
    around = [failure for failure in planted.failures if failure.repaired > day - 10 and failure.failed < day + 4]
    assert [(failure.mode, failure.failed) for failure in around] == [("pitch", day + 0.5)]
    assert [fault.mode for fault in planted.faults if fault.end > day - 9 and fault.start < day] == ["pitch"]


def test_a_shifted_sensor_is_off_from_its_day_on_and_no_other_sensor_is():
    fault = {"asset_id": "T10", "signal": "gearbox_oil_temp_c", "kind": "shifted", "from_day": "2023-02-01", "shift": 12}
    site, _, told = turbine(10, sensor_faults=[fault])
    _, _, true = turbine(10)
    difference = told.gearbox_oil_temp_c - true.gearbox_oil_temp_c
    assert np.allclose(difference[steps_between(site, 0, 31)], 0)
    assert np.allclose(difference[steps_between(site, 31, 60)], 12)
    assert np.array_equal(told.generator_temp_c, true.generator_temp_c)


def test_a_frozen_sensor_repeats_itself_until_its_last_day():
    span = {"from_day": "2023-02-01", "until_day": "2023-02-08"}
    site, _, told = turbine(10, sensor_faults=[{"asset_id": "T10", "signal": "vibration_mm_s", "kind": "frozen", **span}])
    assert np.unique(told.vibration_mm_s[steps_between(site, 31, 38)]).size == 1
    assert np.unique(told.vibration_mm_s[steps_between(site, 38, 39)]).size > 1


@pytest.mark.parametrize("asset_id", ["T03", "T1", "A01", "T00"])
def test_planting_in_a_turbine_that_is_not_there_is_refused(asset_id: str):
    with pytest.raises(ValidationError, match=f"no such turbine: {asset_id}"):
        settings(planted=[{"asset_id": asset_id, "failure_mode": "pitch", "fails_on": date(2023, 2, 1)}])
