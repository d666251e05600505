"""From text to turbine, time and numbers."""

from __future__ import annotations

from datetime import datetime

import pytest
from builders import source
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from raw_lines import judged, one_signal, reasons, values

from turbine_health.patterns import FORMAT_LETTERS
from turbine_health.sources import Files, Source
from turbine_health.transforms.quality import with_signals

POWER = source(signals=("active_power_kw",))


def in_zone(zone: str | None, **more: object) -> Source:
    return source(signals=("active_power_kw",), time={"timestamp": {"column": "event_time", "time_zone": zone, **more}})


def times(spark: SparkSession, described: Source, *texts: str) -> list[str | None]:
    rows = judged(spark, described, *[f"T07,{text},1" for text in texts]).orderBy("_source_row")
    return [row[0] for row in rows.selectExpr("date_format(event_time, 'yyyy-MM-dd HH:mm')").collect()]


def test_local_time_becomes_utc_in_winter_and_in_summer(spark):
    assert times(spark, in_zone("Europe/Paris"), "2014-01-01 01:00:00", "2014-07-01 02:00:00") == [
        "2014-01-01 00:00", "2014-07-01 00:00",
    ]  # fmt: skip


def test_the_repeated_hour_of_autumn_is_its_first_occurrence(spark):
    assert times(spark, in_zone("Europe/Paris"), "2014-10-26 02:30:00", "2014-10-26 03:00:00") == [
        "2014-10-26 00:30", "2014-10-26 02:00",
    ]  # fmt: skip


def test_the_missing_hour_of_spring_is_no_time(spark):
    assert times(spark, in_zone("Europe/Paris"), "2014-03-30 01:59:00", "2014-03-30 02:30:00", "2014-03-30 03:00:00") == [
        "2014-03-30 00:59", None, "2014-03-30 01:00",
    ]  # fmt: skip


def test_an_offset_in_the_text_beats_the_zone(spark):
    texts = ("2014-10-26T02:30:00+02:00", "2014-10-26T02:30:00+01:00", "2014-10-26T02:30:00Z")
    assert times(spark, in_zone("Europe/Paris"), *texts) == ["2014-10-26 00:30", "2014-10-26 01:30", "2014-10-26 02:30"]


def test_every_spelling_of_a_zone_in_the_text_beats_the_described_one(spark):
    spellings = [
        ("2024-06-01 12:00:00+02", "10:00"), ("2024-06-01 12:00:00 +02:00", "10:00"), ("2024-06-01 12:00:00-0330", "15:30"),
        ("2024-06-01T12:00:00.123-03:30", "15:30"), ("2024-06-01 12:00:00Z", "12:00"), ("2024-06-01 12:00:00 UTC", "12:00"),
        ("2024-06-01 12:00:00 GMT+2", "10:00"), ("2024-06-01 12:00:00UTC+01:00", "11:00"), ("2024-06-01 12:00:00 CET", "10:00"),
        ("2024-06-01 12:00:00 Europe/Paris", "10:00"), ("2024-06-01 12:00:00 America/New_York", "16:00"),
        ("2024-06-01 12:00:00.5 +2", "10:00"),
    ]  # fmt: skip
    found = times(spark, in_zone("America/Chicago"), *[text for text, _ in spellings])
    assert found == [f"2024-06-01 {moment}" for _, moment in spellings]


def test_a_time_or_date_without_a_zone_is_of_the_described_one(spark):
    texts = ["2024-06-01 12:00:00", "2024-06-01T12:00:00.123", "2024-06-01 12:00", "2024-06-01T12:00:00.", "2024-6-1 12:0:0"]
    assert times(spark, in_zone("Europe/Paris"), *texts) == ["2024-06-01 10:00"] * 5
    assert times(spark, in_zone("Europe/Paris"), "2024-06-01", "2024-06") == ["2024-05-31 22:00"] * 2


def test_an_offset_that_a_format_leaves_open_counts_where_it_is_written(spark):
    described = in_zone("Europe/Paris", format="yyyy-MM-dd HH:mm[XXX]")
    assert times(spark, described, "2024-06-01 12:00", "2024-06-01 12:00+05:00") == ["2024-06-01 10:00", "2024-06-01 07:00"]


def test_no_zone_means_utc(spark):
    assert times(spark, in_zone(None), "2014-07-01 02:00:00") == ["2014-07-01 02:00"]


def test_a_format_of_its_own_is_read_in_its_zone(spark):
    described = in_zone("Europe/Paris", format="dd.MM.yyyy HH:mm")
    assert times(spark, described, "01.07.2014 02:00", "2014-07-01 02:00:00") == ["2014-07-01 00:00", None]


def test_spark_takes_every_letter_that_a_time_format_may_have(spark):
    patterns = [letter * count for letter, counts in FORMAT_LETTERS.items() for count in counts]
    spark.range(1).select(*[F.try_to_timestamp(F.lit("x"), F.lit(pattern)) for pattern in patterns]).collect()


def test_a_time_of_day_alone_is_no_time(spark):
    assert times(spark, in_zone(None), "12:30", "2014", "", "n/a") == [None] * 4


def test_a_count_is_stamped_with_the_start_of_its_step(spark):
    counted = source(
        signals=("active_power_kw",),
        time={"counter": {"column": "event_time", "unit": "days", "base": datetime(2000, 1, 1), "first": 1}},
    )
    assert times(spark, counted, "1", "2", "31.0", "1.5", "1e300", "x") == [
        "2000-01-01 00:00", "2000-01-02 00:00", "2000-01-31 00:00", None, None, None,
    ]  # fmt: skip


def test_the_turbine_can_come_from_the_file_name_and_a_column(spark):
    described = source(
        signals=("active_power_kw",),
        asset_id={"column": "asset_id", "file_pattern": r"^(?P<site>\w+?)_", "template": "{site}-{column}"},
    )
    row = judged(spark, described, "7,2024-01-01,1", file="file:/landing/north%20_a.csv").head()
    assert row["asset_id"] is None
    assert judged(spark, described, "7,2024-01-01,1", file="file:/landing/north_a.csv").head()["asset_id"] == "north-7"


def test_a_line_ending_in_blanks_has_no_extra_fields(spark):
    blanks = source(
        signals=("active_power_kw",),
        files={"path": "x", "delimiter": "blanks", "header": False, "columns": ["asset_id", "event_time", "active_power_kw"]},
    )
    row = judged(spark, blanks, header=" T07  2024-01-01\t 5  ").head()
    assert (row["asset_id"], row["_reasons"]) == ("T07", "")


def test_a_quoted_field_may_hold_the_delimiter_and_doubled_quotes(spark):
    described = source(signals=("active_power_kw",), asset_id={"column": "name"})
    row = judged(spark, described, '"T""7, north","2024-01-01",5', header="name,event_time,active_power_kw").head()
    assert (row["asset_id"], row["_reasons"]) == ('T"7, north', "")


def test_the_groups_of_a_file_name_may_have_any_name(spark):
    described = source(
        signals=("active_power_kw",),
        asset_id={"file_pattern": r"^(?P<wind_park>\w+?)_(?P<unit_2>\d+)", "template": "{wind_park}-{unit_2}"},
    )
    header, file = "event_time,active_power_kw", "file:/landing/north_07.csv"
    row = judged(spark, described, "2024-01-01,1", header=header, file=file).head()
    assert (row["asset_id"], row["_reasons"]) == ("north-07", "")


@pytest.mark.parametrize("text", ['"' * 2_500, '",' * 32_000, ",x" * 20_000 + '""', '"' + '""' * 30_000 + '"'])
def test_a_line_of_very_many_quotes_is_set_aside_and_stops_nothing(spark, text):
    found = reasons(spark, POWER, f"T07,2024-01-01,1,{text}", "T07,2024-01-02,5")
    assert [[reason.partition(":")[0] for reason in line] for line in found] == [["field_count"], []]


def test_a_delimiter_counts_when_the_quotes_after_it_are_closed(spark):
    described = source(signals=("active_power_kw",), asset_id={"column": "name"})
    header = "name,event_time,active_power_kw"
    lines = ['"a,b" x,2024-01-01,5', '"a,b","2024-01-01","5"', 'a"",2024-01-01,5', 'a"b,c",2024-01-01,5']
    names = [row["asset_id"] for row in judged(spark, described, *lines, header=header).orderBy("_source_row").collect()]
    assert names == ['"a,b" x', "a,b", 'a""', 'a"b,c"']


@pytest.mark.parametrize("delimiter", [";", "|", "\t"])
def test_any_character_can_delimit(spark, delimiter):
    described = source(signals=("active_power_kw",), files={"path": "x", "delimiter": delimiter})
    header = delimiter.join(["asset_id", "event_time", "active_power_kw"])
    assert reasons(spark, described, delimiter.join(["T07", "2024-01-01", "5"]), header=header) == [[]]


def test_a_header_repeated_further_down_is_no_row(spark):
    header = "asset_id,event_time,active_power_kw"
    assert judged(spark, POWER, "T07,2024-01-01,5", header, "T07,2024-01-02,5").count() == 2


def test_json_lines_are_read_by_key(spark):
    described = source(signals=("active_power_kw",), files={"path": "x", "format": "json"})
    line = '{"event_time": "2024-01-01T00:00:00Z", "active_power_kw": 5.5, "asset_id": "T07", "more": [1]}'
    assert reasons(spark, described, line, "{broken", header="{}")[-2:][0] == []
    assert reasons(spark, described, line, "{broken", header="{}")[-1][0].startswith("unreadable_row")


def test_a_raw_number_is_converted_to_the_canonical_unit(spark):
    assert values(spark, one_signal(scale=0.5, offset=-10), "50", " 50.5 ") == [(15.0, ""), (15.25, "")]


def test_a_decimal_comma_is_a_point(spark):
    semicolon = one_signal(decimal_comma=True).model_copy(update={"files": Files(path="x", delimiter=";")})
    row = judged(spark, semicolon, "T07;2024-01-01;-1,5", header="asset_id;event_time;bearing_temp_c")
    assert row.transform(with_signals, semicolon).head()["bearing_temp_c"] == -1.5
