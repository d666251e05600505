"""Scoring that goes on: each new version of the features is scored as it appears."""

from __future__ import annotations

import itertools
import logging
import time
from datetime import datetime, timezone

from pyspark.sql import functions as F

from turbine_health.io.delta import TableStore
from turbine_health.io.tracking import RegisteredVersion, Tracker
from turbine_health.pipelines.predict import PredictSummary, predict
from turbine_health.settings import Settings
from turbine_health.tables import window_features
from turbine_health.transforms.features import feature_plan

logger = logging.getLogger("turbine_health")


def predict_continuously(
    store: TableStore,
    tracker: Tracker,
    settings: Settings,
    start: datetime | None = None,
    *,
    pause_seconds: float = 30,
    passes: int | None = None,
) -> PredictSummary:
    """Score windows as they appear: each time the features have a new version, what it wrote from `start` on.

    So it leaves what one `predict` of the same span leaves, rows of silent turbines included. Each pass loads
    the champions anew; where they are others than before, it scores all windows from `start` on.

    Args:
        store: Where the tables are.
        tracker: Where the models are.
        settings: All settings.
        start: First window end, UTC. None: from the newest window of the features at the start on.
        pause_seconds: Between two looks at the features.
        passes: Looks to take; None: until interrupted.

    Returns:
        The last pass that scored.
    """
    table = window_features(feature_plan(settings.features, settings.feature_signals).names)
    if start is None:
        newest = store.read(table).agg(F.max(F.unix_seconds("window_end")).alias("at")).head()
        start = datetime.fromtimestamp(newest["at"] if newest and newest["at"] else 0, tz=timezone.utc)
    seen, scored_by, summary = store.version(table), _champions(tracker, settings), predict(store, tracker, settings, start)
    logger.info("%s", summary)
    looks = itertools.count(1) if passes is None else range(1, passes)
    for _ in looks:
        time.sleep(pause_seconds)
        version, champions = store.version(table), _champions(tracker, settings)
        if version != seen:
            before = seen if champions == scored_by else None
            summary = predict(store, tracker, settings, start, seen_version=before)
            seen, scored_by = version, champions
            logger.info("%s", summary)
    return summary


def _champions(tracker: Tracker, settings: Settings) -> tuple[RegisteredVersion | None, ...]:
    names = (settings.mlflow.classifier_model, settings.mlflow.regressor_model)
    return tuple(tracker.champion(name) for name in names)
