"""Stop 8 of the walk: from predictions to episodes, outcomes, drift, and what to do next."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import reduce
from time import perf_counter

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from turbine_health.feature_tables import signal_cells
from turbine_health.io.delta import TableStore
from turbine_health.io.short_plans import cached_with_short_plan
from turbine_health.io.tracking import Tracker
from turbine_health.monitor_tables import (
    ALERT_EPISODES,
    FEATURE_DRIFT,
    FLEET_STATUS,
    MAINTENANCE_WORKLIST,
    PREDICTION_OUTCOMES,
    REALISED_METRICS,
    RECOMMENDATIONS,
    UNWARNED_FAILURES,
)
from turbine_health.pipelines.failure_records import unrecorded_turbines
from turbine_health.settings import DriftSettings, Settings
from turbine_health.tables import ASSET_LIVES, FAILURE_PREDICTIONS, TIME_TO_FAILURE_PREDICTIONS, Table
from turbine_health.transforms.drift import Spans, to_drift, to_signal_days
from turbine_health.transforms.episodes import lives_known_at, to_episodes
from turbine_health.transforms.outcomes import to_outcomes, to_realised_metrics, to_unwarned_failures
from turbine_health.transforms.served import served
from turbine_health.transforms.worklist import to_fleet_status, to_recommendations, to_worklist

logger = logging.getLogger("turbine_health")


@dataclass(frozen=True)
class MonitorSummary:
    """What the monitor found; rows by table."""

    now: datetime
    rows: dict[str, int]
    changed: tuple[str, ...]

    def __str__(self) -> str:
        found = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in self.rows.items())
        return f"as of {self.now:%Y-%m-%d %H:%M} UTC: {found}; tables changed: {', '.join(self.changed) or 'none'}"


def monitor(
    store: TableStore, settings: Settings, now: datetime | None = None, trained_until: datetime | None = None
) -> MonitorSummary:
    """Bring every table that follows from the predictions up to date.

    All of them are made anew from the predictions, lives and cells up to `now`, so that a late event or
    a year of days in one run ends in the same rows; a table is written only where a row differs.

    Args:
        store: The lake.
        settings: Alerts, labels, drift and costs.
        now: The clock, UTC; nothing later is used. None: now.
        trained_until: End of the champion's training span, the reference of drift; None: all that is
            older than twice the recent days.

    Raises:
        TableError: There are no predictions yet.
    """
    moment = now or datetime.now(timezone.utc)
    clock = F.lit(moment)
    until_now = F.col("window_end") <= clock
    step = _Step(store)
    risks = step.held(served(store.read(FAILURE_PREDICTIONS).where(until_now)))
    days_left = step.held(served(store.read(TIME_TO_FAILURE_PREDICTIONS).where(until_now)))
    lives = step.held(lives_known_at(store.read(ASSET_LIVES), clock))

    episodes = step.write(to_episodes(risks, lives, settings.alerts), ALERT_EPISODES)
    unrecorded = unrecorded_turbines(store, settings)
    outcomes = step.write(_outcomes(risks, days_left, lives, settings, clock, unrecorded), PREDICTION_OUTCOMES)
    step.write(to_realised_metrics(outcomes), REALISED_METRICS)
    unwarned = step.write(to_unwarned_failures(risks, lives, episodes, settings.labels.horizon_days), UNWARNED_FAILURES)
    drift = step.write(_drift(store, settings, moment, trained_until), FEATURE_DRIFT)
    worklist = step.write(to_worklist(risks, days_left, episodes, lives, settings.costs), MAINTENANCE_WORKLIST)
    advice = step.write(to_recommendations(drift, episodes, unwarned, worklist, settings.drift), RECOMMENDATIONS)
    step.write(to_fleet_status(worklist, episodes, lives, drift, advice), FLEET_STATUS)
    step.let_go()
    return MonitorSummary(moment, step.rows, tuple(step.changed))


def champion_trained_until(tracker: Tracker, settings: Settings) -> datetime | None:
    """End of the days that the champion that raises alerts was trained on, UTC; None: there is no champion.

    Its run says where its training ended, or, where turbines and not weeks were held out, which days there were.
    """
    champion = tracker.champion(settings.mlflow.classifier_model)
    if champion is None:
        return None
    record = tracker.record(champion.run_id)
    try:
        until = datetime.fromisoformat(record.params["train_until"])
    except ValueError:
        until = datetime.fromisoformat(record.tags["data_span"].rpartition(" ")[2])
    return until if until.tzinfo else until.replace(tzinfo=timezone.utc)


def spans_to_compare(newest: datetime, settings: DriftSettings, trained_until: datetime | None) -> Spans:
    """The recent days up to the last whole one of the records, and where the days end that they are compared with.

    Args:
        newest: Of the cells, UTC.
        settings: How many days are recent.
        trained_until: End of the training span; None: as many days again before the recent ones.
    """
    recent_to = newest.replace(hour=0, minute=0, second=0, microsecond=0)
    recent_from = recent_to - timedelta(days=settings.recent_days)
    reference_to = min(trained_until or recent_from - timedelta(days=settings.recent_days), recent_from)
    return Spans(reference_to, recent_from, recent_to)


def _outcomes(
    risks: DataFrame,
    days_left: DataFrame,
    lives: DataFrame,
    settings: Settings,
    now: Column,
    unrecorded: tuple[str, ...],
) -> DataFrame:
    """Outcomes for each horizon among the predictions: a model keeps the one that it was trained for."""
    horizons = [row.horizon_days for row in risks.select("horizon_days").distinct().orderBy("horizon_days").collect()]
    each = [
        to_outcomes(
            risks.where(F.col("horizon_days") == horizon), days_left, lives,
            settings.labels.model_copy(update={"horizon_days": horizon}), now, unrecorded,
        )
        for horizon in horizons or [settings.labels.horizon_days]
    ]  # fmt: skip
    return reduce(DataFrame.unionByName, each)


def _drift(store: TableStore, settings: Settings, now: datetime, trained_until: datetime | None) -> DataFrame:
    """Drift up to the last whole day of records; no rows where there are no cells."""
    cells_table = signal_cells(settings.feature_signals)
    if not store.exists(cells_table):
        return store.empty(FEATURE_DRIFT)
    cells = store.read(cells_table).where(F.col("cell_start") < F.lit(now))
    newest = cells.agg(F.max(F.unix_seconds("cell_start")).alias("at")).head()
    if newest is None or newest["at"] is None:
        return store.empty(FEATURE_DRIFT)
    last = datetime.fromtimestamp(newest["at"], tz=timezone.utc)
    spans = spans_to_compare(last, settings.drift, trained_until)
    days = to_signal_days(cells.where(F.col("cell_start") < F.lit(spans.recent_to)), settings.feature_signals)
    return to_drift(days, spans, settings.drift)


class _Step:
    """Writes each table where it differs from what is there, and keeps the count of its rows.

    Rows that later tables are made from are computed once, and read again from memory behind a plan of one step.
    """

    def __init__(self, store: TableStore) -> None:
        self.store = store
        self.rows: dict[str, int] = {}
        self.changed: list[str] = []
        self._held: list[DataFrame] = []

    def held(self, frame: DataFrame) -> DataFrame:
        """The same rows, kept until `let_go`."""
        self._held.append(cached_with_short_plan(frame))
        return self._held[-1]

    def write(self, frame: DataFrame, table: Table) -> DataFrame:
        """The table as it is after the write."""
        started = perf_counter()
        rows = self.held(frame)
        result = self.store.overwrite_if_changed(rows, table)
        if result.version is not None:
            self.changed.append(table.identifier)
        self.rows[table.name] = result.rows or 0
        logger.info("%s: %d rows, %.1f s", table.identifier, self.rows[table.name], perf_counter() - started)
        return rows

    def let_go(self) -> None:
        """Free the memory of all rows held."""
        for frame in self._held:
            frame.unpersist()
