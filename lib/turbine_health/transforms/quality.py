"""The quality rules: what costs a row its place in silver, and what costs a value.

A rule is a code and a column function: null when fine, a sentence when not. A row keeps all its
reasons. A bad turbine, time or shape costs the row; a bad value costs the value, never the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from turbine_health.sources import Signal, Source
from turbine_health.transforms.cleaning import (
    LONGEST_LINE_BYTES,
    asset_id,
    canonical,
    event_time,
    number,
    number_name,
    raw_name,
    to_rows,
)

# Between the reasons of one row while they are one text; never in a log (ASCII unit separator).
SEPARATOR = "\x1f"
# What a sentence quotes of a bad field.
QUOTED_CHARACTERS = 60
EARLIEST = "1970-01-01"


@dataclass(frozen=True)
class Rule:
    """`complaint` is null when the row is fine, a sentence when not."""

    code: str
    complaint: Column


def to_judged_rows(
    lines: DataFrame, layouts: DataFrame, source: Source, positions: tuple[int, ...] | None, max_future_minutes: float
) -> DataFrame:
    """Read turbine and time of every row and judge the row.

    Grain: one row per line that is not a header line; see `cleaning.to_rows` for the arguments.

    Returns:
        The columns of `cleaning.to_rows`, `asset_id` and `event_time` (UTC), both null when they cannot be
        read, each signal's number as `cleaning.number` reads it, named `number_name(signal)`, and `_reasons`: empty for a
        row that belongs in silver.
    """
    # All that is read from texts is read at once: Spark copies every text of the row to each further step that needs one.
    numbers = {
        number_name(source, signal): number(F.col(raw_name(source, signal.column)), signal.decimal_comma)
        for signal in source.signals
    }
    read = to_rows(lines, layouts, source, positions).withColumns({
        "asset_id": asset_id(source), "event_time": event_time(source), **numbers,
    })  # fmt: skip
    return read.withColumn("_reasons", reasons_text(row_rules(source, max_future_minutes)))


def with_signals(rows: DataFrame, source: Source) -> DataFrame:
    """Add every signal as a number in its canonical unit, and `_value_flags`.

    Grain: that of `rows`, which come from `to_judged_rows`.

    Returns:
        `rows` plus one column a signal (null: nothing written, or not usable) and `_value_flags`, why
        a written value is not used: `<signal>:<flag>` with `SEPARATOR` between, empty when fine.
    """
    numbers = {signal.name: F.col(number_name(source, signal)) for signal in source.signals}
    flagged = rows.withColumns({
        f"_flag_{signal.name}": value_flag(numbers[signal.name], signal) for signal in source.signals
    })  # fmt: skip
    flag_of = {signal.name: F.col(f"_flag_{signal.name}") for signal in source.signals}
    values = {
        signal.name: F.when(flag_of[signal.name].isNull(), canonical(numbers[signal.name], signal)) for signal in source.signals
    }
    # Nearly every row has none.
    flags = F.when(F.coalesce(*flag_of.values()).isNull(), "").otherwise(F.concat_ws(SEPARATOR, *flag_of.values()))
    temporary = [*(number_name(source, signal) for signal in source.signals), *(f"_flag_{name}" for name in flag_of)]
    return flagged.withColumns({**values, "_value_flags": flags}).drop(*temporary)


def to_verdicts(rows: DataFrame, source: Source) -> DataFrame:
    """Reduce judged rows to what the tables after bronze are made of: a third of the bytes, all of them computed.

    Grain: that of `rows`, which come from `to_judged_rows`.

    Returns:
        `asset_id`, `event_time`, every signal and `_value_flags` as `with_signals` adds them; `_file_order`,
        `_source_row` and `_ingested_at`; `_reasons` (null: the row belongs in silver), and for a row with reasons
        `_line`, what was received.
    """
    has_reasons = F.col("_reasons") != ""
    return rows.transform(with_signals, source).select(
        "asset_id", "event_time", *[signal.name for signal in source.signals], "_value_flags",
        "_file_order", "_source_row", "_ingested_at",
        F.when(has_reasons, F.col("_reasons")).alias("_reasons"), F.when(has_reasons, F.col("value")).alias("_line"),
    )  # fmt: skip


def in_place(condition: Column) -> Column:
    """The same condition, evaluated where it stands.

    Spark moves a filter below the columns that it reads by writing their expressions into it, here the
    whole cutting and judging of a line several times over. It leaves a non-deterministic one where it is.
    """
    return F.when(F.monotonically_increasing_id() >= 0, condition)


def row_rules(source: Source, max_future_minutes: float) -> tuple[Rule, ...]:
    """What costs a row its place in silver.

    The rows need the columns of `cleaning.to_rows`, `asset_id`, `event_time` and `_ingested_at`.
    """
    rules = [
        Rule("broken_encoding", _broken_encoding()),
        Rule("unreadable_row", _unreadable_row(source)),
        Rule("field_count", _field_count(source)),
        Rule("missing_asset", F.when(F.col("asset_id").isNull(), F.lit("the row names no turbine"))),
        Rule("unreadable_time", _unreadable_time(source)),
        Rule("future_time", _future_time(max_future_minutes)),
    ]
    if source.asset_id.known:
        rules.append(Rule("unknown_asset", _unknown_asset(source)))
    return tuple(rules)


def reasons_text(rules: Sequence[Rule]) -> Column:
    """All reasons of a row, `<code>: <sentence>`, in one text with `SEPARATOR` between; empty when fine.

    What is wrong with the whole file (`_file_problem`) is the only reason of its rows.
    """
    texts = [F.concat(F.lit(f"{rule.code}: "), rule.complaint) for rule in rules]
    own = F.concat_ws(SEPARATOR, *texts)
    return F.coalesce(F.col("_file_problem"), own)


def as_array(text: Column) -> Column:
    """A text of `SEPARATOR`-joined parts as an array; empty for an empty text."""
    return F.when(text == "", F.array().cast("array<string>")).otherwise(F.split(text, SEPARATOR, -1))


def value_flag(raw: Column, signal: Signal) -> Column:
    """Why a signal's value cannot be used, as `<signal>:<flag>`; null when it can, or when nothing was written.

    Args:
        raw: What the log says, from `cleaning.number`.
        signal: Its description.
    """
    flag = F.when(F.isnan(raw) | (F.abs(raw) == float("inf")), F.lit(f"{signal.name}:unreadable_number"))
    if signal.missing_values:
        flag = flag.when(raw.isin(*signal.missing_values), F.lit(f"{signal.name}:missing_code"))
    if signal.valid_range:
        low, high = signal.valid_range
        value = canonical(raw, signal)
        flag = flag.when((value < low) | (value > high), F.lit(f"{signal.name}:out_of_range"))
    return flag


def _broken_encoding() -> Column:
    is_text = F.expr("is_valid_utf8(value)") & ~(F.col("_is_unusual") & F.contains("value", F.lit("\0")))
    return F.when(~is_text, F.lit("the line is not UTF-8 text"))


def _unreadable_row(source: Source) -> Column:
    length = F.octet_length("value")
    too_long = F.when(length > LONGEST_LINE_BYTES, F.concat(F.lit("a line of "), length, F.lit(" bytes")))
    if source.files.is_delimited:
        return too_long
    is_object = F.substring(F.ltrim("value"), 1, 1) == "{"
    return F.coalesce(too_long, F.when(~is_object | F.try_parse_json("value").isNull(), F.lit("not a JSON object")))


def _field_count(source: Source) -> Column:
    expected, found = F.col("_columns_in_file"), F.col("_field_count")
    sentence = F.concat(found, F.lit(" fields where "), expected, F.lit(" are expected"))
    return F.when(found != expected, sentence)


def _unreadable_time(source: Source) -> Column:
    described = source.time.timestamp or source.time.counter
    assert described is not None
    text = F.left(F.coalesce(F.col(raw_name(source, described.column)), F.lit("")), F.lit(QUOTED_CHARACTERS))
    zone = F.coalesce(F.concat(F.lit(" in "), F.col("_time_zone")), F.lit(""))
    sentence = F.concat(F.lit("'"), text, F.lit("' is not a time"), zone)
    is_time = F.coalesce(F.col("event_time") >= F.lit(EARLIEST).cast("timestamp"), F.lit(False))
    return F.when(~is_time, sentence)


def _future_time(max_future_minutes: float) -> Column:
    latest = F.col("_ingested_at") + F.make_dt_interval(mins=F.lit(round(max_future_minutes)))
    sentence = F.concat(F.col("event_time").cast("string"), F.lit(" is later than the receipt"))
    return F.when(F.col("event_time") > latest, sentence)


def _unknown_asset(source: Source) -> Column:
    is_known = F.col("asset_id").isin(*source.asset_id.known)
    name = F.left(F.col("asset_id"), F.lit(QUOTED_CHARACTERS))
    return F.when(~is_known, F.concat(F.lit("turbine '"), name, F.lit("' is not one of this plant's")))
