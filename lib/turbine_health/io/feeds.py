"""Where new logs come from, files or a topic, behind one set of functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from pyspark.sql import DataFrame, SparkSession

from turbine_health.io.first_lines import read_first_lines
from turbine_health.io.kafka import read_messages, require_topic, take_new_messages
from turbine_health.io.raw_files import (
    Batch,
    first_lines_there,
    in_order_of_batches,
    require_files,
    take_new_files,
    write_file_lines,
)
from turbine_health.sources import Source


def require_logs(spark: SparkSession, source: Source) -> None:
    """Refuse a place that names nothing.

    Raises:
        SourceError: No such file, folder, broker or topic.
    """
    (require_topic if _is_topic(source) else require_files)(spark, source)


def headers_there(spark: SparkSession, source: Source) -> Iterator[tuple[str, str]]:
    """URI and first line of every file that is there now; none of a topic, whose messages have no header."""
    return iter(()) if _is_topic(source) else first_lines_there(spark, source)


def take_new_logs(
    spark: SparkSession, source: Source, checkpoint: str, max_batch_mb: int, take: Callable[[Batch], None]
) -> None:
    """Hand all that was not taken yet to `take`, in batches of about `max_batch_mb`.

    Raises:
        TurbineHealthError: Whatever `take` raised; the batch comes again next time.
        ConcurrentRunError: Another run is taking the same logs.
    """
    (take_new_messages if _is_topic(source) else take_new_files)(spark, source, checkpoint, max_batch_mb, take)


def first_lines(spark: SparkSession, source: Source, batch: Batch) -> dict[str, str | None]:
    """First line of each file, by URI, to find its columns in; empty for a topic, None for a file that is."""
    return (
        {file.uri: "" for file in batch.files}
        if _is_topic(source)
        else read_first_lines(spark, [file.uri for file in batch.files])
    )


def write_lines(spark: SparkSession, source: Source, batch: Batch, write: Callable[[DataFrame], object]) -> None:
    """Hand the rows of `bronze.<source>` of one batch to `write`."""
    if _is_topic(source):
        write(read_messages(spark, source, batch))
    else:
        write_file_lines(spark, source, batch, write)


def files_in_order(spark: SparkSession, source: Source, checkpoint: str, uris: Iterable[str]) -> list[str]:
    """Files taken earlier, so ordered that those of one batch stand as they stood in it."""
    if _is_topic(source):
        return sorted(uris, key=lambda uri: int(uri.rpartition("/")[2]))
    return in_order_of_batches(spark, checkpoint, uris)


def _is_topic(source: Source) -> bool:
    return source.files.format == "kafka"
