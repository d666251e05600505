"""Lines that are fine at first sight, read on columns in a Python worker, which imports nothing else for it.

Nearly every line of a log is plain: each field written the usual way, the time a time, each number in its range. Proving that
takes one search and one parse of many lines at once. A line of which it is not proven is handed on as it is, for `quality`
to judge; so what a rule means is said there alone, and here only when none can complain.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from turbine_health.transforms.kernels import Booleans, Integers
from turbine_health.transforms.reading_packs import not_told, told
from turbine_health.transforms.slicing import Kernel

# What is searched and parsed at once, some 5 MB.
LINES_AT_ONCE = 2**16
ASSET, TIME = "asset_id", "event_time"
Rows = TypeVar("Rows", pa.RecordBatch, pa.Array)


@dataclass(frozen=True)
class PlainSignal:
    """What a number of this signal may be. `limits`, both included, are in the unit of `number * scale + offset`."""

    name: str
    scale: float
    offset: float
    limits: tuple[float, float] | None
    missing: tuple[float, ...]


@dataclass(frozen=True)
class PlainForm:
    """How a plain line of some files is written.

    `pattern` (RE2) matches the whole of it; `columns` name its fields: `ASSET`, `TIME`, the places of `signals` as text
    (`"0"` for the first), and anything else for fields that nobody reads.
    """

    pattern: str
    columns: tuple[str, ...]
    has_offset: bool


@dataclass(frozen=True)
class PlainFile:
    """`order` among the files of its batch; `forms`: places among the forms of its lines; none: no line is plain."""

    order: int
    header: str | None
    forms: tuple[int, ...]


@dataclass(frozen=True)
class PlainRules:
    """All that proves a line plain.

    `numbers`: which column each signal is read from; `longest`: bytes of a line; times in microseconds since 1970.
    """

    files: Mapping[str, PlainFile]
    forms: tuple[PlainForm, ...]
    delimiter: str
    decimal_point: str
    signals: tuple[PlainSignal, ...]
    numbers: tuple[int, ...]
    known: tuple[str, ...]
    longest: int
    received_at: int
    latest: int


def telling_plain(rules: PlainRules) -> Kernel:
    """What tells plain lines from others.

    Returns:
        Kernel from the columns of bronze to those of `VERDICTS`: of plain lines the readings, in packs; the others as they
        are. Headers, which are no rows, are left out of files with a `PlainForm`; so are the lines of other batches.
    """

    def tell(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            own = _chosen(batch, batch["_ingested_at"].cast(pa.int64()).to_numpy() == rules.received_at)
            for start in range(0, len(own), LINES_AT_ONCE):
                yield from _told(own.slice(start, LINES_AT_ONCE), rules)

    return tell


def _told(lines: pa.RecordBatch, rules: PlainRules) -> Iterator[pa.RecordBatch]:
    uris = lines["_source_file"].dictionary_encode()
    files = [rules.files.get(uri) for uri in uris.dictionary.to_pylist()]
    of_line = uris.indices.to_numpy()
    is_open = ~_is_header(lines["value"], files, of_line)
    for number, form in enumerate(rules.forms):
        of_form = np.array([file is not None and number in file.forms for file in files])
        tried = np.flatnonzero(is_open & of_form[of_line])
        found = tried[_matches(_taken(lines["value"], tried), form, rules)]
        if found.size:
            readings, is_fine = _readings(_taken(lines["value"], found), form, rules)
            orders = np.array([file.order if file else 0 for file in files], dtype=np.int32)
            fine = found[is_fine]
            is_open[fine] = False
            columns = {"_file_order": pa.array(orders[of_line[fine]]), "_source_row": _taken(lines["_source_row"], fine)}
            at = pa.repeat(pa.scalar(rules.received_at, pa.timestamp("us", "UTC")), len(fine))
            yield from told(pa.Table.from_pydict({**readings, **columns, "_ingested_at": at}))
    if is_open.any():
        yield not_told(_chosen(lines, is_open))


def _is_header(values: pa.Array, files: list[PlainFile | None], of_line: Integers) -> Booleans:
    """Whether a line is the header of its file, wherever it stands."""
    found = np.zeros(len(values), dtype=bool)
    headers = [file.header if file and file.forms else None for file in files]
    for header in set(headers) - {None}:
        of_header = np.array([each == header for each in headers])
        found |= of_header[of_line] & pc.equal(values, header).fill_null(False).to_numpy(zero_copy_only=False)
    return found


def _matches(values: pa.Array, form: PlainForm, rules: PlainRules) -> Booleans:
    is_short = pc.less_equal(pc.binary_length(values), rules.longest)
    is_like = pc.and_(is_short, pc.match_substring_regex(values, form.pattern))
    found: Booleans = is_like.fill_null(False).to_numpy(zero_copy_only=False)
    return found


def _readings(values: pa.Array, form: PlainForm, rules: PlainRules) -> tuple[dict[str, pa.Array], Booleans]:
    """What lines that match a form say: the readings of those that are fine, and which are."""
    fields = _parsed(values, form, rules)
    at = fields[TIME].cast(pa.int64()).to_numpy()
    is_fine = (at >= 0) & (at <= rules.latest)
    assets = fields[ASSET].combine_chunks()
    if rules.known:
        is_known = pc.is_in(assets.dictionary, pa.array(rules.known)).to_numpy(zero_copy_only=False)
        is_fine &= is_known[assets.indices.to_numpy()]
    signals = {}
    for signal, column in zip(rules.signals, rules.numbers, strict=True):
        number = fields[str(column)].combine_chunks()
        is_empty, plain = number.is_null().to_numpy(zero_copy_only=False), number.fill_null(0.0).to_numpy()
        value = plain if signal.scale == 1.0 else plain * signal.scale
        value = value if signal.offset == 0.0 else value + signal.offset
        is_good = np.isfinite(plain) & ~np.isin(plain, signal.missing)
        if signal.limits:
            is_good &= (value >= signal.limits[0]) & (value <= signal.limits[1])
        is_fine &= is_good | is_empty
        signals[signal.name] = pa.array(value, mask=is_empty) if is_empty.any() else pa.array(value)
    readings = {ASSET: assets.cast(pa.string()), TIME: fields[TIME].combine_chunks().cast(pa.timestamp("us", "UTC")), **signals}
    return {name: _chosen(column, is_fine) for name, column in readings.items()}, is_fine


def _parsed(values: pa.Array, form: PlainForm, rules: PlainRules) -> pa.Table:
    # One text with a line end after each, whose bytes lie in one buffer.
    text = pc.binary_join_element_wise(values, "", "\n")
    ends = np.frombuffer(text.buffers()[1], dtype=np.int32)[text.offset : text.offset + len(text) + 1]
    numbers = {str(column): pa.float64() for column in rules.numbers}
    return pa.csv.read_csv(
        pa.BufferReader(text.buffers()[2].slice(int(ends[0]), int(ends[-1] - ends[0]))),
        pa.csv.ReadOptions(use_threads=False, block_size=max(int(ends[-1] - ends[0]), 1), column_names=list(form.columns)),
        pa.csv.ParseOptions(delimiter=rules.delimiter, quote_char=False, double_quote=False, newlines_in_values=False),
        pa.csv.ConvertOptions(
            check_utf8=False, include_columns=[ASSET, TIME, *numbers], null_values=[""], strings_can_be_null=False,
            decimal_point=rules.decimal_point,
            column_types={
                ASSET: pa.dictionary(pa.int32(), pa.string()),
                TIME: pa.timestamp("us", "UTC" if form.has_offset else None), **numbers,
            },
        ),
    )  # fmt: skip


def _chosen(rows: Rows, is_chosen: Booleans) -> Rows:
    """Those rows; as a rule all, which are not copied then."""
    return rows if is_chosen.all() else rows.filter(pa.array(is_chosen))


def _taken(values: pa.Array, places: Integers) -> pa.Array:
    """The values at these places, which ascend; not copied where they are all."""
    return values if len(places) == len(values) else values.take(pa.array(places))
