"""The first line of each file, in which its columns are named."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterable
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from pyspark.sql import SparkSession

from turbine_health.io.hadoop import LONGEST_HEADER_BYTES, Hadoop

# Where Hadoop's reader, and so every row of bronze, ends a line.
LINE_END = re.compile(rb"[\r\n]")


def read_first_lines(spark: SparkSession, uris: Iterable[str]) -> dict[str, str | None]:
    """First line of each file, by URI, without its byte-order mark; None for one that is empty or damaged."""
    heads = _Heads(Hadoop(spark))
    return {uri: heads.first_line(uri) for uri in uris}


class _Heads:
    """Reads the heads of files: plain and gzipped local ones here, all others by Hadoop.

    Hadoop takes a dozen calls to the JVM a file: 2,700 files took 25 s, opened here they take half a second.
    """

    def __init__(self, hadoop: Hadoop) -> None:
        self._hadoop = hadoop
        self._codecs: dict[str, str | None] = {}

    def first_line(self, uri: str) -> str | None:
        codec = self._codec(PurePosixPath(unquote(uri)).suffix)
        if uri.startswith("file:") and codec in (None, "GzipCodec"):
            try:
                return _first_line(uri, is_packed=codec is not None)
            except (OSError, EOFError, zlib.error):
                pass  # What cannot be read here, Hadoop has the last word on.
        return self._hadoop.first_line(uri)

    def _codec(self, suffix: str) -> str | None:
        if suffix not in self._codecs:
            self._codecs[suffix] = self._hadoop.codec(f"name{suffix}")
        return self._codecs[suffix]


def _first_line(uri: str, is_packed: bool) -> str | None:
    with open(unquote(urlsplit(uri).path), "rb") as file:
        head = (gzip.GzipFile(fileobj=file) if is_packed else file).readline(LONGEST_HEADER_BYTES)
    line = LINE_END.split(head, maxsplit=1)[0]
    return line.decode("utf-8", "replace").removeprefix("\ufeff") if head else None
