"""Scoring that goes on: each new version of the features is scored as it appears."""

from __future__ import annotations

import itertools
import logging
import time
from datetime import datetime, timezone

from pyspark.sql import functions as F

from turbine_health.io.delta import TableStore
from turbine_health.io.tracking import Tracker
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
    """Score windows as they appear: each time the features have a new version, all windows from `start` on.

    A pass writes only rows that say something new, so it leaves what one `predict` of the same span
    leaves. It loads the champions anew, each row comes of one pair of them.

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
    seen = store.version(table)
    summary = predict(store, tracker, settings, start)
    logger.info("%s", summary)
    looks = itertools.count(1) if passes is None else range(1, passes)
    for _ in looks:
        time.sleep(pause_seconds)
        if store.version(table) != seen:
            seen = store.version(table)
            summary = predict(store, tracker, settings, start)
            logger.info("%s", summary)
    return summary
