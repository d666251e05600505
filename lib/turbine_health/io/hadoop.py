"""Files as Hadoop sees them: every scheme that Spark can read, from the driver."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

# A first line longer than this is no header.
LONGEST_HEADER_BYTES = 1_048_576
# A local name in which nothing is encoded. Asking the JVM about it costs a dozen calls, some 5 ms; a year of 200 turbines
# is 2,700 files, each asked about three times.
PLAIN_NAME = re.compile(r"file:(?://)?(/[\w.-]+)+", re.ASCII)


class Hadoop:
    """The file systems of a session."""

    def __init__(self, spark: SparkSession) -> None:
        context: Any = spark.sparkContext
        self._jvm = context._jvm
        self._conf = context._jsc.hadoopConfiguration()
        self._codecs = self._jvm.org.apache.hadoop.io.compress.CompressionCodecFactory(self._conf)

    def glob(self, pattern: str) -> list[Any]:
        path = self._jvm.org.apache.hadoop.fs.Path(pattern)
        return list(path.getFileSystem(self._conf).globStatus(path) or [])

    def files(self, status: Any) -> Iterator[str]:
        """URI of the file, or of each in the folder; names that start with `_` or `.` do not count."""
        path = status.getPath()
        if status.isFile():
            yield str(path.toUri().toString())
            return
        for entry in path.getFileSystem(self._conf).listStatus(path):
            if entry.getPath().getName()[0] not in "._":
                yield from self.files(entry)

    def plain(self, uri: str) -> str:
        """The path behind an encoded URI."""
        if PLAIN_NAME.fullmatch(uri):
            return _without_authority(uri)
        return str(self._jvm.org.apache.hadoop.fs.Path(self._jvm.java.net.URI(uri)).toString())

    def as_metadata(self, uri: str) -> str:
        """The URI as `_metadata.file_path` spells it (`file:/a`, where the checkpoint says `file:///a`)."""
        if PLAIN_NAME.fullmatch(uri):
            return _without_authority(uri)
        path = self._jvm.org.apache.hadoop.fs.Path(self._jvm.java.net.URI(uri))
        return str(self._jvm.org.apache.hadoop.fs.Path(path.toString()).toUri().toString())

    def exists(self, path: str) -> bool:
        place = self._jvm.org.apache.hadoop.fs.Path(path)
        return bool(place.getFileSystem(self._conf).exists(place))

    def create_and_delete(self, path: str) -> None:
        """Show that a file can be written there; raises what the file system says."""
        place = self._jvm.org.apache.hadoop.fs.Path(path)
        files = place.getFileSystem(self._conf)
        files.create(place).close()
        files.delete(place, False)

    def read_text(self, path: str) -> str:
        place = self._jvm.org.apache.hadoop.fs.Path(path)
        stream = place.getFileSystem(self._conf).open(place)
        try:
            return str(self._jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8"))
        finally:
            stream.close()

    def parquet_columns(self, uri: str) -> tuple[str, ...]:
        """Names of the columns; empty for what is no parquet file, of which Spark will say so."""
        path = self._jvm.org.apache.hadoop.fs.Path(self._jvm.java.net.URI(uri))
        parquet = self._jvm.org.apache.parquet.hadoop
        try:
            reader = parquet.ParquetFileReader.open(parquet.util.HadoopInputFile.fromPath(path, self._conf))
        except Py4JJavaError:
            return ()
        try:
            return tuple(str(field.getName()) for field in reader.getFileMetaData().getSchema().getFields())
        finally:
            reader.close()

    def codec(self, name: str) -> str | None:
        """Class of the codec by which a file of this name is unpacked; None: it is read as it is."""
        found = self._codecs.getCodec(self._jvm.org.apache.hadoop.fs.Path(name))
        return str(found.getClass().getSimpleName()) if found else None

    def first_line(self, uri: str) -> str | None:
        """First line of a file, without its byte-order mark; None for one that is not there, empty or damaged."""
        path = self._jvm.org.apache.hadoop.fs.Path(self._jvm.java.net.URI(uri))
        codec = self._codecs.getCodec(path)
        text = self._jvm.org.apache.hadoop.io.Text()
        try:
            stream = path.getFileSystem(self._conf).open(path)
        except Py4JJavaError:
            return None
        try:
            decoded = codec.createInputStream(stream) if codec else stream
            length = self._jvm.org.apache.hadoop.util.LineReader(decoded).readLine(text, LONGEST_HEADER_BYTES)
        except Py4JJavaError:
            return None
        finally:
            stream.close()
        return str(text.toString()).removeprefix("\ufeff") if length else None


def _without_authority(uri: str) -> str:
    return uri.replace("file:///", "file:/", 1)
