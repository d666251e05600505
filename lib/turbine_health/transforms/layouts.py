"""Where in each file the described columns stand: every file may bring its own header."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Literal
from urllib.parse import unquote

from pyspark.sql.types import ArrayType, IntegerType, StringType, StructField, StructType

from turbine_health.errors import SourceError
from turbine_health.sources import FlagColumn, Source

# Longer than any header of a logger, shorter than what Python's csv module refuses (131,072).
LONGEST_HEADER = 65_536

LAYOUT_SCHEMA = StructType([
    StructField("_source_file", StringType(), nullable=False),
    StructField("_file_order", IntegerType(), nullable=False),
    StructField("_header", StringType()),
    StructField("_positions", ArrayType(IntegerType())),
    StructField("_columns_in_file", IntegerType()),
    StructField("_time_zone", StringType()),
    StructField("_file_problem", StringType()),
])  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """How to read the lines of one file.

    `positions` are those of `described_columns(source)`, from 0. `problem` is a reason
    (`<code>: <sentence>`) to set the whole file aside, None when it is fine.
    """

    file: str
    order: int
    header: str | None = None
    positions: tuple[int, ...] = ()
    columns_in_file: int | None = None
    time_zone: str | None = None
    problem: str | None = None
    new_columns: tuple[str, ...] = ()

    def as_row(self) -> tuple[object, ...]:
        """Values in the order of `LAYOUT_SCHEMA`."""
        positions = list(self.positions)
        return (self.file, self.order, self.header, positions, self.columns_in_file, self.time_zone, self.problem)


def described_columns(source: Source) -> tuple[str, ...]:
    """Raw columns that the description names, each once: turbine, time, signals, failure flag."""
    names = [source.asset_id.column, _time_column(source), *(signal.column for signal in source.signals)]
    if isinstance(source.failures, FlagColumn):
        names.append(source.failures.column)
    return tuple(dict.fromkeys(name for name in names if name is not None))


def layout_of(
    source: Source,
    file: str,
    order: int,
    first_line: str | None,
    unreadable: bool = False,
    keys: Sequence[str] | None = None,
) -> Layout:
    """How to read one file, from its first line, or from the keys of its JSON objects.

    Args:
        source: The description.
        file: URI of the file.
        order: Its place among the files of its batch; where two rows have one key, the later file wins.
        first_line: None when the file is empty.
        unreadable: It could not be read to its end.
        keys: Of all its objects together; None when that is not known, or none of its lines is an object.
    """
    zone = time_zone_of(source, file)
    if unreadable:
        return Layout(file, order, problem="unreadable_file: it cannot be read to its end (a truncated or damaged archive?)")
    if not source.files.is_delimited:
        return _layout_of_objects(source, file, order, keys)
    if first_line is None:
        return Layout(file, order, time_zone=zone)
    if not source.files.has_header:
        return Layout(file, order, None, _fixed_positions(source), len(source.files.columns), zone)
    names = split_header(first_line, source.files.delimiter, source.files.quote)
    wanted = described_columns(source)
    problem = _header_problem(names, wanted, source.name)
    if problem and not set(names) & set(wanted):
        # Nothing that we know is in it, so it may be a reading: keep the line among the rows.
        return Layout(file, order, None, (), None, zone, problem)
    positions = () if problem else tuple(names.index(name) for name in wanted)
    new = tuple(name for name in names if name and name not in wanted)
    return Layout(file, order, first_line, positions, len(names), zone, problem, new)


def _layout_of_objects(source: Source, file: str, order: int, keys: Sequence[str] | None) -> Layout:
    zone, wanted = time_zone_of(source, file), described_columns(source)
    missing = [name for name in wanted if name not in keys] if keys else []
    problem = None
    if missing:
        found = ", ".join(name[:40] for name in list(keys or ())[:40])
        problem = f"schema_drift: key {', '.join(missing)} of source {source.name} is in no row of the file ({found})"
    new = tuple(name for name in keys or () if name not in wanted)
    return Layout(file, order, time_zone=zone, problem=problem, new_columns=new)


def refuse_unless_some_fit(source: Source, layouts: Iterable[Layout]) -> None:
    """Stop when no file at all has what the description names: then it is the description that is wrong.

    Looks at no layout after the first that fits.

    Raises:
        SourceError: Naming the first missing column, a file, and the columns there are.
    """
    misfit: Layout | None = None
    for layout in layouts:
        if not (layout.problem and layout.problem.startswith("schema_drift")):
            return
        misfit = misfit or layout
    if misfit is not None:
        sentence = str(misfit.problem).partition(": ")[2]
        raise SourceError(
            sentence, where=f"source {source.name}, {misfit.file}", hint="mend the source description, or the file"
        )


def common_positions(layouts: Sequence[Layout]) -> tuple[int, ...] | None:
    """Where the described columns stand, if that is the same in all files that can be read; else None."""
    found = {layout.positions for layout in layouts if layout.problem is None and layout.positions}
    return next(iter(found)) if len(found) == 1 else None


def split_header(line: str, delimiter: str, quote: str) -> list[str]:
    """Column names of a header line, without blanks around them."""
    line = line.removeprefix("\ufeff").replace("\0", "")
    if len(line) > LONGEST_HEADER:
        return [line[:LONGEST_HEADER]]
    if delimiter == "blanks":
        return line.split()
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE
    row = next(csv.reader([line], delimiter=delimiter, quotechar=quote or None, quoting=quoting), [])
    return [name.strip() for name in row]


def time_zone_of(source: Source, file: str) -> str | None:
    """IANA zone of the times in one file that carry no offset; None means UTC, or not a timestamp."""
    timestamps = source.time.timestamp
    if timestamps is None:
        return None
    name = unquote(file.rpartition("/")[2])
    for pattern, zone in timestamps.file_time_zones.items():
        if fnmatch(name, pattern):
            return zone
    return timestamps.time_zone


def _time_column(source: Source) -> str | None:
    stamped = source.time.timestamp or source.time.counter
    return stamped.column if stamped else None


def _fixed_positions(source: Source) -> tuple[int, ...]:
    missing = [name for name in described_columns(source) if name not in source.files.columns]
    if missing:
        raise SourceError(
            f"files.columns does not name {', '.join(missing)}",
            where=f"source {source.name}",
            hint="name every column of the files, in order",
        )
    return tuple(source.files.columns.index(name) for name in described_columns(source))


def _header_problem(names: list[str], wanted: Sequence[str], source_name: str) -> str | None:
    missing = [name for name in wanted if name not in names]
    twice = [name for name in wanted if names.count(name) > 1]
    found = ", ".join(name[:40] for name in names[:40])
    if missing:
        return f"schema_drift: column {', '.join(missing)} of source {source_name} is not in the header ({found})"
    if twice:
        return f"schema_drift: column {', '.join(twice)} of source {source_name} is in the header twice ({found})"
    return None
