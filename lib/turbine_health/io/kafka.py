"""The edge of ingest where logs come as messages of a Kafka topic: one message is one row.

As with files, Spark's checkpoint says which messages are new, and a batch that was planned but not finished comes
again with the same number, offsets and time.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from py4j.protocol import Py4JError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from turbine_health.errors import SourceError
from turbine_health.io.hadoop import Hadoop
from turbine_health.io.raw_files import Batch, RawFile, as_received_at, read_plan, take_arriving
from turbine_health.sources import Source
from turbine_health.tables import bronze

# A batch is bounded by messages, and a message of a turbine's ten signals has about this many bytes.
BYTES_A_MESSAGE = 200
CONNECT_TIMEOUT_MS = 20_000


def require_topic(spark: SparkSession, source: Source) -> None:
    """Refuse a broker that does not answer and a topic that is not there, before a checkpoint is made for it.

    Raises:
        SourceError: The connector's jars are missing, no broker answers, or there is no such topic.
    """
    where = f"source {source.name}, {source.files.path}"
    try:
        topics = _topics(spark, source)
    except TypeError:
        raise SourceError(
            "Spark's Kafka connector is not there", where=where,
            hint="add `extends: conf/kafka.yaml` to the settings, or its package to spark-submit's --packages",
        ) from None  # fmt: skip
    except Py4JError:
        raise SourceError(
            "no Kafka broker answers", where=where, hint="check files.path, and files.options for its security"
        ) from None
    if source.files.topic not in topics:
        raise SourceError(f"there is no topic {source.files.topic}", where=where, hint="check files.topic, or create it")


def take_new_messages(
    spark: SparkSession, source: Source, checkpoint: str, max_batch_mb: int, take: Callable[[Batch], None]
) -> None:
    """Hand every message that was not taken yet to `take`, in batches of about `max_batch_mb`.

    Raises:
        TurbineHealthError: Whatever `take` raised; the batch comes again next time.
        ConcurrentRunError: Another run is taking the same messages.
    """
    arriving = (
        spark.readStream.format("kafka")
        .options(**_options(source))
        .option("subscribe", str(source.files.topic))
        .option("startingOffsets", "earliest")
        .option("maxOffsetsPerTrigger", max_batch_mb * 1024 * 1024 // BYTES_A_MESSAGE)
        .load()
    )
    take_arriving(arriving, source, checkpoint, lambda number: take(_planned_batch(spark, source, checkpoint, number)))


def read_messages(spark: SparkSession, source: Source, batch: Batch) -> DataFrame:
    """The rows of `bronze.<source>` of one batch.

    Grain: one row per message; `_source_file` is its topic and partition, `_source_row` its offset. A message
    without a value is an empty line.
    """
    offsets = {_partition(file): file.offsets for file in batch.files if file.offsets}
    first, last = ({str(number): span[end] for number, span in offsets.items()} for end in (0, 1))
    messages = (
        spark.read.format("kafka")
        .options(**_options(source))
        .option("assign", json.dumps({source.files.topic: sorted(offsets)}))
        .option("startingOffsets", json.dumps({source.files.topic: first}))
        .option("endingOffsets", json.dumps({source.files.topic: last}))
        .load()
    )
    return messages.select(
        F.coalesce(F.col("value").cast("string"), F.lit("")).alias("value"),
        F.lit(source.name).alias("_source"),
        F.concat(F.lit(f"{_place(source)}/"), F.col("partition")).alias("_source_file"),
        F.col("offset").alias("_source_row"),
        as_received_at(batch.received_at),
    ).select(*bronze(source.name).schema.names)


def _planned_batch(spark: SparkSession, source: Source, checkpoint: str, number: int) -> Batch:
    plan, topic = read_plan(spark, checkpoint, number), str(source.files.topic)
    # A partition that is new since the batch before starts at its first message, like all of the first batch.
    since = {**_first_offsets(spark, checkpoint)[topic], **(plan.since[topic] if plan.since else {})}
    spans = {int(partition): (since.get(partition, 0), end) for partition, end in plan.until[topic].items()}
    files = [
        RawFile(f"{_place(source)}/{partition}", plan.received_at, span)
        for partition, span in sorted(spans.items())
        if span[0] < span[1]
    ]
    return Batch(plan.stream, number, plan.received_at, tuple(files))


def _first_offsets(spark: SparkSession, checkpoint: str) -> dict[str, dict[str, int]]:
    """Where the stream began, which Spark wrote down when it first looked at the topic."""
    text = Hadoop(spark).read_text(f"{checkpoint}/sources/0/0")
    return dict(json.loads(text[text.index("{") :]))


def _place(source: Source) -> str:
    return f"kafka:/{source.files.topic}"


def _partition(file: RawFile) -> int:
    return int(file.uri.rpartition("/")[2])


def _options(source: Source) -> dict[str, str]:
    return {"kafka.bootstrap.servers": source.files.path, "failOnDataLoss": "true", **source.files.options}


def _topics(spark: SparkSession, source: Source) -> set[str]:
    context: Any = spark.sparkContext
    properties = context._jvm.java.util.Properties()
    for name, value in _options(source).items():
        if name.startswith("kafka."):
            properties.put(name.removeprefix("kafka."), value)
    for timeout in ("request.timeout.ms", "default.api.timeout.ms"):
        properties.put(timeout, str(CONNECT_TIMEOUT_MS))
    admin = context._jvm.org.apache.kafka.clients.admin.AdminClient.create(properties)
    try:
        return set(admin.listTopics().names().get())
    finally:
        admin.close()
