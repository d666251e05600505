"""What a source description is refused for, before Spark starts, and what the refusal says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from builders import source

from turbine_health import tables
from turbine_health.errors import SettingsError
from turbine_health.patterns import time_format_problem, with_plain_groups
from turbine_health.settings import load_settings
from turbine_health.sources import OUR_COLUMNS, SIGNAL_NAME

PLAIN = source(signals=("active_power_kw",)).model_dump(mode="json", exclude_none=True)


def complaint(tmp_path: Path, *sources: object) -> str:
    """What is said of settings with these sources."""
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"sources": list(sources)}), encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load_settings(path, environ={})
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"files": {"path": "x", "delimiter": ";;"}}, "';;' is not one character, nor the word `blanks`"),
        ({"files": {"path": "x", "delimiter": ""}}, "'' is not one character, nor the word `blanks`"),
        ({"files": {"path": "x", "quote": "''"}}, "files.quote: String should have at most 1 character"),
        ({"asset_id": {"file_pattern": "(?P<unit>", "template": "{unit}"}}, "'(?P<unit>' is not a regular expression"),
        ({"asset_id": {"file_pattern": r"(?P<unit>\d)(?P=unit)", "template": "{unit}"}}, "refers back to a group by name"),
        (
            {"asset_id": {"file_pattern": r"(?P<unit>\d+)", "template": "{park}-{unit}"}},
            "template '{park}-{unit}' names {park}; there is {unit}",
        ),
        ({"asset_id": {"file_pattern": r"(?P<unit>\d+)"}}, "template '{column}' names {column}; there is {unit}"),
        ({"asset_id": {"column": "a", "template": "T07"}}, "template 'T07' names nothing; there is {column}"),
        ({"asset_id": {"column": "a", "file_pattern": r"(?P<unit>\d+)"}}, "'{column}' uses no group of file_pattern"),
        ({"asset_id": {"column": "a", "file_pattern": r"\d+"}}, "'{column}' uses no group of file_pattern"),
        ({"time": {"timestamp": {"column": "t", "format": "%d.%m.%Y"}}}, "'%d.%m.%Y' has Y, which Spark reads no time with"),
        ({"time": {"timestamp": {"column": "t", "format": "dd.mm.yyyy"}}}, "'dd.mm.yyyy' does not name year (y), month (M)"),
        ({"time": {"timestamp": {"column": "t", "format": "ddd.MM.yyyy"}}}, "repeats a letter as Spark cannot read it: ddd"),
        ({"time": {"timestamp": {"column": "t", "format": "yyyy-MM-dd'T"}}}, "opens a quote ' and does not close it"),
        ({"time": {"timestamp": {"column": "t", "format": "yyyy-MM-dd hh:mm"}}}, "counts hours to twelve (h)"),
        ({"time": {"timestamp": {"column": "t", "time_zone": "Paris"}}}, "time_zone: 'Paris' is not an IANA time zone"),
        (
            {"time": {"timestamp": {"column": "t", "file_time_zones": {"*": "Paris"}}}},
            "file_time_zones.*: 'Paris' is not an IANA time zone",
        ),
        ({"failures": {"kind": "event_log", "path": "x", "delimiter": "blanks"}}, "'blanks' is not one character"),
        ({"failures": {"kind": "event_log", "path": "x", "time_format": "never"}}, "which Spark reads no time with"),
        ({"failures": {"kind": "event_log", "path": "x", "time_zone": "Mars"}}, "'Mars' is not an IANA time zone"),
    ],
)
def test_a_description_that_cannot_work_is_refused(tmp_path, changes, sentence):
    assert sentence in complaint(tmp_path, {**PLAIN, **changes})


@pytest.mark.parametrize("name", ["asset_id", "event_time", "quality_flags", "is_new"])
def test_a_signal_named_like_a_column_of_ours_is_refused(tmp_path, name):
    signal = {"name": name, "column": "c", "unit": "-"}
    assert f"'{name}' is a column of our own" in complaint(tmp_path, {**PLAIN, "signals": [signal]})


def test_a_signal_whose_name_starts_with_an_underscore_is_refused(tmp_path):
    signal = {"name": "_run_id", "column": "c", "unit": "-"}
    assert "signals.0.name: String should match pattern" in complaint(tmp_path, {**PLAIN, "signals": [signal]})


def test_every_column_beside_signals_is_kept_from_them():
    beside = [*tables.sensor_readings([]).schema.names, *tables.training_examples([]).schema.names]
    assert {name for name in beside if re.match(SIGNAL_NAME, name)} <= OUR_COLUMNS


def test_all_that_is_wrong_with_two_descriptions_is_told_at_once(tmp_path):
    signal = {"name": "oil_temp_c", "column": "c", "unit": "deg C"}
    first = {**PLAIN, "files": {"path": "x", "delimiter": "", "quote": "::"}, "asset_id": {"column": "a", "template": "x"}}
    second = {**PLAIN, "signals": [signal, signal], "power_signal": "power_kw"}
    told = complaint(tmp_path, first, second)
    for part in ("files.delimiter", "files.quote", "template 'x'", "signals named twice: oil_temp_c", "'power_kw' is not one"):
        assert part in told


def test_two_sources_with_one_name_are_refused(tmp_path):
    assert "two sources are named tests" in complaint(tmp_path, PLAIN, PLAIN)


@pytest.mark.parametrize(
    ("sources", "sentence"), [("[5]", "5 is neither a file nor"), ("5", "a list"), ("plant.yaml", "a list")]
)
def test_sources_that_are_none_are_refused(sources, sentence):
    with pytest.raises(SettingsError, match=f"sources: .*{sentence}"):
        load_settings(overrides=[f"sources={sources}"], environ={})


@pytest.mark.parametrize(
    "pattern", ["yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "d/M/yy h:mm a", "yyyyDDD HHmm", "dd MMM yyyy HH:mm VV", "yyyy-MM-dd[ HH:mm]"]
)
def test_a_time_format_that_spark_reads_is_taken(pattern):
    assert time_format_problem(pattern) is None


def test_named_groups_become_plain_ones_of_the_same_number():
    assert with_plain_groups(r"^(?P<wind_park>[a-z]+)_(x)(?P<unit>\d)") == r"^([a-z]+)_(x)(\d)"
    assert with_plain_groups(r"\(?P<unit>") == r"\(?P<unit>"
