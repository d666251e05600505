"""Events and lives, built anew from the event logs and silver; written only where they changed."""

from __future__ import annotations

import logging
from contextlib import ExitStack, nullcontext
from datetime import datetime, timedelta, timezone
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from turbine_health.errors import ConcurrentRunError
from turbine_health.io.delta import TableStore
from turbine_health.io.encoded_files import small_batches
from turbine_health.io.event_logs import read_event_log
from turbine_health.io.local_rows import local_rows
from turbine_health.io.short_plans import cached_with_short_plan, for_few_rows
from turbine_health.pipelines.bronze_layouts import layouts_in_bronze
from turbine_health.settings import Settings
from turbine_health.sources import EventLog, FlagColumn, LastReading, Source
from turbine_health.tables import ASSET_EVENTS, ASSET_LIVES, PROVENANCE, QUARANTINED_EVENTS, bronze, sensor_readings
from turbine_health.transforms.cleaning import raw_name, to_rows
from turbine_health.transforms.events import (
    failures_at_last_reading,
    failures_while_flagged,
    filter_out_of_log,
    to_judged_events,
)
from turbine_health.transforms.layouts import LAYOUT_SCHEMA, common_positions
from turbine_health.transforms.lives import to_lives, to_outages
from turbine_health.transforms.silver_rows import SPANS, spanning

logger = logging.getLogger("turbine_health")

# Another run that writes events and lives takes a few seconds for it.
ATTEMPTS = 3


def update_lives(store: TableStore, settings: Settings) -> None:
    """Bring `silver.asset_events`, `silver.asset_lives` and `quarantine.asset_events` up to date.

    Raises:
        SourceError: An event log that is not there, or lacks a column that the description names.
        ConcurrentRunError: Other runs write them, again and again.
    """
    with_flags = any(isinstance(source.failures, FlagColumn) for source in settings.sources)
    # Only of flags is there a row of Spark's for each reading.
    with small_batches(store.spark), nullcontext() if with_flags else for_few_rows(store.spark):
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return _update_lives(store, settings)
            except ConcurrentRunError as rival:
                if attempt == ATTEMPTS:
                    raise
                logger.info("%s; events and lives are computed again, from what is there now", rival.what)


def _update_lives(store: TableStore, settings: Settings) -> None:
    with ExitStack() as held:
        spans = _held(_spans(store, settings), held)
        events, rejected = store.empty(ASSET_EVENTS), store.empty(QUARANTINED_EVENTS)
        for source in settings.sources:
            if isinstance(source.failures, EventLog):
                latest = datetime.now(timezone.utc) + timedelta(minutes=settings.ingest.max_future_minutes)
                judged = _held(_written_events(store, source, source.failures, spans, latest), held)
                kept = _known_events(store, source).transform(filter_out_of_log, judged)
                events = events.unionByName(judged.where("counts").select(*events.columns)).unionByName(kept)
                rejected = rejected.unionByName(judged.where(F.size("reasons") > 0).select(*rejected.columns))
            elif isinstance(source.failures, LastReading):
                own = spans.where(F.col("_source") == source.name)
                events = events.unionByName(failures_at_last_reading(own, source.name, source.step).select(*events.columns))
            elif isinstance(source.failures, FlagColumn) and store.exists(bronze(source.name)):
                flags = _flags(store, settings, source, source.failures)
                events = events.unionByName(failures_while_flagged(flags, source.name).select(*events.columns))
        ends = F.min("first_reading").alias("first_reading"), F.max("records_end").alias("records_end")
        events = _held(events, held)
        lives = spans.groupBy("asset_id").agg(*ends).transform(to_lives, events.transform(to_outages))
        store.overwrite_those_changed((rejected, QUARANTINED_EVENTS), (events, ASSET_EVENTS), (lives, ASSET_LIVES))


def _held(frame: DataFrame, held: ExitStack) -> DataFrame:
    """Cached until `held` ends."""
    cached = cached_with_short_plan(frame)
    held.callback(cached.unpersist)
    return cached


def _spans(store: TableStore, settings: Settings) -> DataFrame:
    """First and last reading of each turbine and source; `ends_in_failure` where the last one comes before a failure."""
    columns = ["asset_id", "_source", "event_time"]
    if any(isinstance(source.failures, LastReading) for source in settings.sources):
        columns.append("_source_file")
    found = store.read_by_kernel(sensor_readings(settings.signal_names), columns, spanning(), SPANS)
    by_source = found.groupBy("asset_id", "_source").agg(
        F.min("first_reading").alias("first_reading"), F.max("last_reading").alias("last_reading"),
        F.max_by("last_file", "last_reading").alias("last_file"),
    )  # fmt: skip
    parts = [_span_of(by_source.where(F.col("_source") == source.name), source) for source in settings.sources]
    return reduce(DataFrame.unionByName, parts)


def _span_of(spans: DataFrame, source: Source) -> DataFrame:
    ends = F.lit(False)
    if isinstance(source.failures, LastReading):
        name = F.url_decode(F.element_at(F.split("last_file", "/"), -1))
        ends = name.rlike(glob_as_regex(source.failures.file_glob))
    return spans.select(
        "asset_id", "_source", "first_reading", "last_reading",
        (F.col("last_reading") + F.lit(source.step)).alias("records_end"), ends.alias("ends_in_failure"),
    )  # fmt: skip


def glob_as_regex(pattern: str) -> str:
    """A file-name pattern with `*` and `?` as a regular expression that Java reads too."""
    escaped = "".join(
        {"*": ".*", "?": "."}.get(character, f"\\{character}" if not character.isalnum() else character)
        for character in pattern
    )
    return f"^{escaped}$"


def _flags(store: TableStore, settings: Settings, source: Source, failures: FlagColumn) -> DataFrame:
    """Whether each reading of silver carries the failure flag; only bronze holds it."""
    lines = store.read(bronze(source.name))
    layouts = layouts_in_bronze(store, source, lines)
    files = local_rows(store.spark, [layout.as_row() for layout in layouts], LAYOUT_SCHEMA)
    rows = lines.transform(to_rows, files, source, common_positions(layouts))
    is_failed = F.coalesce(F.trim(raw_name(source, failures.column)) == failures.failed_value, F.lit(False))
    flagged = rows.select(*PROVENANCE, is_failed.alias("is_failed"))
    silver = store.read(sensor_readings(settings.signal_names))
    readings = silver.where(F.col("_source") == source.name).select("asset_id", "event_time", *PROVENANCE)
    return readings.join(flagged, on=list(PROVENANCE), how="inner")


def _known_events(store: TableStore, source: Source) -> DataFrame:
    known = store.read(ASSET_EVENTS) if store.exists(ASSET_EVENTS) else store.empty(ASSET_EVENTS)
    return known.where(F.col("_source") == source.name)


def _written_events(store: TableStore, source: Source, log: EventLog, spans: DataFrame, latest: datetime) -> DataFrame:
    assets = spans.select(F.col("asset_id").alias("_known")).distinct()
    entries = read_event_log(store.spark, source, log)
    known = entries.join(F.broadcast(assets), on=F.trim(log.asset_column) == F.col("_known"), how="left")
    is_known = F.col("_known").isNotNull() | F.coalesce(F.trim(log.asset_column).isin(*source.asset_id.known), F.lit(False))
    return known.withColumn("is_known_asset", is_known).transform(to_judged_events, log, source.name, latest)
