"""Plans that take less time than the work they are for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyspark.sql import DataFrame, SparkSession

# A plan made anew after each shuffle, and code made and compiled for each step.
FOR_FEW_ROWS = {
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}


@contextmanager
def for_few_rows(spark: SparkSession) -> Iterator[None]:
    """What is planned meanwhile has few rows of Spark's own, whatever Python workers do with them: it is not compiled.

    A session's own settings are there again afterwards.
    """
    usual = {key: spark.conf.get(key) for key in FOR_FEW_ROWS}
    try:
        for key, value in FOR_FEW_ROWS.items():
            spark.conf.set(key, value)
        yield
    finally:
        for key, kept in usual.items():
            spark.conf.set(key, str(kept))


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
