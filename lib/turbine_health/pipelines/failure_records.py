"""Whose failures are written down at all: of the others nobody can know whether they failed."""

from __future__ import annotations

import pandas as pd
from pyspark.sql import functions as F

from turbine_health.io.delta import TableStore
from turbine_health.settings import Settings
from turbine_health.sources import NoFailures
from turbine_health.tables import ASSET_LIVES, sensor_readings


def silent_sources(settings: Settings) -> list[str]:
    """Names of the sources of `failures: {kind: none}`."""
    return [source.name for source in settings.sources if isinstance(source.failures, NoFailures)]


def unrecorded_turbines(store: TableStore, settings: Settings, lives: pd.DataFrame | None = None) -> tuple[str, ...]:
    """Turbines all of whose readings come from sources of `failures: {kind: none}`, and of which no failure is known.

    `lives` are `asset_id` and `ended_in_failure` of silver.asset_lives where the caller has them already.
    """
    silent = silent_sources(settings)
    if not silent:
        return ()
    lives = store.read(ASSET_LIVES).select("asset_id", "ended_in_failure").toPandas() if lives is None else lives
    turbines = set(lives["asset_id"]) - set(lives["asset_id"][lives["ended_in_failure"]])
    if len(silent) < len(settings.sources):
        is_recorded = ~F.col("_source").isin(*silent)
        recorded = store.read(sensor_readings(settings.signal_names)).where(is_recorded).select("asset_id").distinct()
        turbines -= {row["asset_id"] for row in recorded.collect()}
    return tuple(sorted(turbines))
