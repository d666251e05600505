"""What people, counters and flags say about failures, as one kind of event."""

from __future__ import annotations

from datetime import datetime, timedelta

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from turbine_health.sources import EventLog, Timestamps
from turbine_health.transforms.cleaning import stamped_time
from turbine_health.transforms.quality import SEPARATOR, Rule, as_array

EVENT_TYPES = ("failure", "repair", "maintenance", "stop")
# An entry of the same turbine that starts this close to a known event is that event, corrected.
SAME_EVENT = timedelta(days=2)
# Whether an entry can count: as it is, without its end, or not at all.
WHOLE, OPEN, UNUSABLE = 0, 1, 2


def to_judged_events(entries: DataFrame, log: EventLog, source_name: str, latest: datetime) -> DataFrame:
    """Read a written event log and judge every entry.

    Grain: one row per entry.

    Args:
        entries: The log's columns as text, `_source_row`, `_log_order` (greater further down, and in a later
            file), and `is_known_asset`.
        log: Which columns mean what.
        source_name: For `_source`.
        latest: A later time cannot have come yet.

    Returns:
        `asset_id`, `event_type`, `started_at`, `ended_at`, `component`, `_source`, `_source_row`, `value` (the
        entry as JSON), `reasons`, and `counts`. Of the entries of one turbine, type and start one counts: the
        last one without another reason, else the last failure of which only the end is wrong, with a null end.
    """
    times = Timestamps(column=log.started_column, format=log.time_format, time_zone=log.time_zone)
    kind = F.lower(F.trim(log.type_column)) if log.type_column else F.lit("failure")
    component = F.nullif(F.trim(log.component_column), F.lit("")) if log.component_column else F.lit(None).cast("string")
    ended_text = F.nullif(F.trim(log.ended_column), F.lit("")) if log.ended_column else F.lit(None).cast("string")
    read = entries.select(
        F.nullif(F.trim(log.asset_column), F.lit("")).alias("asset_id"),
        kind.alias("event_type"),
        stamped_time(F.trim(log.started_column), times, F.lit(log.time_zone)).alias("started_at"),
        stamped_time(ended_text, times, F.lit(log.time_zone)).alias("ended_at"),
        component.alias("component"),
        F.lit(source_name).alias("_source"),
        "_source_row",
        "value",
        "is_known_asset",
        "_log_order",
        ended_text.isNotNull().alias("_has_end_text"),
    )
    ranked = read.withColumn("_use", _use(latest)).withColumn("_rank", _rank())
    counts = (F.col("_use") != UNUSABLE) & (F.col("_rank") == 1)
    judged = ranked.withColumns({"reasons": _reasons(*_rules(latest), _superseded()), "counts": counts})
    ended_at = F.when(F.col("_use") != OPEN, F.col("ended_at"))
    return judged.withColumn("ended_at", ended_at).drop("is_known_asset", "_log_order", "_has_end_text", "_use", "_rank")


def filter_out_of_log(known: DataFrame, entries: DataFrame) -> DataFrame:
    """Keep known events from before the log begins: logs are rotated, and what happened stays true.

    Grain: that of `known`.

    Args:
        known: Rows of `silver.asset_events` of one source.
        entries: Its log as it is now, from `to_judged_events`.

    Returns:
        Events older than every entry that counts, unless an entry of the turbine is so near that it is the
        same event, corrected. A log without entries contradicts nothing.
    """
    counting = entries.where("counts").select(F.col("asset_id"), F.col("started_at").alias("_start"))
    first = counting.agg(F.min("_start").alias("_first"))
    is_before = F.col("_first").isNull() | (F.col("started_at") < F.col("_first"))
    older = known.join(F.broadcast(first), how="cross").where(is_before).drop("_first")
    is_corrected = (F.col("known.asset_id") == F.col("entry.asset_id")) & (
        F.col("entry._start") <= F.col("known.started_at") + F.lit(SAME_EVENT)
    )
    return older.alias("known").join(counting.alias("entry"), on=is_corrected, how="left_anti")


def failures_at_last_reading(spans: DataFrame, source_name: str, step: timedelta) -> DataFrame:
    """The step after the last reading of a series is its failure.

    Grain: one row per turbine whose series `ends_in_failure`.

    Args:
        spans: Needs `asset_id`, `last_reading` (UTC) and `ends_in_failure`.
        source_name: For `_source`.
        step: Of the counter; the failure comes at the end of the last one.
    """
    return spans.where("ends_in_failure").select(
        "asset_id",
        F.lit("failure").alias("event_type"),
        (F.col("last_reading") + F.lit(step)).alias("started_at"),
        F.lit(None).cast("timestamp").alias("ended_at"),
        F.lit(None).cast("string").alias("component"),
        F.lit(source_name).alias("_source"),
    )


def failures_while_flagged(flags: DataFrame, source_name: str) -> DataFrame:
    """A turbine has failed from the first reading that carries the flag until the first one after that does not.

    Grain: one row per stretch of flagged readings.

    Args:
        flags: Needs `asset_id`, `event_time` (unique per turbine) and `is_failed`.
        source_name: For `_source`.

    Returns:
        Columns of `silver.asset_events`; `ended_at` is null while the last reading carries the flag.
    """
    in_time = Window.partitionBy("asset_id").orderBy("event_time")
    is_turn = F.col("is_failed") != F.coalesce(F.lag("is_failed").over(in_time), F.lit(False))
    turns = flags.withColumn("_is_turn", is_turn).where("_is_turn")
    return turns.withColumn("ended_at", F.lead("event_time").over(in_time)).where("is_failed").select(
        "asset_id",
        F.lit("failure").alias("event_type"),
        F.col("event_time").alias("started_at"),
        "ended_at",
        F.lit(None).cast("string").alias("component"),
        F.lit(source_name).alias("_source"),
    )  # fmt: skip


def _use(latest: datetime) -> Column:
    """A failure without a known end still ends a life; without its failure, the life would end in nothing."""
    is_wrong_end_alone = (F.size(_reasons(*_start_rules(latest))) == 0) & (F.col("event_type") == "failure")
    is_whole = F.size(_reasons(*_rules(latest))) == 0
    return F.when(is_whole, WHOLE).when(is_wrong_end_alone, OPEN).otherwise(UNUSABLE)


def _rank() -> Column:
    best_first = [F.col("_use").asc(), F.col("_log_order").desc()]
    return F.row_number().over(Window.partitionBy("asset_id", "event_type", "started_at").orderBy(*best_first))


def _reasons(*rules: Rule) -> Column:
    return as_array(F.concat_ws(SEPARATOR, *[F.concat(F.lit(f"{rule.code}: "), rule.complaint) for rule in rules]))


def _rules(latest: datetime) -> list[Rule]:
    return [*_start_rules(latest), *_end_rules(latest)]


def _start_rules(latest: datetime) -> list[Rule]:
    is_type = F.coalesce(F.col("event_type").isin(*EVENT_TYPES), F.lit(False))
    is_ahead = F.col("started_at") > F.lit(latest)
    return [
        Rule("missing_asset", F.when(F.col("asset_id").isNull(), F.lit("the entry names no turbine"))),
        Rule("unknown_asset", F.when(~F.col("is_known_asset"), F.lit("no reading of this turbine was ever received"))),
        Rule("unknown_type", F.when(~is_type, F.lit(f"the type is none of {', '.join(EVENT_TYPES)}"))),
        Rule("unreadable_time", F.when(F.col("started_at").isNull(), F.lit("the start cannot be read as a time"))),
        Rule("future_time", F.when(is_ahead, F.lit("it starts later than the log was read"))),
    ]


def _end_rules(latest: datetime) -> list[Rule]:
    is_unreadable = F.col("_has_end_text") & F.col("ended_at").isNull()
    ends_early = F.col("ended_at") < F.col("started_at")
    is_ahead = F.col("ended_at") > F.lit(latest)
    return [
        Rule("unreadable_time", F.when(is_unreadable, F.lit("the end cannot be read as a time"))),
        Rule("end_before_start", F.when(ends_early, F.lit("it ends before it starts"))),
        Rule("future_time", F.when(is_ahead, F.lit("it ends later than the log was read"))),
    ]


def _superseded() -> Rule:
    is_repeated = (F.col("_rank") > 1) & F.col("started_at").isNotNull()
    return Rule("superseded", F.when(is_repeated, F.lit("another entry of the same event counts")))
