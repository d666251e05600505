"""From events to lives: one life is one run of a turbine between repairs."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F


def to_outages(events: DataFrame) -> DataFrame:
    """Join failures and repairs of one turbine that overlap into outages.

    A repair after a failure without an end is that failure's repair. Maintenance and stops end no life.

    Grain: one row per outage; outages of one turbine do not overlap.

    Args:
        events: Rows of `silver.asset_events`.

    Returns:
        `asset_id`, `down_from`, `down_until` (null: no end is known), `is_failure`, and `failure_mode`, the
        component of its first failure.
    """
    outages = events.where(F.col("event_type").isin("failure", "repair"))
    in_time = Window.partitionBy("asset_id").orderBy("started_at", F.col("event_type").asc(), "ended_at")
    before = in_time.rowsBetween(Window.unboundedPreceding, -1)
    so_far = in_time.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    is_apart = F.col("started_at") > F.max(F.coalesce("ended_at", "started_at")).over(before)
    mends_the_open_one = F.lag(F.col("ended_at").isNull()).over(in_time) & (F.col("event_type") == "repair")
    is_first = F.coalesce(is_apart & ~mends_the_open_one, F.lit(True))
    grouped = outages.withColumn("_is_first", is_first).withColumn("_outage", F.count_if("_is_first").over(so_far))
    is_failure = F.col("event_type") == "failure"
    return grouped.groupBy("asset_id", "_outage").agg(
        F.min("started_at").alias("down_from"),
        F.max("ended_at").alias("down_until"),
        F.bool_or(is_failure).alias("is_failure"),
        F.min_by("component", F.struct(~is_failure, "started_at")).alias("failure_mode"),
    ).drop("_outage")  # fmt: skip


def to_lives(spans: DataFrame, outages: DataFrame) -> DataFrame:
    """Cut the records of each turbine into lives.

    After an outage whose end nobody wrote down the next life starts at once if another outage follows,
    for then the turbine must have run; else the turbine is taken to be down until the records end.

    Grain: one row per `asset_id` and `life_number`; lives do not overlap, the end is excluded.

    Args:
        spans: Needs `asset_id` (unique), `first_reading` and `records_end` (UTC).
        outages: From `to_outages`; those of turbines without readings are ignored.

    Returns:
        Columns of `silver.asset_lives`.
    """
    in_time = Window.partitionBy("asset_id").orderBy("down_from")
    known = outages.join(spans, on="asset_id", how="inner").withColumns({
        "_after": F.lag(F.coalesce("down_until", "down_from")).over(in_time),
        "_is_last": F.lead("down_from").over(in_time).isNull(),
    })  # fmt: skip
    ended = known.select(
        "asset_id",
        F.coalesce("_after", "first_reading").alias("life_start"),
        F.col("down_from").alias("life_end"),
        F.col("is_failure").alias("ended_in_failure"),
        F.lit(False).alias("is_running"),
        F.when(F.col("is_failure"), F.col("failure_mode")).alias("failure_mode"),
        "down_until",
    )
    last = known.where("_is_last").select("asset_id", "down_from", "down_until")
    is_up_again = F.col("down_from").isNull() | F.col("down_until").isNotNull()
    running = spans.join(last, on="asset_id", how="left").where(is_up_again).select(
        "asset_id",
        F.greatest("down_until", "first_reading").alias("life_start"),
        F.col("records_end").alias("life_end"),
        F.lit(False).alias("ended_in_failure"),
        F.lit(True).alias("is_running"),
        F.lit(None).cast("string").alias("failure_mode"),
        F.lit(None).cast("timestamp").alias("down_until"),
    )  # fmt: skip
    lives = ended.unionByName(running).where(F.col("life_start") < F.col("life_end"))
    number = F.row_number().over(Window.partitionBy("asset_id").orderBy("life_start"))
    return lives.withColumn("life_number", number)
