"""Lines that are told to be plain: the rules of `quality` say the very same of them, and the usual ones are among them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest
from builders import INGESTED_AT, source
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from raw_lines import FILE, judged

from turbine_health.sources import Source
from turbine_health.tables import bronze
from turbine_health.transforms.layouts import layout_of
from turbine_health.transforms.plain_forms import plain_rules
from turbine_health.transforms.plain_lines import telling_plain
from turbine_health.transforms.quality import to_verdicts
from turbine_health.transforms.reading_packs import unpacked

SIGNALS = ("active_power_kw", "oil_pressure_bar")
USUAL = "T07,2024-01-01 00:10:00,5,12.5"
TURBINES = ("T07", " T07", "T08", "", "WEA 7", "Türbine", '"T07"', "T00")
TIMES = (
    "2024-01-01 00:10:00", "2024-01-01T00:10:00", "2024-02-29 12:00:00", "2023-02-29 12:00:00", "2100-02-29 12:00:00",
    "2024-04-31 00:00:00", "2024-01-01 24:00:00", "2024-01-01 00:10", "2024-01-01", "1969-12-31 23:59:59",
    "1970-01-01 00:00:00", "1970-01-01T00:30:00+01:00", "2024-01-01T00:10:00+01:00", "2024-01-01T00:10:00Z",
    "2024-01-01 00:10:00Z",
    "2024-01-01 00:10:00+02:00", "2024-01-01 00:10:00.5", "2024-03-31 02:30:00", "2024-10-27 02:30:00",
    "2099-01-01 00:00:00", "n/a", "",
    "2024-13-01 00:00:00", " 2024-01-01 00:10:00",
)  # fmt: skip
NUMBERS = (
    "5", "-5", "+5", "5.", ".5", "05", "-0", "0.1", "123456789.123456789", "1e3", "1.5d", "NaN", "Infinity", "", " ", " 5",
    "-999", "-999.0", "99999", "5,5", "1.2.3", "ERR", "9" * 40, "9" * 25 + ".5", "5\0", "1_000", "٥", "350", "350.0001",
    "0.30000000000000004",
)  # fmt: skip


def described(**changes: Any) -> Source:
    scaled = {"scale": 0.01, "offset": 0.1, "valid_range": [0, 350], "missing_values": [-999]}
    power = {"valid_range": [-100, 2500], "missing_values": [-999, 99999]}
    signals = [{"name": name, "column": name, "unit": "-", **rest} for name, rest in zip(SIGNALS, (power, scaled), strict=True)]
    return source(**{"signals": SIGNALS, **changes}).model_validate({
        **source(**{"signals": SIGNALS, **changes}).model_dump(exclude={"signals"}), "signals": signals,
    })  # fmt: skip


def told(given: Source, lines: Sequence[str], header: str, file: str = FILE) -> tuple[list[dict[str, Any]], list[str]]:
    """Readings of plain lines, with their row, and the other lines."""
    rows = [header, *lines]
    table = bronze(given.name)
    batch = pa.RecordBatch.from_pylist(
        [
            {"value": line, "_source": given.name, "_source_file": file, "_source_row": row, "_ingested_at": INGESTED_AT}
            for row, line in enumerate(rows)
        ],
        schema=to_arrow_schema(table.schema, timezone="UTC"),
    )
    rules = plain_rules(given, [layout_of(given, file, 0, header)], INGESTED_AT, 60)
    assert rules is not None
    made = list(telling_plain(rules)(iter([batch])))
    packs = [pack for each in made for pack in each["pack"] if pack.is_valid]
    columns = [
        pa.field("asset_id", pa.string()), pa.field("event_time", pa.timestamp("us", "UTC")),
        *(pa.field(name, pa.float64()) for name in SIGNALS), pa.field("_source_row", pa.int64()),
    ]  # fmt: skip
    plain = unpacked(packs, pa.schema(columns)).to_pylist() if packs else []
    others = [line for each in made for line in each["value"].to_pylist() if line is not None]
    return plain, others


def agree(spark, given: Source, lines: Sequence[str], header: str, file: str = FILE) -> int:
    """How many lines are plain, of which the rules say the same; each other line is handed on, once."""
    plain, others = told(given, lines, header, file)
    rows = judged(spark, given, *lines, header=header, file=file).transform(to_verdicts, given)
    known = {row["_source_row"]: row for row in rows.withColumn("micros", F.unix_micros("event_time")).collect()}
    for reading in plain:
        row = known[reading["_source_row"]]
        assert (row["_reasons"], row["_value_flags"]) == (None, ""), lines[reading["_source_row"] - 1]
        assert row["asset_id"] == reading["asset_id"]
        assert row["micros"] == round(reading["event_time"].timestamp() * 1e6)
        assert [row[name] for name in SIGNALS] == [reading[name] for name in SIGNALS]
    taken = {reading["_source_row"] for reading in plain}
    assert len(taken) == len(plain)
    assert sorted(others) == sorted(line for row, line in enumerate(lines, 1) if row not in taken and line != header)
    return len(plain)


def mixed_lines(delimiter: str, seed: int = 7, count: int = 4_000) -> list[str]:
    """Each field mostly usual, else anything; some with a field too many or too few."""
    chance = random.Random(seed)

    def field(usual: str, others: Sequence[str]) -> str:
        return usual if chance.random() < 0.6 else chance.choice(others)

    lines = []
    for _ in range(count):
        fields = [field("T07", TURBINES), field(TIMES[0], TIMES), field("5", NUMBERS), field("12.5", NUMBERS)]
        more = chance.random()
        fields = fields[:-1] if more < 0.02 else [*fields, "x"] if more < 0.04 else fields
        lines.append(delimiter.join(fields))
    return lines


HEADER = ",".join(["asset_id", "event_time", *SIGNALS])
SOURCES = {
    "as usual": {},
    "known turbines": {"asset_id": {"column": "asset_id", "known": ["T07", "T08"]}},
    "a wall clock": {"time": {"timestamp": {"column": "event_time", "time_zone": "Europe/Paris"}}},
    "no zone": {"time": {"timestamp": {"column": "event_time"}}},
    "a pattern": {"time": {"timestamp": {"column": "event_time", "format": "yyyy-MM-dd HH:mm:ss"}}},
    "a pattern with a T": {"time": {"timestamp": {"column": "event_time", "format": "yyyy-MM-dd'T'HH:mm:ss"}}},
    "no quotes": {"files": {"path": "landing/*.csv", "quote": ""}},
    "semicolons": {"files": {"path": "landing/*.csv", "delimiter": ";"}},
    "bars": {"files": {"path": "landing/*.csv", "delimiter": "|"}},
    "tabs": {"files": {"path": "landing/*.csv", "delimiter": "\t"}},
}


@pytest.mark.parametrize("changes", SOURCES.values(), ids=SOURCES)
def test_whatever_is_told_to_be_plain_the_rules_say_the_same(spark, changes):
    given = described(**changes)
    delimiter = given.files.delimiter
    assert agree(spark, given, mixed_lines(delimiter), HEADER.replace(",", delimiter)) > 10


@pytest.mark.parametrize(
    ("line", "is_plain"),
    [
        (USUAL, True),
        ("T07,2024-01-01T00:10:00+01:00,-5.25,", True),
        ("T07,2024-02-29 23:59:59,,", True),
        (HEADER, None),
        ("T07,2023-02-29 00:00:00,5,12.5", False),
        ("T07,2024-01-01 00:10:00,5,12.5,", False),
        ("T07,2024-01-01 00:10:00,99999,12.5", False),
        ("T07,2024-01-01 00:10:00,2500.1,12.5", False),
        ("T07,2099-01-01 00:10:00,5,12.5", False),
        ("T07,2024-01-01 00:10:00,5,ERR", False),
        ("", False),
    ],
)
def test_usual_lines_are_plain_and_headers_are_no_rows(line, is_plain):
    plain, others = told(described(), [line], HEADER)
    assert (len(plain), len(others)) == {True: (1, 0), False: (0, 1), None: (0, 0)}[is_plain]


def test_columns_stand_where_the_header_says_and_others_are_not_read(spark):
    header = "oil_pressure_bar,Remark,event_time,active_power_kw,asset_id"
    lines = ["12.5,all quiet,2024-01-01 00:10:00,5,T07", "12.5,ö,2024-01-01 00:10:00,5,T07", "1,,2024-01-01 00:20:00,,T08"]
    assert agree(spark, described(), lines, header) == 2


def test_a_line_that_is_too_long_is_not_plain_however_usual_its_fields():
    header = "asset_id,event_time,active_power_kw,oil_pressure_bar,Remark"
    lines = [f"{USUAL},{'x' * length}" for length in (1_000, 70_000)]
    plain, others = told(described(), lines, header)
    assert ([reading["_source_row"] for reading in plain], others) == ([1], lines[1:])


def test_a_decimal_comma_is_read_where_all_signals_have_one(spark):
    signals = [{"name": name, "column": name, "unit": "-", "decimal_comma": True} for name in SIGNALS]
    files = {"path": "landing/*.csv", "delimiter": ";"}
    given = Source.model_validate({**source(signals=SIGNALS, files=files).model_dump(), "signals": signals})
    header = HEADER.replace(",", ";")
    lines = [line.replace(".", ",") if number % 2 else line for number, line in enumerate(mixed_lines(";"))]
    assert agree(spark, given, [*lines, "T07;2024-01-01 00:10:00;5,25;-12"], header) > 100


def test_files_left_on_a_wall_clock_are_judged_line_by_line():
    zones = {"column": "event_time", "time_zone": "UTC", "file_time_zones": {"*_local.csv": "Europe/Berlin"}}
    given = described(time={"timestamp": zones})
    assert told(given, [USUAL], HEADER, "file:/landing/T07_local.csv") == ([], [USUAL])
    assert len(told(given, [USUAL], HEADER)[0]) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"files": {"path": "landing/*.json", "format": "json"}},
        {"files": {"path": "landing/*.txt", "delimiter": "blanks"}},
        {"files": {"path": "landing/*.csv", "delimiter": "-"}},
        {"files": {"path": "landing/*.csv", "quote": "-"}},
        {"time": {"counter": {"column": "event_time", "base": "2024-01-01"}}},
        {"time": {"timestamp": {"column": "event_time", "format": "dd.MM.yyyy HH:mm"}}},
        {"asset_id": {"file_pattern": "(?P<name>T[0-9]+)", "template": "{name}"}},
        {"failures": {"kind": "flag_column", "column": "active_power_kw", "failed_value": "1"}},
    ],
)
def test_sources_that_are_written_another_way_are_judged_line_by_line(changes):
    given = described(**changes)
    assert plain_rules(given, [layout_of(given, FILE, 0, HEADER)], INGESTED_AT, 60) is None


def test_lines_of_other_batches_are_left_out():
    given = described()
    rules = plain_rules(given, [layout_of(given, FILE, 0, HEADER)], INGESTED_AT, 60)
    row = {"value": USUAL, "_source": given.name, "_source_file": FILE, "_source_row": 1, "_ingested_at": INGESTED_AT}
    schema = to_arrow_schema(bronze(given.name).schema, timezone="UTC")
    batch = pa.RecordBatch.from_pylist([{**row, "_ingested_at": INGESTED_AT.replace(year=2020)}], schema=schema)
    assert rules is not None
    assert list(telling_plain(rules)(iter([batch]))) == []
