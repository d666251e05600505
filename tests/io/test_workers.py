"""Kernels in Python workers."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql.types import LongType, StructField, StructType

from turbine_health.io.workers import by_workers


def test_what_a_worker_has_imported_is_not_looked_at_after_each_task(spark: SparkSession) -> None:
    def looked_at(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _ in batches:
            yield pa.record_batch({"kept": [gc.get_freeze_count()], "looked_at": [len(gc.get_objects())]})

    columns = StructType([StructField("kept", LongType()), StructField("looked_at", LongType())])
    (found,) = by_workers(spark.range(1, numPartitions=1), looked_at, columns).collect()
    assert found["kept"] > 10 * found["looked_at"]
