"""What people were given: of all that was ever scored, the one row for each window."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F


def served(predictions: DataFrame) -> DataFrame:
    """The prediction that people were given for each window: the champion's first.

    Grain: one row per `asset_id` and `window_end`.

    Args:
        predictions: Either prediction table. What-if scores are left out; a row without a prediction counts
            only where no champion gave one.
    """
    is_answer = (F.col("quality_status") == "ok").cast("int")
    first = Window.partitionBy("asset_id", "window_end").orderBy(is_answer.desc(), "scored_at", "model_version")
    champion = predictions.where("model_role = 'champion'").withColumn("_order", F.row_number().over(first))
    return champion.where("_order = 1").drop("_order")


def to_newest(rows: DataFrame) -> DataFrame:
    """Each turbine's newest window.

    Grain: one row per `asset_id`.

    Args:
        rows: One per `asset_id` and `window_end`, as from `served`.
    """
    newest_first = Window.partitionBy("asset_id").orderBy(F.col("window_end").desc())
    return rows.withColumn("_order", F.row_number().over(newest_first)).where("_order = 1").drop("_order")
