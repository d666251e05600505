"""Cached rows behind a plan of one step."""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame


def cached_with_short_plan(frame: DataFrame) -> DataFrame:
    """The same rows, cached, that further queries take as they take a table.

    Spark plans, and compares with all that is cached, every step behind a frame again for each query on it; behind a union of
    many scored frames that takes longer than the query. A checkpoint would do the same, but a local one does not survive
    a lost worker, and another one leaves files behind. Here a lost part is made again, as always.

    Grain: as `frame`.
    """
    session: Any = frame.sparkSession
    rows: Any = frame._jdf
    # Spark's rows as they are: by its public way each would become an object and a row again.
    behind_one_step = session._jsparkSession.internalCreateDataFrame(rows.queryExecution().toRdd(), rows.schema(), False)
    return DataFrame(behind_one_step, session).cache()
