"""gold.window_features and the champions of both heads → both prediction tables."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timezone

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from turbine_health.errors import DataError
from turbine_health.io.delta import TableStore
from turbine_health.io.short_plans import cached_with_short_plan
from turbine_health.io.tracking import CHAMPION, RegisteredVersion, Tracker
from turbine_health.models.serving import ClassifierServing
from turbine_health.pipelines.champions import (
    ONLY_CHAMPIONS,
    Champions,
    load_champions,
    score_windows,
    to_failure_predictions,
    to_time_predictions,
)
from turbine_health.pipelines.champions import WhatIf as WhatIf
from turbine_health.pipelines.prediction_writes import WHAT_IF, write_changes
from turbine_health.settings import Settings
from turbine_health.tables import FAILURE_PREDICTIONS, TIME_TO_FAILURE_PREDICTIONS, Table, window_features
from turbine_health.transforms.features import feature_plan
from turbine_health.transforms.silence import (
    SECONDS_PER_HOUR,
    Ends,
    Freshness,
    to_newest_windows,
    to_windows_of_span,
)

logger = logging.getLogger("turbine_health")


@dataclass(frozen=True)
class PredictSummary:
    """What one scoring brought."""

    rows: int
    by_status: dict[str, int]
    alerts: int
    written: int
    models: str
    seconds: float

    def __str__(self) -> str:
        unscored = ", ".join(f"{rows} {status}" for status, rows in sorted(self.by_status.items()) if status != "ok")
        left_out = f" ({unscored}: without a prediction)" if unscored else ""
        written = f"{self.written} rows new or changed" if self.written else "nothing new"
        return (
            f"{self.rows:,} windows scored with {self.models}{left_out}, {self.alerts} alerts; {written}; {self.seconds:.0f} s"
        )


def predict(
    store: TableStore,
    tracker: Tracker,
    settings: Settings,
    start: datetime | None = None,
    end: datetime | None = None,
    what_if: WhatIf = ONLY_CHAMPIONS,
    as_of: datetime | None = None,
    seen_version: int | None = None,
) -> PredictSummary:
    """Score the newest window of each turbine, or all windows that end in [start, end), with the champions.

    A turbine that is silent, or that the plant has and nobody has heard of, gets its row without a
    prediction: at the fleet's newest window end, or at each in the span.

    Args:
        store: Where the tables are.
        tracker: Where the models are.
        settings: All settings.
        start: First window end, UTC; None with an `end`: from the beginning.
        end: Window ends before this, UTC; None with a `start`: to the newest.
        what_if: Other versions to score with. Only the tables of the heads named get rows, told apart by
            `model_role`; a row that a champion has written stays as it is.
        as_of: The clock, UTC: how old data is, is judged at the last window end before it, and nothing later is used.
            None: the fleet's newest reading, so that a fleet of which nothing arrives any more does not age.
        seen_version: Of the features, scored before: of a span only windows written since then are scored.

    Raises:
        TrackingError: A head has no champion yet, or no such version.
        DataError: The features that a champion was trained on are not in the table.
    """
    began = time.monotonic()
    champions = load_champions(tracker, settings, what_if)
    models = f"{_name(champions.classifier)} and {_name(champions.regressor)}"
    logger.info("scoring with %s", models)
    table = window_features(feature_plan(settings.features, settings.feature_signals).names)
    version = store.version(table) if store.exists(table) else None
    windows = store.read(table, version)
    _refuse_missing_features(champions, windows.columns, table)
    changed = store.written_between(table, seen_version, version) if version is not None and seen_version is not None else None
    chosen = chosen_windows(windows, settings, champions.classifier_serving, (start, end), as_of, changed)
    scored = cached_with_short_plan(score_windows(chosen, champions))
    scored_at = F.lit(datetime.now(timezone.utc))
    role = WHAT_IF if what_if.is_asked else CHAMPION
    common = {"scored_at": scored_at, "model_role": F.lit(role), "features_version": F.lit(version).cast("long")}
    failures = to_failure_predictions(scored, champions).withColumns({**common, **_provenance(champions.classifier)})
    times = to_time_predictions(scored, champions).withColumns({**common, **_provenance(champions.regressor)})
    written = sum(
        write_changes(store, frame.select(*table.schema.names), table)
        for frame, table, named in (
            (failures, FAILURE_PREDICTIONS, what_if.classifier_version),
            (times, TIME_TO_FAILURE_PREDICTIONS, what_if.regressor_version),
        )
        if role == CHAMPION or named is not None
    )
    counts = scored.groupBy("quality_status").agg(F.count("*").alias("rows"), F.count_if("is_alert").alias("alerts")).collect()
    scored.unpersist()
    return PredictSummary(
        rows=sum(int(row["rows"]) for row in counts),
        by_status={str(row["quality_status"]): int(row["rows"]) for row in counts},
        alerts=sum(int(row["alerts"]) for row in counts),
        written=written,
        models=models,
        seconds=time.monotonic() - began,
    )


def chosen_windows(
    windows: DataFrame,
    settings: Settings,
    serving: ClassifierServing,
    span: tuple[datetime | None, datetime | None],
    as_of: datetime | None,
    changed: DataFrame | None = None,
) -> DataFrame:
    """What a run judges: each turbine's newest window or, of a span, all; with the rows of turbines that have none.

    Grain: one row per `asset_id` and `window_end`.

    Args:
        windows: gold.window_features.
        settings: The grid of window ends, and the turbines that sources know.
        serving: From which age on data is stale.
        span: First window end, and where they stop (excluded); None: open.
        as_of: The clock; None: the newest window.
        changed: Those of a span's windows to take; None: all.
    """
    ends = ends_to_judge(windows, round(settings.features.every_hours * SECONDS_PER_HOUR), span, as_of)
    if ends is None:
        return windows.limit(0)
    known = sorted({name for source in settings.sources for name in source.asset_id.known})
    plant = windows.sparkSession.createDataFrame([(name,) for name in known], "asset_id string")
    shortest = min(hours for each in settings.features.sets for hours in each.lookback_hours)
    freshness = Freshness(serving.stale_after_hours, shortest)
    if span == (None, None):
        return to_newest_windows(windows, plant, ends, freshness)
    return to_windows_of_span(windows, plant, ends, freshness, changed)


def ends_to_judge(
    windows: DataFrame, step_seconds: int, span: tuple[datetime | None, datetime | None], as_of: datetime | None
) -> Ends | None:
    """Window ends of a span, from the fleet's first window to the clock; None where there are none."""
    end = F.unix_seconds("window_end")
    row = windows.agg(F.min(end).alias("first"), F.max(end).alias("last")).head()
    clock = as_of.timestamp() if as_of else row["last"] if row else None
    if clock is None:
        return None
    last = clock // step_seconds * step_seconds
    first = row["first"] if row and row["first"] is not None else last
    start, stop = span
    if start is not None:
        first = max(first, -(-start.timestamp() // step_seconds) * step_seconds)
    if stop is not None:
        last = min(last, -(-stop.timestamp() // step_seconds) * step_seconds - step_seconds)
    return Ends(int(first), int(last), step_seconds) if first <= last else None


def _provenance(version: RegisteredVersion) -> dict[str, Column]:
    return {
        "model_name": F.lit(version.name),
        "model_version": F.lit(version.version),
        "run_id": F.lit(version.run_id),
    }


def _refuse_missing_features(champions: Champions, columns: list[str], table: Table) -> None:
    for version, features in (
        (champions.classifier, champions.classifier_serving.features),
        (champions.regressor, champions.regressor_serving.features),
    ):
        if missing := sorted(set(features) - set(columns)):
            raise DataError(
                f"{_name(version)} was trained on {len(missing)} features that are not there: {', '.join(missing[:5])}",
                where=table.identifier,
                hint="use the settings it was trained with, or train a new model: jobs/train.py",
            )


def _name(version: RegisteredVersion) -> str:
    return f"{version.name} version {version.version}"
