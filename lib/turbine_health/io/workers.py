"""Work in Python workers, on columns."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.types import StructType

Kernel = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


def by_workers(rows: DataFrame, kernel: Kernel, made: StructType) -> DataFrame:
    """What `kernel` makes of each partition, with the columns of `made` in whatever order it gives them.

    As `mapInArrow`, which takes columns as they come, and without what PySpark does after each task: it then collects
    garbage, which goes through everything that the worker has ever imported: 45 ms a task, often more than the task takes.
    What is there when a worker begins its first task stays for good, so the collector is told so.
    """

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        if not gc.get_freeze_count():
            gc.freeze()
        return (_as_spark_takes_it(batch.select(made.names)) for batch in kernel(batches))

    return rows.mapInArrow(work, made)


def _as_spark_takes_it(batch: pa.RecordBatch) -> pa.RecordBatch:
    """With texts as texts, not as dictionaries."""
    columns = [each.dictionary_decode() if pa.types.is_dictionary(each.type) else each for each in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
