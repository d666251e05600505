"""Explore: what each source's readings hold, before any model, as one page."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from turbine_health.errors import DataError
from turbine_health.io.delta import TableStore
from turbine_health.models.wording import signal_title
from turbine_health.pipelines.report import EXPLORATION_PAGE, FLEET_PAGE, write_page
from turbine_health.reporting.exploration_page import SourceFrames, exploration_page
from turbine_health.settings import Settings
from turbine_health.sources import Source
from turbine_health.tables import ASSET_LIVES, sensor_readings
from turbine_health.transforms import exploration
from turbine_health.transforms.joint_moments import Axis, to_distributions

logger = logging.getLogger("turbine_health")

BINS = 60
DAYS_BEFORE_FAILURE = 60
# Wider than this, a calendar by day has more columns than a screen has dots to give them.
_LONGEST_CALENDAR_BY_DAY = 800


@dataclass(frozen=True)
class ExploreSummary:
    """What was looked at."""

    readings: int
    sources: int
    page: str

    def __str__(self) -> str:
        sources = "1 source" if self.sources == 1 else f"{self.sources} sources"
        return f"{self.readings:,} readings of {sources}; {self.page}"


def explore(store: TableStore, settings: Settings) -> ExploreSummary:
    """Write the exploration page. The same tables give the same page, byte for byte.

    Raises:
        DataError: None of the settings' sources has a reading.
    """
    readings = store.read(sensor_readings(settings.signal_names))
    lives = store.read(ASSET_LIVES).cache()
    daily = exploration.to_daily_summary(readings, settings.signal_names).cache()
    started = time.monotonic()
    facts = {row["_source"]: row for row in exploration.to_source_facts(daily, settings.signal_names).collect()}
    rows = sum(row["readings"] for row in facts.values())
    logger.info("summarised %s readings by turbine and day (%.0f s)", f"{rows:,}", time.monotonic() - started)
    present = [source for source in settings.sources if source.name in facts]
    if not present:
        raise DataError("no reading of any source of these settings", where="silver.sensor_readings", hint="run jobs/ingest.py")
    frames = []
    for place, source in enumerate(present, start=1):
        started = time.monotonic()
        is_of_it = F.col("_source") == source.name
        frames.append(
            _source_frames(source, facts[source.name], readings.filter(is_of_it), daily.filter(is_of_it), lives, settings)
        )
        logger.info("source %d of %d, %s (%.0f s)", place, len(present), source.name, time.monotonic() - started)
    page = exploration_page(frames, {"Turbines to look at": FLEET_PAGE})
    return ExploreSummary(rows, len(present), str(write_page(settings.storage, EXPLORATION_PAGE, page)))


def _source_frames(
    source: Source, facts: Row, readings: DataFrame, daily: DataFrame, lives: DataFrame, settings: Settings
) -> SourceFrames:
    signals = [signal.name for signal in source.signals]
    axes = {name: _axis(facts, name) for name in signals if facts[f"{name}__low"] is not None}
    histograms, correlations = to_distributions(readings, axes, BINS)
    health = exploration.to_sensor_health(daily, signals).limit(settings.report.page_turbines).toPandas()
    shown = F.col("asset_id").isin(*health["asset_id"])
    period: exploration.Period = "day" if (facts["last_day"] - facts["first_day"]).days <= _LONGEST_CALENDAR_BY_DAY else "week"
    per_day = 1_440 / source.sampling_minutes
    of_source = lives.join(daily.select("asset_id").distinct(), on="asset_id", how="left_semi")
    return SourceFrames(
        name=source.name,
        description=source.description,
        titles={signal.name: signal_title(signal.name, signal.unit) for signal in source.signals},
        facts=_facts_in_words(facts, of_source, per_day),
        missing=exploration.to_missing_shares(daily, signals, period).toPandas(),
        coverage=exploration.to_coverage(daily.filter(shown), period, per_day).toPandas(),
        health=health,
        flags=exploration.to_flag_counts(readings).toPandas(),
        histograms=histograms.orderBy("signal", "bin").toPandas(),
        axes={name: (axis.low, axis.high) for name, axis in axes.items()},
        correlations=correlations.orderBy("first", "second").toPandas(),
        lives=of_source.filter(shown).orderBy("asset_id", "life_number").toPandas(),
        before_failure=exploration.to_days_before_failure(daily, of_source, signals, DAYS_BEFORE_FAILURE).toPandas(),
        turbines_hidden=facts["turbines"] - len(health),
    )


def _axis(facts: Row, signal: str) -> Axis:
    """A signal that never changes still needs an axis of some length."""
    low, high = facts[f"{signal}__low"], facts[f"{signal}__high"]
    return Axis(low, high) if high > low else Axis(low - 0.5, low + 0.5)


def _facts_in_words(facts: Row, lives: DataFrame, per_day: float) -> dict[str, str]:
    days = (facts["last_day"] - facts["first_day"]).days + 1
    ended: Any = lives.agg(F.count_if("ended_in_failure").alias("failures"), F.count("*").alias("lives")).first()
    return {
        "Readings": f"{facts['readings']:,}",
        "Turbines": f"{facts['turbines']:,}",
        "From": f"{facts['first_day']:%d %b %Y}",
        "To": f"{facts['last_day']:%d %b %Y}",
        "Failures": f"{ended['failures']:,} in {ended['lives']:,} runs",
        "Of a full record": f"{min(facts['readings'] / (facts['turbines'] * days * per_day), 1):.1%}",
    }
