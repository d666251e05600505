"""What costs a row its place in silver, and what costs a value."""

from __future__ import annotations

import pytest
from builders import source
from raw_lines import FILE, judged, one_signal, reasons, values

POWER = source(signals=("active_power_kw",))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("T07,n/a,5", "unreadable_time: 'n/a' is not a time in UTC"),
        ("T07,1969-12-31 23:00:00,5", "unreadable_time: '1969-12-31 23:00:00' is not a time in UTC"),
        ("T07,2099-01-01 00:00:00,5", "future_time: 2099-01-01 00:00:00 is later than the receipt"),
        (",2024-01-01,5", "missing_asset: the row names no turbine"),
        ("T07,2024-01-01,5,6", "field_count: 4 fields where 3 are expected"),
        ("T07,2024-01-01", "field_count: 2 fields where 3 are expected"),
        ("T07,2024-01-01,5\0", "broken_encoding: the line is not UTF-8 text"),
    ],
)
def test_a_bad_key_time_or_shape_costs_the_row(spark, line, reason):
    assert reasons(spark, POWER, line) == [[reason]]


def test_a_row_keeps_all_its_reasons(spark):
    codes = [reason.partition(":")[0] for reason in reasons(spark, POWER, ",n/a,5,6")[0]]
    assert codes == ["field_count", "missing_asset", "unreadable_time"]


def test_an_empty_line_is_a_row_of_too_few_fields(spark):
    assert reasons(spark, POWER, "")[0][0] == "field_count: 1 fields where 3 are expected"


def test_a_line_of_ten_megabytes_is_no_row(spark):
    codes = [reason.partition(" ")[0] for reason in reasons(spark, POWER, "T07,2024-01-01," + "9" * 10_000_000)[0]]
    assert codes[0] == "unreadable_row:"


def test_bytes_that_are_not_utf_8_cost_the_row(spark):
    rows = judged(spark, POWER, "T07,2024-01-01,5").selectExpr("cast(unhex('54FFB0') as string) AS value")
    assert not rows.selectExpr("is_valid_utf8(value)").head()[0]


def test_a_turbine_of_another_plant_is_unknown(spark):
    known = source(signals=("active_power_kw",), asset_id={"column": "asset_id", "known": ["T07"]})
    assert reasons(spark, known, "T07,2024-01-01,5", "T00,2024-01-01,5") == [
        [], ["unknown_asset: turbine 'T00' is not one of this plant's"],
    ]  # fmt: skip


def test_a_drifted_header_is_the_only_reason_of_every_row(spark):
    found = reasons(spark, POWER, "T07,n/a,5", header="asset_id,event_time,Power", file=FILE)
    assert [len(each) for each in found] == [1]
    assert found[0][0].startswith("schema_drift: column active_power_kw of source tests is not in the header")


@pytest.mark.parametrize(
    ("text", "value", "flag"),
    [
        ("61.5", 61.5, ""),
        ("-1e2", -100.0, ""),
        ("", None, ""),
        ("  ", None, ""),
        ("ERR", None, "bearing_temp_c:unreadable_number"),
        ("1.2.3", None, "bearing_temp_c:unreadable_number"),
        ("NaN", None, "bearing_temp_c:unreadable_number"),
        ("Infinity", None, "bearing_temp_c:unreadable_number"),
        ("1e400", None, "bearing_temp_c:unreadable_number"),
        ("12d", None, "bearing_temp_c:unreadable_number"),
        ("-999", None, "bearing_temp_c:missing_code"),
        ("-999.0", None, "bearing_temp_c:missing_code"),
        ("200", 200.0, ""),
        ("200.1", None, "bearing_temp_c:out_of_range"),
        ("-101", None, "bearing_temp_c:out_of_range"),
    ],
)
def test_a_bad_value_costs_the_value_and_leaves_a_flag(spark, text, value, flag):
    described = one_signal(valid_range=(-100, 200), missing_values=(-999,))
    assert values(spark, described, text) == [(value, flag)]


def test_the_valid_range_is_in_the_canonical_unit(spark):
    described = one_signal(scale=0.01, valid_range=(0, 350))
    assert values(spark, described, "20000", "40000") == [(200.0, ""), (None, "bearing_temp_c:out_of_range")]
