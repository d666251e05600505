"""From events to lives."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from builders import events, utc
from pyspark.sql import functions as F

from turbine_health.sources import EventLog
from turbine_health.transforms.events import (
    failures_at_last_reading,
    failures_while_flagged,
    filter_out_of_log,
    to_judged_events,
)
from turbine_health.transforms.lives import to_lives, to_outages


def lives(spark, *entries, first="2024-01-01", end="2024-12-31"):
    """(start, end, failed, running, mode) of each life of T07, days as month-day."""
    spans = spark.createDataFrame(
        [("T07", utc(first), utc(end))], "asset_id STRING, first_reading TIMESTAMP, records_end TIMESTAMP"
    )
    found = spans.transform(to_lives, events(spark, *entries).transform(to_outages)).orderBy("life_number")
    columns = [F.date_format(name, "MM-dd") for name in ("life_start", "life_end")]
    rows = found.select(*columns, "ended_in_failure", "is_running", "failure_mode", "life_number").collect()
    assert [row["life_number"] for row in rows] == list(range(1, len(rows) + 1))
    return [tuple(row)[:5] for row in rows]


def failed(start, end=None, mode="gearbox", kind="failure"):
    return ("T07", kind, start, end, mode)


def test_a_turbine_without_events_has_one_running_life(spark):
    assert lives(spark) == [("01-01", "12-31", False, True, None)]


def test_a_failure_ends_a_life_and_its_repair_starts_the_next(spark):
    assert lives(spark, failed("2024-03-01", "2024-03-05")) == [
        ("01-01", "03-01", True, False, "gearbox"), ("03-05", "12-31", False, True, None),
    ]  # fmt: skip


def test_overlapping_failures_are_one_outage_of_the_first_component(spark):
    entries = [failed("2024-03-01", "2024-03-05"), failed("2024-03-02", "2024-03-06", "generator")]
    assert lives(spark, *entries) == [("01-01", "03-01", True, False, "gearbox"), ("03-06", "12-31", False, True, None)]


def test_a_last_failure_without_an_end_leaves_the_turbine_down(spark):
    assert lives(spark, failed("2024-03-01")) == [("01-01", "03-01", True, False, "gearbox")]


def test_an_unknown_end_before_another_failure_starts_the_next_life_at_once(spark):
    assert lives(spark, failed("2024-03-01"), failed("2024-05-01", "2024-05-02"))[:2] == [
        ("01-01", "03-01", True, False, "gearbox"), ("03-01", "05-01", True, False, "gearbox"),
    ]  # fmt: skip


def test_a_repair_entry_ends_the_open_failure_before_it(spark):
    assert lives(spark, failed("2024-03-01"), failed("2024-03-04", "2024-03-06", None, "repair")) == [
        ("01-01", "03-01", True, False, "gearbox"), ("03-06", "12-31", False, True, None),
    ]  # fmt: skip


def test_a_repair_without_a_failure_ends_a_life_as_censored(spark):
    assert lives(spark, failed("2024-03-01", "2024-03-02", "gearbox", "repair")) == [
        ("01-01", "03-01", False, False, None), ("03-02", "12-31", False, True, None),
    ]  # fmt: skip


def test_maintenance_and_stops_end_no_life(spark):
    entries = [failed("2024-03-01", "2024-03-02", None, "maintenance"), failed("2024-04-01", None, None, "stop")]
    assert lives(spark, *entries) == [("01-01", "12-31", False, True, None)]


def test_entries_out_of_order_give_the_same_lives(spark):
    entries = [failed("2024-03-01", "2024-03-05"), failed("2024-06-01", "2024-06-05")]
    assert lives(spark, *reversed(entries)) == lives(spark, *entries)


def test_a_failure_before_the_first_reading_only_moves_the_start(spark):
    assert lives(spark, failed("2023-12-01", "2024-02-01")) == [("02-01", "12-31", False, True, None)]


def test_the_step_after_the_last_reading_of_a_series_is_its_failure(spark):
    spans = spark.createDataFrame([("E1", utc("2000-01-05"), True), ("E2", utc("2000-01-05"), False)],
                                  "asset_id STRING, last_reading TIMESTAMP, ends_in_failure BOOLEAN")  # fmt: skip
    found = failures_at_last_reading(spans, "tests", timedelta(days=1)).collect()
    assert [(row["asset_id"], str(row["started_at"])) for row in found] == [("E1", "2000-01-06 00:00:00")]


def test_a_turbine_has_failed_while_its_readings_carry_the_flag(spark):
    days = [(1, False), (2, True), (3, True), (4, False), (5, True)]
    rows = [("T07", utc(f"2024-01-0{day}"), is_failed) for day, is_failed in days]
    flags = spark.createDataFrame(rows, "asset_id STRING, event_time TIMESTAMP, is_failed BOOLEAN")
    found = failures_while_flagged(flags, "tests").orderBy("started_at").collect()
    assert [(row["started_at"].day, row["ended_at"] and row["ended_at"].day) for row in found] == [(2, 4), (5, None)]


LOG = EventLog(path="x", type_column="type", started_column="from", ended_column="to")


READ_AT = datetime(2024, 6, 1, tzinfo=timezone.utc)


def judged_events(spark, *entries, known=True):
    rows = [(*entry, known, place, place, "{}") for place, entry in enumerate(entries)]
    names = ["asset_id", "type", "component", "from", "to", "is_known_asset", "_log_order", "_source_row", "value"]
    kinds = ["STRING"] * 5 + ["BOOLEAN", "BIGINT", "BIGINT", "STRING"]
    schema = ", ".join(f"`{name}` {kind}" for name, kind in zip(names, kinds, strict=True))
    latest = READ_AT + timedelta(hours=1)
    return spark.createDataFrame(rows, schema).transform(to_judged_events, LOG, "tests", latest).orderBy("_source_row")


def codes(spark, *entries, known=True):
    judged = judged_events(spark, *entries, known=known).collect()
    return [[reason.partition(":")[0] for reason in row["reasons"]] for row in judged]


def counted(spark, *entries):
    """(place in the log, day of the start, day of the end) of the entries that count."""
    rows = judged_events(spark, *entries).where("counts").collect()
    return [(row["_source_row"], row["started_at"].day, row["ended_at"] and row["ended_at"].day) for row in rows]


def test_a_good_entry_has_no_reasons(spark):
    assert codes(spark, ("T07", "Failure", "gearbox", "2024-01-01 10:00:00", "")) == [[]]


def test_a_bad_entry_keeps_all_its_reasons(spark):
    assert codes(spark, (None, "lunch", None, "soon", "never")) == [
        ["missing_asset", "unknown_type", "unreadable_time", "unreadable_time"]
    ]


def test_an_entry_that_ends_before_it_starts_does_not_count(spark):
    assert codes(spark, ("T07", "failure", None, "2024-01-02", "2024-01-01")) == [["end_before_start"]]


def test_of_a_repeated_entry_the_last_one_written_counts(spark):
    entry = ("T07", "failure", None, "2024-01-02", "2024-01-03")
    assert codes(spark, entry, entry) == [["superseded"], []]


def test_an_entry_of_a_turbine_without_readings_is_unknown(spark):
    assert codes(spark, ("T00", "failure", None, "2024-01-02", ""), known=False) == [["unknown_asset"]]


def test_a_good_entry_is_not_superseded_by_a_bad_one_further_down(spark):
    good, bad = ("T07", "failure", "gearbox", "2024-01-02", "2024-01-03"), ("T07", "failure", None, "2024-01-02", "2024-01-XX")
    assert codes(spark, good, bad) == [[], ["unreadable_time", "superseded"]]
    assert counted(spark, good, bad) == [(0, 2, 3)]


@pytest.mark.parametrize(
    ("end", "code"), [("soon", "unreadable_time"), ("2024-01-01", "end_before_start"), ("2204-01-03", "future_time")]
)
def test_a_failure_whose_end_alone_is_wrong_counts_as_open_and_is_reported(spark, end, code):
    entry = ("T07", "failure", "gearbox", "2024-01-02", end)
    assert codes(spark, entry) == [[code]]
    assert counted(spark, entry) == [(0, 2, None)]


def test_of_two_failures_with_wrong_ends_the_last_one_written_counts(spark):
    entries = [("T07", "failure", "gearbox", "2024-01-02", end) for end in ("soon", "later")]
    assert counted(spark, *entries) == [(1, 2, None)]


def test_a_stop_whose_end_is_wrong_does_not_count(spark):
    assert counted(spark, ("T07", "stop", None, "2024-01-02", "soon")) == []


def test_an_event_in_the_future_does_not_count_yet(spark):
    def entry(start):
        return ("T07", "failure", None, start, "")

    assert codes(spark, entry("2024-06-01 01:00:00"), entry("2024-06-01 01:00:01")) == [[], ["future_time"]]
    assert counted(spark, entry("2024-06-01 01:00:01")) == []


KNOWN = [failed("2023-10-01", "2023-10-05"), failed("2024-01-01", "2024-01-05"), failed("2024-02-01", "2024-02-05")]


def kept(spark, *starts):
    """Starts of the known events that stay beside a log with failures of T07 at `starts`."""
    log = judged_events(spark, *[("T07", "failure", None, start, "") for start in starts])
    rows = events(spark, *KNOWN).transform(filter_out_of_log, log).orderBy("started_at").collect()
    return [f"{row['started_at']:%Y-%m-%d}" for row in rows]


def test_events_from_before_a_rotated_log_begins_stay_known(spark):
    assert kept(spark, "2024-02-01") == ["2023-10-01", "2024-01-01"]


def test_an_entry_that_is_gone_from_the_middle_or_the_end_of_a_log_was_taken_back(spark):
    assert kept(spark, "2023-10-01", "2024-02-01") == []
    assert kept(spark, "2023-10-01") == []


def test_an_entry_that_was_moved_a_little_is_the_same_event(spark):
    assert kept(spark, "2024-01-02 23:00:00", "2024-02-01") == ["2023-10-01"]


def test_an_emptied_log_takes_nothing_back(spark):
    assert kept(spark) == ["2023-10-01", "2024-01-01", "2024-02-01"]
