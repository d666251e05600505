"""From lines of text to turbine, time and numbers. Nothing is judged here; `quality` does that."""

from __future__ import annotations

import re
from datetime import timezone
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from turbine_health.patterns import with_plain_groups
from turbine_health.sources import AssetId, Counter, Signal, Source, Time, Timestamps
from turbine_health.transforms.layouts import described_columns

MICROSECONDS = {"hours": 3_600_000_000, "days": 86_400_000_000}
# A count beyond this is no count of hours or days in any plant's life, and would overflow a time.
LARGEST_COUNT = 10_000_000
# A line longer than this is no reading; splitting it could take minutes.
LONGEST_LINE_BYTES = 65_536
# After a time of day: whatever Spark's cast takes there (`+02`, ` UTC`, ` Europe/Paris`) names a zone.
OFFSET = r"[T ]\s*\d{1,2}(:\d{1,2}){0,2}(\.\d*)?\s*[^\s\d:.]"
OFFSET_LETTERS = "[XxZOVz]"
# What Java takes at the end of a number, as in '12d'; no logger writes it.
JAVA_MARKS = "dDfF"
# Stands for a delimiter inside quotes while a line is cut; a line that holds it is refused anyway.
HIDDEN = "\0"


def to_rows(lines: DataFrame, layouts: DataFrame, source: Source, positions: tuple[int, ...] | None) -> DataFrame:
    """Cut lines into the described columns, as text. Header lines are no rows.

    Grain: one row per line that is not its file's header, wherever it stands (joined logs repeat it).

    Args:
        lines: Rows of `bronze.<source>`.
        layouts: `LAYOUT_SCHEMA`, one row per `_source_file`.
        source: The description.
        positions: Of the described columns, when all files agree, which is faster; None reads them from `layouts`.

    Returns:
        `lines` with their layout, `_field_count` (null: not a line of fields), `_is_unusual`, and a column `raw_name(i)` for
        each described column: text, null when the line has no such field. A line that is not `_is_unusual` has no quote, no
        NUL and none of `JAVA_MARKS`: one search for all of them spares nearly all lines several, and each field some.
    """
    is_header = F.coalesce(F.col("value") == F.col("_header"), F.lit(False))
    rows = (
        lines.join(F.broadcast(layouts), on="_source_file", how="left")
        .where(~is_header)
        .withColumn("_is_unusual", F.col("value").rlike(f"[{JAVA_MARKS}\\x00{re.escape(source.files.quote)}]"))
    )
    columns = described_columns(source)
    if not source.files.is_delimited:
        fields = rows.withColumn("_fields", _json_fields(F.col("value"), columns))
        raw = [F.col("_fields")[name].alias(raw_name(source, name)) for name in columns]
        return fields.select("*", F.lit(None).cast("int").alias("_field_count"), *raw).drop("_fields")
    fields = rows.withColumn("_fields", _split(F.col("value"), source.files.delimiter, source.files.quote))
    places = [F.lit(place) for place in positions] if positions else [F.get("_positions", i) for i in range(len(columns))]
    raw = [F.get("_fields", place).alias(raw_name(source, name)) for name, place in zip(columns, places, strict=True)]
    return fields.select("*", F.size("_fields").alias("_field_count"), *raw).drop("_fields")


def raw_name(source: Source, column: str) -> str:
    """Where `to_rows` puts the text of a described column."""
    return f"_raw_{described_columns(source).index(column)}"


def number_name(source: Source, signal: Signal) -> str:
    """Where `quality.to_judged_rows` puts the number that a signal's text says."""
    return f"_number_{source.signals.index(signal)}"


def asset_id(source: Source) -> Column:
    """Turbine of a row from `to_rows`: text without blanks around it; null when there is none."""
    described: AssetId = source.asset_id
    parts: dict[str, Column] = {}
    if described.column is not None:
        parts["column"] = _unless_empty(F.trim(raw_name(source, described.column)))
    if described.file_pattern is not None:
        name = F.url_decode(F.element_at(F.split("_source_file", "/"), -1))
        indices = re.compile(described.file_pattern).groupindex
        plain = with_plain_groups(described.file_pattern)
        parts |= {group: _unless_empty(F.regexp_extract(name, plain, index)) for group, index in indices.items()}
    pieces = re.split(r"\{(\w+)\}", described.template)
    columns = [parts[piece] if i % 2 else F.lit(piece) for i, piece in enumerate(pieces) if piece]
    return columns[0] if len(columns) == 1 else F.concat(*columns)


def event_time(source: Source) -> Column:
    """Time of a row from `to_rows`, UTC; null when the text cannot be read as one."""
    time: Time = source.time
    if time.counter is not None:
        return _counted(F.col(raw_name(source, time.counter.column)), time.counter)
    assert time.timestamp is not None
    return stamped_time(F.trim(raw_name(source, time.timestamp.column)), time.timestamp, F.col("_time_zone"))


def stamped_time(text: Column, timestamps: Timestamps, zone: Column) -> Column:
    """The time written in `text`, UTC; null when it is none, or falls into the missing hour of spring.

    Args:
        text: Without blanks around it.
        timestamps: Its format.
        zone: IANA zone of times without an offset; null means UTC. The repeated hour of autumn is
            taken as its first occurrence.
    """
    if timestamps.format is None:
        # A lone '12:30' would become today at 12:30: only what starts with a year and a dash is a time.
        parsed = F.when(F.substring(text, 5, 1) == "-", text.try_cast("timestamp"))
        has_offset = text.rlike(OFFSET)
    else:
        parsed = F.try_to_timestamp(text, F.lit(timestamps.format))
        has_offset = _has_offset(text, timestamps.format)
    # A zone written as a literal is looked up once, one in a column for every row.
    zones = {timestamps.time_zone, *timestamps.file_time_zones.values()} - {None, "UTC"}
    moments = F.when(F.coalesce(zone, F.lit("UTC")) == "UTC", parsed).when(has_offset, parsed)
    for name in sorted(str(known) for known in zones):
        moments = moments.when(zone == name, _in_zone(parsed, name))
    return moments if zones else parsed


def number(text: Column, decimal_comma: bool) -> Column:
    """The number written in `text`; NaN when it is none, null when nothing is written. Infinity comes through as such.

    Args:
        text: A field of a row from `to_rows`.
        decimal_comma: Whether the comma stands before the decimals.
    """
    plain = F.replace(text, F.lit(","), F.lit(".")) if decimal_comma else text
    is_java_literal = reduce(Column.__or__, (F.endswith(F.rtrim(plain), F.lit(mark)) for mark in JAVA_MARKS))
    found = F.when(~(F.col("_is_unusual") & is_java_literal), plain.try_cast("double"))
    return F.when(F.octet_length(F.trim(text)) > 0, F.coalesce(found, F.lit(float("nan"))))


def canonical(raw: Column, signal: Signal) -> Column:
    """A raw number in the signal's unit."""
    scaled = raw if signal.scale == 1.0 else raw * F.lit(signal.scale)
    return scaled if signal.offset == 0.0 else scaled + F.lit(signal.offset)


def _unless_empty(text: Column) -> Column:
    """Written out, for Spark computes what `nullif` stands for in a pass of its own, which copies all columns of the row."""
    return F.when(text != "", text)


def _has_offset(text: Column, pattern: str) -> Column:
    """Whether a text that this pattern reads names its zone; an optional one may be left out: `HH:mm[XXX]`."""
    without = re.sub(rf"\[[^\]]*{OFFSET_LETTERS}[^\]]*\]", "", pattern)
    if re.search(OFFSET_LETTERS, re.sub(r"'[^']*'", "", without)):
        return F.lit(True)
    return F.lit(False) if without == pattern else F.try_to_timestamp(text, F.lit(without)).isNull()


def _in_zone(wall_clock: Column, zone: str) -> Column:
    moment = F.to_utc_timestamp(wall_clock, zone)
    return F.when(F.from_utc_timestamp(moment, zone) == wall_clock, moment)


def _split(value: Column, delimiter: str, quote: str) -> Column:
    line = F.when(F.octet_length(value) <= LONGEST_LINE_BYTES, value)
    if delimiter == "blanks":
        return F.split(F.trim(F.translate(line, "\t", " ")), " +", -1)
    mark = re.escape(delimiter) if delimiter in r".$|()[{^?*+\\" else delimiter
    plain = F.split(line, mark, -1)
    if not quote:
        return plain
    # One pass, for a pattern that counts the quotes after each delimiter takes minutes or all of Java's stack.
    hide, show = (F.lit(delimiter), F.lit(HIDDEN)), (F.lit(HIDDEN), F.lit(delimiter))
    from_the_end = F.reverse(F.split(line, re.escape(quote), -1))
    hidden = F.transform(from_the_end, lambda part, i: F.when(i % 2 == 1, F.replace(part, *hide)).otherwise(part))
    fields = F.split(F.array_join(F.reverse(hidden), quote), mark, -1)
    unquoted = F.transform(fields, lambda field: _unquoted(F.replace(field, *show), quote))
    return F.when(F.col("_is_unusual") & F.contains(line, F.lit(quote)), unquoted).otherwise(plain)


def _unquoted(field: Column, quote: str) -> Column:
    q = re.escape(quote)
    inner = F.regexp_extract(field, f"^\\s*{q}(.*){q}\\s*$", 1)
    is_quoted = field.rlike(f"^\\s*{q}.*{q}\\s*$")
    return F.when(is_quoted, F.replace(inner, F.lit(quote * 2), F.lit(quote))).otherwise(field)


def _json_fields(value: Column, columns: tuple[str, ...]) -> Column:
    schema = StructType([StructField(name, StringType()) for name in columns])
    return F.from_json(value, schema)


def _counted(text: Column, counter: Counter) -> Column:
    count = text.try_cast("double")
    is_count = (count == F.floor(count)) & (F.abs(count) <= LARGEST_COUNT)
    base = round(_as_utc_seconds(counter) * 1_000_000)
    step = MICROSECONDS[counter.unit]
    steps = F.when(is_count, count).cast("bigint") - F.lit(counter.first)
    return F.timestamp_micros(F.lit(base) + steps * F.lit(step))


def _as_utc_seconds(counter: Counter) -> float:
    base = counter.base if counter.base.tzinfo else counter.base.replace(tzinfo=timezone.utc)
    return base.timestamp()
