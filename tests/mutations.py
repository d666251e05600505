"""Seeded damage to valid log files, and what a reader of lines must find in the result."""

from __future__ import annotations

import gzip
import random
import re
import zlib
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

from landing import HEADER, Landing
from pyspark.sql import functions as F

from turbine_health.tables import bronze

Mutation = Callable[[random.Random, bytes], bytes]

# Ends of a line for Hadoop's reader.
LINE_END = re.compile(rb"\r\n|\r|\n")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
ODD_NUMBERS = (
    "NaN", "nan", "Inf", "-Infinity", "1e400", "-1e400", "1e-400", "12d", "0x1p3", "+5", "1_000", "1,5", "5.", ".5", "-999",
    "--1", "٣", "5 ", "1e308", "null", '"7"', "9" * 400,
)  # fmt: skip
ODD_TIMES = (
    "", "9999-12-31 23:59:59", "0001-01-01 00:00:00", "2023-02-29 00:00:00", "2024-01-01T00:00:00+14:00",
    "2024-01-01T00:00:00-12:00", "2024-03-31 02:30:00", "2024-10-27 02:30:00", "2024-01-01 24:00:00",
    "2024-01-01 23:59:60", "12:30", "1704067200", "-1-01-01 00:00:00", "2024-01-01 00:00:00 America/St_Johns",
    "294248-01-01 00:00:00", "now", "2024-1-1 0:0:0", "01.01.2024 00:00",
)  # fmt: skip


def valid_file(chance: random.Random, turbine: str, rows: int = 40) -> bytes:
    """A log as it should be."""
    start = datetime(2024, 1, 1, tzinfo=timezone.utc) + timedelta(hours=chance.randrange(2_000))
    lines = [HEADER]
    for row in range(rows):
        moment = start + timedelta(minutes=10 * row)
        lines.append(f"{turbine},{moment:%Y-%m-%d %H:%M:%S},{chance.uniform(3, 20):.2f},{chance.uniform(40, 80):.1f}")
    return ("\n".join(lines) + "\n").encode()


def random_bytes(chance: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.randint(1, 60)):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def nothing_but_noise(chance: random.Random, content: bytes) -> bytes:
    return chance.randbytes(chance.randint(1, 4_000))


def cut_off(chance: random.Random, content: bytes) -> bytes:
    return content[: chance.randrange(len(content))]


def byte_order_mark(chance: random.Random, content: bytes) -> bytes:
    return chance.choice([BYTE_ORDER_MARK, b"\xff\xfe", BYTE_ORDER_MARK * 2]) + content


def mixed_line_ends(chance: random.Random, content: bytes) -> bytes:
    return b"".join(line + chance.choice([b"\n", b"\r\n", b"\r", b"\n\n"]) for line in content.splitlines())


def other_encoding(chance: random.Random, content: bytes) -> bytes:
    return content.replace(b"T", "Tü".encode("latin-1")).decode("latin-1").encode(chance.choice(["utf-16", "utf-8", "latin-1"]))


def huge_field(chance: random.Random, content: bytes) -> bytes:
    return in_a_line(chance, content, lambda line: line + b"x" * chance.choice([70_000, 1_000_000, 10_000_000]))


def nul_bytes(chance: random.Random, content: bytes) -> bytes:
    return in_a_line(chance, content, lambda line: line.replace(b",", b"\0,", 1)) if chance.random() < 0.8 else b"\0" * 500


def decimal_commas(chance: random.Random, content: bytes) -> bytes:
    return content.replace(b".", b",")


def odd_numbers(chance: random.Random, content: bytes) -> bytes:
    return in_lines(chance, content, lambda line: with_field(line, chance.choice([2, 3]), chance.choice(ODD_NUMBERS)))


def odd_times(chance: random.Random, content: bytes) -> bytes:
    return in_lines(chance, content, lambda line: with_field(line, 1, chance.choice(ODD_TIMES)))


def header_only(chance: random.Random, content: bytes) -> bytes:
    return content.splitlines(keepends=chance.random() < 0.5)[0]


def empty(chance: random.Random, content: bytes) -> bytes:
    return chance.choice([b"", b"\n", b"\r\n\r\n", b" "])


def wrong_delimiter(chance: random.Random, content: bytes) -> bytes:
    return content.replace(b",", chance.choice([b";", b"\t", b"|", b" "]))


def wrong_zone(chance: random.Random, content: bytes) -> bytes:
    return content.replace(b":00,", chance.choice([b":00+09:00,", b":00Z,", b":00-0330,", b":00 CET,", b":00+25:00,"]))


def swapped_columns(chance: random.Random, content: bytes) -> bytes:
    header, *lines = content.split(b"\n")
    order = chance.sample(range(4), 4)
    swapped = [b",".join(line.split(b",")[place] for place in order) if line else line for line in lines]
    return b"\n".join([header, *swapped])


def other_header(chance: random.Random, content: bytes) -> bytes:
    _, _, lines = content.partition(b"\n")
    headers = [HEADER.replace("bearing", "Bearing"), HEADER + ",extra", HEADER + ",asset_id", "a" * 70_000, '"' + HEADER, ""]
    return chance.choice(headers).encode() + b"\n" + lines


def joined(chance: random.Random, content: bytes) -> bytes:
    return content + content.partition(b"\n")[2] if chance.random() < 0.5 else content * 2


def quotes(chance: random.Random, content: bytes) -> bytes:
    marks = [b'",', b',"', b'","', b'""']
    return in_lines(chance, content, lambda line: line.replace(b",", chance.choice(marks), chance.randint(1, 3)))


def very_many_quotes(chance: random.Random, content: bytes) -> bytes:
    part = chance.choice([b'"', b'",', b',"', b'" '])
    return in_a_line(chance, content, lambda line: line + part * chance.choice([2_500, 20_000, 32_000]))


def other_field_counts(chance: random.Random, content: bytes) -> bytes:
    return in_lines(chance, content, lambda line: line + b",1" if chance.random() < 0.5 else line.rpartition(b",")[0])


def compressed(chance: random.Random, content: bytes) -> bytes:
    return gzip.compress(content)


def cut_archive(chance: random.Random, content: bytes) -> bytes:
    archive = gzip.compress(content)
    return archive[: chance.randrange(1, len(archive))]


def damaged_archive(chance: random.Random, content: bytes) -> bytes:
    return random_bytes(chance, gzip.compress(content))


MUTATIONS: tuple[Mutation, ...] = (
    random_bytes, nothing_but_noise, cut_off, byte_order_mark, mixed_line_ends, other_encoding, huge_field, nul_bytes,
    decimal_commas, odd_numbers, odd_times, header_only, empty, wrong_delimiter, wrong_zone, swapped_columns, other_header,
    joined, quotes, very_many_quotes, other_field_counts, compressed, cut_archive, damaged_archive,
)  # fmt: skip
ARCHIVES = {compressed, cut_archive, damaged_archive}


def mutated_file(seed: int) -> tuple[str, bytes]:
    """Name and content of the mutation with this number; every kind comes in turn."""
    chance = random.Random(seed)
    mutate = MUTATIONS[seed % len(MUTATIONS)]
    content = mutate(chance, valid_file(chance, f"T{seed % 50:02d}"))
    return f"{seed:05d}_{mutate.__name__}.csv{'.gz' if mutate in ARCHIVES else ''}", content


def lines_in(name: str, content: bytes) -> int | None:
    """Lines that a file holds, however broken; None for an archive that cannot be read to its end."""
    if name.endswith(".gz"):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error):
            return None
    parts = LINE_END.split(content)
    return len(parts) - (not parts[-1])


def differing_files(landing: Landing, files: dict[str, bytes]) -> list[str]:
    """Files of which bronze has not the lines that an independent reader counts, with both counts."""
    rows = landing.store.read(bronze("plant")).groupBy(F.element_at(F.split("_source_file", "/"), -1).alias("name"))
    kept = {row["name"]: row for row in rows.agg(F.count("value").alias("lines"), F.count("*").alias("rows")).collect()}
    wrong = []
    for name, content in files.items():
        expected = lines_in(name, content)
        found = kept.get(name)
        lines, all_rows = (found["lines"], found["rows"]) if found else (0, 0)
        fits = (lines, all_rows) == (0, 1) if expected is None else (lines, all_rows) == (expected, expected)
        if not fits:
            wrong.append(f"{name}: {lines} lines in bronze ({all_rows} rows), {expected} in the file")
    return wrong


def in_a_line(chance: random.Random, content: bytes, change: Callable[[bytes], bytes]) -> bytes:
    lines = content.splitlines()
    place = chance.randrange(1, len(lines))
    return b"\n".join([*lines[:place], change(lines[place]), *lines[place + 1 :], b""])


def in_lines(chance: random.Random, content: bytes, change: Callable[[bytes], bytes]) -> bytes:
    header, *lines = content.splitlines()
    return b"\n".join([header, *[change(line) if chance.random() < 0.5 else line for line in lines], b""])


def with_field(line: bytes, place: int, text: str) -> bytes:
    fields = line.split(b",")
    fields[place] = text.encode()
    return b",".join(fields)
