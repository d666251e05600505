"""The first line of a file is the same by Python and by Hadoop, and what Python cannot read Hadoop does."""

from __future__ import annotations

import bz2
import gzip

import pytest

from turbine_health.io.first_lines import read_first_lines
from turbine_health.io.hadoop import LONGEST_HEADER_BYTES, Hadoop

HEADER = b"asset_id,event_time"
LINE = HEADER + b"\nT07,2024-01-01\n"


FILES = {
    "plain.csv": (LINE, HEADER.decode()),
    "no_end.csv": (HEADER, HEADER.decode()),
    "carriage_return.csv": (LINE.replace(b"\n", b"\r"), HEADER.decode()),
    "windows.csv": (LINE.replace(b"\n", b"\r\n"), HEADER.decode()),
    "byte_order_mark.csv": (b"\xef\xbb\xbf" + LINE, HEADER.decode()),
    "two.dots.CSV.gz": (gzip.compress(LINE), HEADER.decode()),
    "a b[1]#ü.csv": (LINE, HEADER.decode()),
    "not_really.csv.gz": (LINE, None),
    "cut.csv.gz": (gzip.compress(LINE)[:12], None),
    "packed.csv.bz2": (bz2.compress(LINE), HEADER.decode()),
    "empty.csv": (b"", None),
    "empty_line.csv": (b"\n" + LINE, ""),
    "endless.csv": (b"x" * (LONGEST_HEADER_BYTES + 10), "x" * LONGEST_HEADER_BYTES),
}


@pytest.mark.parametrize("name", FILES)
def test_python_and_hadoop_agree(spark, tmp_path, name):
    content, first = FILES[name]
    (tmp_path / name).write_bytes(content)
    hadoop = Hadoop(spark)
    uri = hadoop.as_metadata((tmp_path / name).as_uri())
    assert hadoop.first_line(uri) == first
    assert read_first_lines(spark, [uri]) == {uri: first}


def test_python_alone_reads_what_it_can(spark, tmp_path, monkeypatch):
    (tmp_path / "plain.csv").write_bytes(LINE)
    (tmp_path / "packed.csv.gz").write_bytes(gzip.compress(LINE))
    monkeypatch.delattr(Hadoop, "first_line")
    uris = [path.as_uri() for path in tmp_path.iterdir()]
    assert set(read_first_lines(spark, uris).values()) == {HEADER.decode()}
