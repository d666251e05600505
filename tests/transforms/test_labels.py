"""What happened after a window, in rows that can be checked in the head."""

from __future__ import annotations

import pytest
from builders import lives, utc, windows

from turbine_health.settings import LabelSettings
from turbine_health.transforms.labels import changed_lives, to_life_rows, to_training_examples
from turbine_health.transforms.spans import ENDLESS

LABELS = LabelSettings(horizon_days=7, recovering_hours=24)


@pytest.fixture(scope="module")
def labelled(spark):
    """T07 fails on 20 January and runs again from 22 January to the end of its records on 10 February."""
    features = windows(spark, "T07", "2024-01-01", every_hours=12, coverage=[1.0] * 90)
    runs = lives(spark, ("T07", "2024-01-01", "2024-01-20", "gearbox"), ("T07", "2024-01-22", "2024-02-10"))
    rows = features.transform(to_training_examples, runs, LABELS).collect()
    return {row["window_end"].strftime("%m-%d %H"): row for row in rows}


def test_every_window_is_labelled_once(labelled):
    assert len(labelled) == 90


def test_a_failure_exactly_one_horizon_ahead_counts_and_one_a_moment_later_does_not(labelled):
    assert labelled["01-13 00"]["failure_within_7d"] == 1
    assert labelled["01-12 12"]["failure_within_7d"] == 0


def test_days_left_run_from_the_window_end_to_the_failure(labelled):
    assert labelled["01-18 12"]["time_to_failure_days"] == 1.5
    assert labelled["01-18 12"]["failure_mode"] == "gearbox"
    assert labelled["01-18 12"]["is_censored"] is False


def test_a_window_that_ends_as_the_turbine_fails_is_down(labelled):
    row = labelled["01-20 00"]
    assert row["label_status"] == "down"
    assert (row["failure_within_7d"], row["time_to_failure_days"], row["is_censored"], row["life_number"]) == (None,) * 4


def test_a_window_soon_after_a_repair_is_recovering_and_carries_no_label(labelled):
    assert labelled["01-22 00"]["label_status"] == "recovering"
    assert labelled["01-22 12"]["failure_within_7d"] is None
    assert labelled["01-22 12"]["life_number"] == 2
    assert labelled["01-23 00"]["label_status"] == "observed"


def test_the_first_life_does_not_begin_with_recovering(labelled):
    assert labelled["01-01 00"]["label_status"] == "observed"


def test_the_label_is_null_where_the_records_end_within_the_horizon(labelled):
    assert labelled["02-03 00"]["failure_within_7d"] == 0
    row = labelled["02-03 12"]
    assert (row["label_status"], row["failure_within_7d"]) == ("horizon_incomplete", None)


def test_the_days_left_of_a_life_that_still_runs_are_not_known(labelled):
    row = labelled["01-30 00"]
    assert (row["is_censored"], row["time_to_failure_days"], row["failure_mode"]) == (True, None, None)


def test_a_running_life_goes_on_after_the_end_of_the_records(labelled):
    assert labelled["02-14 00"]["label_status"] == "horizon_incomplete"
    assert labelled["02-14 00"]["life_number"] == 2


def test_a_window_without_a_reading_carries_no_label(spark):
    features = windows(spark, "T07", "2024-01-05", coverage=[0.0])
    row = features.transform(to_training_examples, lives(spark, ("T07", "2024-01-01", "2024-03-01")), LABELS).head()
    assert (row["label_status"], row["failure_within_7d"]) == ("no_data", None)


def test_after_the_cycle_c_of_an_engine_that_runs_to_failure_last_minus_c_days_are_left(spark):
    cycles = 5
    features = windows(spark, "E1", "2024-01-02", coverage=[1.0] * cycles)
    failed = lives(spark, ("E1", "2024-01-01", "2024-01-06", "unknown"))
    rows = features.transform(to_training_examples, failed, LABELS).orderBy("window_end").collect()
    assert [row["time_to_failure_days"] for row in rows] == [4, 3, 2, 1, None]
    assert rows[-1]["label_status"] == "down"


def changed(spark, before, after, unrecorded=()):
    was, now = (lives(spark, *rows).transform(to_life_rows).toPandas() for rows in (before, after))
    return set(changed_lives(was, now, LABELS, unrecorded).itertuples(index=False, name=None))


def micros(day):
    return int(utc(day).timestamp()) * 1_000_000


WENT_ON = [("T07", "2024-01-01", "2024-02-01")], [("T07", "2024-01-01", "2024-02-02")]


def test_a_life_that_went_on_changes_the_labels_one_horizon_before_its_end(spark):
    expected = {("T07", micros("2024-01-25"), micros("2024-01-26"), False)}
    assert changed(spark, *WENT_ON) == expected
    # Also where the records end earlier than before.
    assert changed(spark, *reversed(WENT_ON)) == expected


def test_of_a_turbine_whose_failures_nobody_writes_down_a_life_that_went_on_changes_nothing(spark):
    assert changed(spark, *WENT_ON, unrecorded=["T07"]) == set()


def test_a_failure_changes_the_labels_of_its_whole_life(spark):
    before = [("T07", "2024-01-01", "2024-02-01")]
    after = [("T07", "2024-01-01", "2024-02-01", "gearbox"), ("T07", "2024-02-03", "2024-02-04")]
    assert changed(spark, before, after, unrecorded=["T07"]) == {
        ("T07", micros("2024-01-01"), ENDLESS, False),
        ("T07", micros("2024-02-03"), ENDLESS, True),
    }


def test_a_failure_reaches_all_its_windows_also_beside_a_life_that_went_on(spark):
    before = [("T07", "2024-01-01", "2024-02-01"), ("T08", "2024-01-01", "2024-02-01")]
    after = [("T07", "2024-01-01", "2024-02-01", "gearbox"), ("T08", "2024-01-01", "2024-02-02")]
    assert changed(spark, before, after) == {
        ("T07", micros("2024-01-01"), ENDLESS, False),
        ("T08", micros("2024-01-25"), micros("2024-01-26"), False),
    }


def test_the_first_failure_of_a_turbine_tells_that_failures_are_written_down_and_reaches_all_its_lives(spark):
    first, second = ("T07", "2024-01-01", "2024-01-10", "pitch"), ("T07", "2024-01-12", "2024-02-01")
    was, now = (lives(spark, first, life).transform(to_life_rows).toPandas() for life in (second, (*second, "gearbox")))
    for rows in (was, now):
        # It ended in a repair that no failure called for.
        rows.loc[rows["life_number"] == 1, "ended_in_failure"] = False
    found = set(changed_lives(was, now, LABELS).itertuples(index=False, name=None))
    assert ("T07", micros("2024-01-01"), ENDLESS, False) in found


def test_lives_that_stayed_as_they_were_change_nothing(spark):
    same = [("T07", "2024-01-01", "2024-02-01"), ("T08", "2024-01-01", "2024-02-01", "pitch")]
    assert changed(spark, same, same) == set()


def test_a_turbine_whose_failures_nobody_writes_down_has_no_label(spark):
    features = windows(spark, "T07", "2024-01-10", coverage=[1.0]).unionByName(
        windows(spark, "T08", "2024-01-10", coverage=[1.0])
    )
    runs = lives(spark, ("T07", "2024-01-01", "2024-03-01"), ("T08", "2024-01-01", "2024-03-01"))
    rows = features.transform(to_training_examples, runs, LABELS, ["T07"]).orderBy("asset_id").collect()
    labels = [(row["label_status"], row["failure_within_7d"], row["is_censored"]) for row in rows]
    assert labels == [("no_record", None, None), ("observed", 0, True)]
