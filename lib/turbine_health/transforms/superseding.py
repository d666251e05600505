"""One row per turbine and time: the one received last. The others are superseded."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

MINUTE, HOUR = 60_000_000, 3_600_000_000  # microseconds
# Received later, in a later file of the same batch, further down in the same file: each beats the one before.
LATEST_FIRST = ("_ingested_at", "_file_order", "_source_row")


def to_hours(rows: DataFrame) -> DataFrame:
    """Count readings by turbine and hour, and prove cheaply that their keys are unique.

    Every minute of the hour is one bit. As many bits as readings, all on whole minutes: no key came twice.

    Grain: one row per `asset_id` and `hour_start`; rows with a null `asset_id` or `event_time` share one.

    Returns:
        `asset_id`, `hour_start` (UTC), `readings`, `first_time`, `last_time`, and `is_unique`: false
        means only that it is not proven.
    """
    micros = F.unix_micros("event_time")
    by_minute = rows.select(
        "asset_id",
        F.timestamp_micros(micros - micros % HOUR).alias("hour_start"),
        "event_time",
        F.expr(f"shiftleft(1L, cast(unix_micros(event_time) % {HOUR} div {MINUTE} as int))").alias("bit"),
        (micros % MINUTE != 0).alias("is_off_minute"),
    )
    hours = by_minute.groupBy("asset_id", "hour_start").agg(
        F.count("*").alias("readings"),
        F.min("event_time").alias("first_time"),
        F.max("event_time").alias("last_time"),
        F.bit_or("bit").alias("bits"),
        F.bool_or("is_off_minute").alias("has_off_minute"),
    )
    is_unique = (F.bit_count("bits") == F.col("readings")) & ~F.col("has_off_minute")
    return hours.select("asset_id", "hour_start", "readings", "first_time", "last_time", is_unique.alias("is_unique"))


def with_rank(readings: DataFrame) -> DataFrame:
    """Add `rank`, 1 for the reading received last of its turbine and time, and `_winner_file`, its file.

    Grain: that of `readings`.

    Args:
        readings: Needs `asset_id`, `event_time`, `_source_file` and the columns of `LATEST_FIRST`.
    """
    latest_first = Window.partitionBy("asset_id", "event_time").orderBy(*[F.col(name).desc() for name in LATEST_FIRST])
    whole_key = latest_first.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    return readings.withColumns({
        "rank": F.row_number().over(latest_first),
        "_winner_file": F.first("_source_file", ignorenulls=False).over(whole_key),
    })  # fmt: skip


def superseded_reasons(winner_file: Column) -> Column:
    """The reasons of a superseded row: only this one, it was good otherwise."""
    name = F.element_at(F.split(winner_file, "/"), -1)
    return F.array(F.concat(F.lit("superseded: a later reading of this turbine and time came in "), name))
