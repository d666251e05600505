"""The edge of ingest: which files have arrived, and their lines as text.

Spark's file source with a checkpoint says which files are new, so that each is taken once however
often the job is killed: a batch that was planned but not finished comes again with the same number,
the same files and the same time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import reduce
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from turbine_health.errors import ConcurrentRunError, SourceError, TurbineHealthError
from turbine_health.io.hadoop import Hadoop
from turbine_health.sources import Files, Source
from turbine_health.tables import bronze

# The file source forgets files this much older than the newest one; ours must never be forgotten.
SPARK_ERRORS = (PySparkException, Py4JJavaError)
NEVER_TOO_OLD = "36500d"
GLOB_CHARACTERS = "\\[]{}*?"
# The low bits hold the row's place in its task, the high bits the megabyte at which the task's share of
# the file begins. Spark never cuts a file into shares below 4 MB, so the two together are unique and in order.
BITS_OF_ROW = 33
BYTES_PER_SHARE_UNIT = 20


@dataclass(frozen=True)
class RawFile:
    """One file that has arrived, or what has arrived in one partition of a topic."""

    uri: str
    modified_at: datetime
    offsets: tuple[int, int] | None = None
    """Of a partition: of its first message, and the one after its last."""


@dataclass(frozen=True)
class Batch:
    """Files that are taken in together. The same number of one stream always means the same files and time."""

    stream: str
    number: int
    received_at: datetime
    files: tuple[RawFile, ...]


def require_files(spark: SparkSession, source: Source) -> None:
    """Refuse a path that names nothing, before a checkpoint is made for it.

    Raises:
        SourceError: No such file or folder, or no file in it.
    """
    hadoop = Hadoop(spark)
    found = hadoop.glob(source.files.path)
    where = f"source {source.name}"
    if not found:
        raise SourceError(f"no file matches {source.files.path}", where=where, hint="check files.path, or put the logs there")
    if not any(True for status in found for _ in hadoop.files(status)):
        raise SourceError(f"{source.files.path} is empty", where=where, hint="put the logs there, or check files.path")


def has_begun(spark: SparkSession, checkpoint: str) -> bool:
    """Whether a stream was ever started with this checkpoint."""
    return Hadoop(spark).exists(f"{checkpoint}/metadata")


def first_lines_there(spark: SparkSession, source: Source) -> Iterator[tuple[str, str]]:
    """URI and first line of every file that is there now, read one by one; files without one are left out."""
    hadoop = Hadoop(spark)
    for status in hadoop.glob(source.files.path):
        for uri in hadoop.files(status):
            line = hadoop.first_line(uri)
            if line is not None:
                yield uri, line


def take_new_files(
    spark: SparkSession, source: Source, checkpoint: str, max_batch_mb: int, take: Callable[[Batch], None]
) -> None:
    """Hand every file that was not taken yet to `take`, oldest first, in batches of about `max_batch_mb`.

    Raises:
        TurbineHealthError: Whatever `take` raised; the batch comes again next time.
        ConcurrentRunError: Another run is taking the same files.
    """
    arriving = (
        spark.readStream.format("text")
        .option("maxFileAge", NEVER_TOO_OLD)
        .option("maxBytesPerTrigger", str(max_batch_mb * 1024 * 1024))
        .load(_as_pattern(spark, source.files.path))
    )
    take_arriving(arriving, source, checkpoint, lambda number: take(_planned_batch(spark, checkpoint, number)))


def take_arriving(arriving: DataFrame, source: Source, checkpoint: str, take: Callable[[int], None]) -> None:
    """Hand the number of every batch that is due to `take`, until all that is there now is taken.

    Args:
        arriving: A stream; only how it is cut into batches counts.
        source: Named in errors.
        checkpoint: Where Spark keeps which batches are planned, and which are done.
        take: Does the work of one batch.

    Raises:
        TurbineHealthError: Whatever `take` raised; the batch comes again next time.
        ConcurrentRunError: Another run is taking the same batches.
    """
    problems: list[TurbineHealthError] = []

    def take_batch(_: DataFrame, number: int) -> None:
        try:
            take(number)
        except TurbineHealthError as problem:
            problems.append(problem)
            raise

    stream = arriving.writeStream.foreachBatch(take_batch).option("checkpointLocation", checkpoint)
    try:
        stream.trigger(availableNow=True).start().awaitTermination()
    except SPARK_ERRORS as failure:
        if problems and not isinstance(problems[0], ConcurrentRunError):
            raise problems[0] from None
        if problems or _is_concurrent(str(failure)):
            raise ConcurrentRunError(
                f"another run is taking in {source.name}", where=checkpoint, hint="nothing was lost; run again when it is done"
            ) from None
        raise


def read_lines(spark: SparkSession, source: Source, batch: Batch, unreadable: Sequence[str] = ()) -> DataFrame:
    """The rows of `bronze.<source>` of one batch: every line as text, parquet rows as JSON.

    Grain: one row per line; one row with a null `value` for each file in `unreadable`.
    """
    provenance = [
        F.lit(source.name).alias("_source"),
        F.col("_source_file"),
        F.col("_source_row"),
        as_received_at(batch.received_at),
    ]
    names = bronze(source.name).schema.names
    nothing = spark.createDataFrame(
        [(None, uri, 0) for uri in unreadable], "value STRING, _source_file STRING, _source_row BIGINT"
    ).select("value", *provenance)
    uris = [file.uri for file in batch.files if file.uri not in set(unreadable)]
    if not uris:
        return nothing.select(*names)
    lines = _scan(spark, source.files, uris).select("value", *provenance)
    return (lines.unionByName(nothing) if unreadable else lines).select(*names)


def write_file_lines(spark: SparkSession, source: Source, batch: Batch, write: Callable[[DataFrame], object]) -> None:
    """Hand the lines of a batch to `write`; if a file cannot be read to its end, again without its lines."""
    try:
        write(read_lines(spark, source, batch))
    except SPARK_ERRORS as error:
        if not _is_read_failure(error):
            raise
        write(read_lines(spark, source, batch, _unreadable_files(spark, source, batch)))


def in_order_of_batches(spark: SparkSession, checkpoint: str, uris: Iterable[str]) -> list[str]:
    """Sort files as `_planned_batch` sorts those of one batch: by the time that Spark noted of each when it came."""
    hadoop = Hadoop(spark)
    logs = hadoop.glob(f"{checkpoint}/sources/0/[0-9]*")
    lines = [line for log in logs for line in hadoop.read_text(str(log.getPath().toString())).splitlines()[1:]]
    entries = [json.loads(line) for line in lines]
    modified_at = {hadoop.as_metadata(entry["path"]): entry["timestamp"] for entry in entries}
    return sorted(uris, key=lambda uri: (modified_at.get(uri, 0), uri))


@dataclass(frozen=True)
class Plan:
    """What a query wrote into its own log before it started a batch."""

    stream: str
    received_at: datetime
    until: dict[str, Any]
    since: dict[str, Any] | None
    """Where the batch before ended; None: there was none."""


def read_plan(spark: SparkSession, checkpoint: str, number: int) -> Plan:
    """The plan of a batch: the same however often it is done."""
    hadoop = Hadoop(spark)
    _, planned, until, *_ = hadoop.read_text(f"{checkpoint}/offsets/{number}").splitlines()
    since = hadoop.read_text(f"{checkpoint}/offsets/{number - 1}").splitlines()[2] if number > 0 else None
    received_at = datetime.fromtimestamp(json.loads(planned)["batchTimestampMs"] / 1000, timezone.utc)
    stream = json.loads(hadoop.read_text(f"{checkpoint}/metadata"))["id"]
    return Plan(stream, received_at, json.loads(until), json.loads(since) if since else None)


def _planned_batch(spark: SparkSession, checkpoint: str, number: int) -> Batch:
    plan, hadoop = read_plan(spark, checkpoint, number), Hadoop(spark)
    first, last = plan.since["logOffset"] + 1 if plan.since else 0, plan.until["logOffset"]
    entries = [entry for index in range(first, last + 1) for entry in _file_log(hadoop, checkpoint, index)]
    files = [
        RawFile(hadoop.as_metadata(entry["path"]), datetime.fromtimestamp(entry["timestamp"] / 1000, timezone.utc))
        for entry in entries
    ]
    in_order = tuple(sorted(files, key=lambda file: (file.modified_at, file.uri)))
    return Batch(plan.stream, number, plan.received_at, in_order)


def _file_log(hadoop: Hadoop, checkpoint: str, index: int) -> list[dict[str, Any]]:
    log = f"{checkpoint}/sources/0/{index}"
    path = log if hadoop.exists(log) else f"{log}.compact"
    entries = [json.loads(line) for line in hadoop.read_text(path).splitlines()[1:]]
    return [entry for entry in entries if entry["batchId"] == index]


def _scan(spark: SparkSession, files: Files, uris: Sequence[str]) -> DataFrame:
    hadoop = Hadoop(spark)
    if files.format == "parquet":
        by_columns: dict[tuple[str, ...], list[str]] = {}
        for uri in uris:
            by_columns.setdefault(hadoop.parquet_columns(uri), []).append(uri)
        return reduce(DataFrame.unionByName, [_scan_parquet(spark, hadoop, alike) for alike in by_columns.values()])
    lines = spark.read.text([_path_of(hadoop, uri) for uri in uris])
    return lines.select("value", F.col("_metadata.file_path").alias("_source_file"), row_in_file())


def _scan_parquet(spark: SparkSession, hadoop: Hadoop, uris: Sequence[str]) -> DataFrame:
    """Rows of files with the same columns as JSON, so that each has its file's own keys and no others."""
    rows = spark.read.option("mergeSchema", "true").parquet(*[_path_of(hadoop, uri) for uri in uris])
    value = F.to_json(F.struct(*rows.columns), {"ignoreNullFields": "false"})
    return rows.select(value.alias("value"), F.col("_metadata.file_path").alias("_source_file"), row_in_file())


def row_in_file() -> Column:
    """`_source_row` of what Spark reads from files: in the order of each file, but no line number."""
    share = F.shiftright(F.col("_metadata.file_block_start"), BYTES_PER_SHARE_UNIT)
    row = F.monotonically_increasing_id().bitwiseAND(F.lit((1 << BITS_OF_ROW) - 1))
    return (F.shiftleft(share, BITS_OF_ROW) + row).alias("_source_row")


def as_received_at(moment: datetime) -> Column:
    return F.timestamp_millis(F.lit(round(moment.timestamp() * 1000))).alias("_ingested_at")


def _unreadable_files(spark: SparkSession, source: Source, batch: Batch) -> list[str]:
    """Files that cannot be read to their end: a truncated archive, say. Reads each one, so only after a failure."""
    return [file.uri for file in batch.files if not _is_readable(spark, source.files, file.uri)]


def _is_readable(spark: SparkSession, files: Files, uri: str) -> bool:
    try:
        _scan(spark, files, [uri]).agg(F.sum(F.length("value"))).head()
    except SPARK_ERRORS as error:
        if _is_read_failure(error):
            return False
        raise
    return True


def _is_read_failure(error: Exception) -> bool:
    text = str(error)
    return any(sign in text for sign in ("FAILED_READ_FILE", "CANNOT_READ_FILE_FOOTER", "PATH_NOT_FOUND"))


def _path_of(hadoop: Hadoop, uri: str) -> str:
    """The path behind an encoded URI, so written that Spark does not take its brackets for a pattern."""
    plain = hadoop.plain(uri)
    return "".join(f"\\{character}" if character in GLOB_CHARACTERS else character for character in plain)


def _is_concurrent(text: str) -> bool:
    return any(sign in text for sign in ("Multiple streaming queries are concurrently using", "CONCURRENT_QUERY"))


def _as_pattern(spark: SparkSession, path: str) -> str:
    """The path of one file as a pattern that only it matches: without wildcards, the file source takes it for a folder."""
    is_pattern = any(character in path for character in GLOB_CHARACTERS)
    is_file = not is_pattern and all(status.isFile() for status in Hadoop(spark).glob(path))
    return f"{path[:-1]}[{path[-1]}]" if is_file else path
