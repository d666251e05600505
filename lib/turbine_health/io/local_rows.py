"""Rows that this process knows, as a frame."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

import pandas as pd
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType


def local_rows(spark: SparkSession, rows: Sequence[Sequence[Any]], schema: StructType) -> DataFrame:
    """The rows as part of the plan; `createDataFrame(rows)` has Python workers unpickle them whenever they are read.

    Args:
        spark: The session.
        rows: Values in the order of `schema`; times without a zone are this machine's.
        schema: Of the frame.
    """
    fields = to_arrow_schema(schema, timezone="UTC")
    columns = [pa.array([_in_utc(row[place]) for row in rows], field.type) for place, field in enumerate(fields)]
    return spark.createDataFrame(pa.Table.from_arrays(columns, schema=fields), schema)


def local_table(spark: SparkSession, rows: pd.DataFrame, schema: StructType) -> DataFrame:
    """The same of a table of pandas, without times."""
    fields = to_arrow_schema(schema)
    return spark.createDataFrame(pa.Table.from_pandas(rows[schema.names], fields, preserve_index=False), schema)


def _in_utc(value: Any) -> Any:
    return value.astimezone(timezone.utc) if isinstance(value, datetime) else value
