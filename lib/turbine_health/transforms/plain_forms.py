"""How plain lines of a source are written: what `plain_lines` needs to prove that no rule of `quality` can complain."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from turbine_health.sources import FlagColumn, Source, Timestamps
from turbine_health.transforms.cleaning import LONGEST_LINE_BYTES
from turbine_health.transforms.layouts import Layout, described_columns
from turbine_health.transforms.plain_lines import ASSET, TIME, PlainFile, PlainForm, PlainRules, PlainSignal
from turbine_health.transforms.times import as_micros

# A day that there is, from 1970 on.
_DAY = (
    r"(?:(?:19[7-9]|2\d\d)\d-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)"
    r"|02-(?:0[1-9]|1\d|2[0-8]))|(?:19|2\d)(?:0[48]|[2468][048]|[13579][26])-02-29)"
)
_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d"
_OFFSET = r"(?:Z|[+-](?:0\d|1[0-3]):[0-5]\d)"
# Patterns of times that are read as ISO 8601 is, and what stands in them between day and clock.
_SEPARATORS = {None: "[ T]", "yyyy-MM-dd HH:mm:ss": " ", "yyyy-MM-dd'T'HH:mm:ss": "T"}
# What may stand between fields, as RE2 writes it: nothing that a time or a number may hold.
_DELIMITERS = {",": ",", ";": ";", "|": r"\|", "\t": r"\t"}
_QUOTES = ("", '"', "'")
_PRINTED = "".join(chr(code) for code in range(0x20, 0x7F))
# Digits enough for any logger; more would only be slower to search.
_NUMBER = r"(?:-?\d{1,30}(?:POINT\d{1,30})?)?"


def plain_rules(
    source: Source, layouts: Sequence[Layout], received_at: datetime, max_future_minutes: float
) -> PlainRules | None:
    """What proves lines of this source plain; None where `quality` is to judge every line.

    That is: turbine and time from a column each, times as in ISO 8601, one character between fields, and one between whole
    numbers and decimals. Times on a wall clock that is not UTC's, and files that cannot be read as described, have no form.

    Args:
        source: The description.
        layouts: Of the files of the batch.
        received_at: When the batch was received.
        max_future_minutes: How much later a reading may be.
    """
    columns = described_columns(source)
    if not _can_be_plain(source, columns):
        return None
    kinds = {(each.positions, each.columns_in_file or 0): None for each in layouts if _is_open(each)}
    offsets = (False, True) if source.time.timestamp and source.time.timestamp.format is None else (False,)
    forms = [(kind, has_offset, _form(source, *kind, has_offset)) for kind in kinds for has_offset in offsets]
    files = {}
    for layout in layouts:
        of_file = [
            number for number, (kind, has_offset, _) in enumerate(forms)
            if _is_open(layout) and kind == (layout.positions, layout.columns_in_file or 0)
            and (has_offset or layout.time_zone in (None, "UTC"))
        ]  # fmt: skip
        files[layout.file] = PlainFile(layout.order, layout.header, tuple(of_file))
    read_from = {column: number for number, column in enumerate(dict.fromkeys(each.column for each in source.signals))}
    return PlainRules(
        files, tuple(form for _, _, form in forms), source.files.delimiter, _decimal_point(source),
        tuple(PlainSignal(s.name, s.scale, s.offset, s.valid_range, s.missing_values) for s in source.signals),
        tuple(read_from[each.column] for each in source.signals), source.asset_id.known, LONGEST_LINE_BYTES,
        as_micros(received_at), as_micros(received_at + timedelta(minutes=round(max_future_minutes))),
    )  # fmt: skip


def _can_be_plain(source: Source, columns: Sequence[str]) -> bool:
    time, asset_id = source.time.timestamp, source.asset_id
    if not source.files.is_delimited or source.files.delimiter not in _DELIMITERS or source.files.quote not in _QUOTES:
        return False
    if time is None or time.format not in _SEPARATORS:
        return False
    if asset_id.column is None or asset_id.file_pattern is not None or asset_id.template != "{column}":
        return False
    flag = [source.failures.column] if isinstance(source.failures, FlagColumn) else []
    roles = [asset_id.column, time.column, *{signal.column for signal in source.signals}, *flag]
    marks = {signal.decimal_comma for signal in source.signals}
    is_clear = len(marks) == 1 and _decimal_point(source) != source.files.delimiter
    return is_clear and len(roles) == len(set(roles)) == len(columns)


def _is_open(layout: Layout) -> bool:
    return layout.problem is None and bool(layout.positions) and layout.columns_in_file is not None


def _form(source: Source, positions: tuple[int, ...], columns_in_file: int, has_offset: bool) -> PlainForm:
    """How a line is written whose described columns stand at `positions`."""
    time = source.time.timestamp
    assert time is not None
    signals = dict.fromkeys(signal.column for signal in source.signals)
    numbers = {column: str(number) for number, column in enumerate(signals)}
    names = {str(source.asset_id.column): ASSET, time.column: TIME, **numbers}
    patterns = _patterns(source, time, has_offset)
    described = dict(zip(positions, described_columns(source), strict=True))
    of_place = [names.get(described.get(place, ""), f"unread {place}") for place in range(columns_in_file)]
    fields = [patterns.get(name, patterns["0"] if name.isdigit() else patterns["unread"]) for name in of_place]
    return PlainForm(f"^{_DELIMITERS[source.files.delimiter].join(fields)}$", tuple(of_place), has_offset)


def _patterns(source: Source, time: Timestamps, has_offset: bool) -> Mapping[str, str]:
    marks = {source.files.delimiter, source.files.quote}
    text = "".join(re.escape(each) for each in _PRINTED if each not in marks)
    inked = "".join(re.escape(each) for each in _PRINTED if each not in {*marks, " "})
    return {
        ASSET: f"[{inked}](?:[{text}]*[{inked}])?",
        TIME: _DAY + _SEPARATORS[time.format] + _CLOCK + (_OFFSET if has_offset else ""),
        "0": _NUMBER.replace("POINT", re.escape(_decimal_point(source))),
        "unread": f"[{text}]*",
    }


def _decimal_point(source: Source) -> str:
    return "," if source.signals[0].decimal_comma else "."
