"""Read the tables and bring them to the small frames of the fleet page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from datetime import datetime, timedelta

import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from turbine_health.errors import DataError
from turbine_health.feature_tables import signal_cells
from turbine_health.io.delta import TableStore
from turbine_health.monitor_tables import REALISED_METRICS
from turbine_health.reporting.fleet_page import FleetFrames, FleetTotals
from turbine_health.settings import Settings
from turbine_health.tables import (
    ASSET_EVENTS,
    ASSET_LIVES,
    FAILURE_PREDICTIONS,
    INGEST_RUNS,
    QUARANTINE,
    TIME_TO_FAILURE_PREDICTIONS,
    Table,
    sensor_readings,
)
from turbine_health.transforms.report_frames import (
    to_daily_signals,
    to_events,
    to_flag_days,
    to_fleet_medians,
    to_newest_predictions,
    to_prediction_history,
    to_quarantine_counts,
)

# A page is drawn in a browser; a plant with more signals names those it wants in report.signals.
MOST_SIGNALS = 14
FLAG_DAYS = 30
BATCHES = 10


def gather(store: TableStore, settings: Settings) -> FleetFrames:
    """Everything that the fleet page shows; bounded by `report.page_turbines` and `report.signal_days`.

    Raises:
        DataError: No turbine has been scored yet.
    """
    failures, lives_left = store.read(FAILURE_PREDICTIONS), store.read(TIME_TO_FAILURE_PREDICTIONS)
    everyone = to_newest_predictions(failures, lives_left, settings.costs)
    state = everyone.agg(F.max("window_end").alias("as_of"), *_totals()).first()
    if state is None or state["as_of"] is None:
        raise DataError("no turbine has been scored yet", where="gold.failure_predictions", hint="run jobs/predict.py first")
    newest = _most_urgent(everyone, settings.report.page_turbines).toPandas()
    shown, since = list(newest["asset_id"]), state["as_of"] - timedelta(days=settings.report.signal_days)
    daily = to_daily_signals(store.read(signal_cells(settings.feature_signals)), drawn_signals(settings), since).cache()
    return FleetFrames(
        newest=newest,
        totals=FleetTotals(**{field.name: state[field.name] for field in fields(FleetTotals)}),
        history=to_prediction_history(failures, lives_left, shown, since).toPandas(),
        daily=daily.filter(F.col("asset_id").isin(*shown)).orderBy("asset_id", "day").toPandas(),
        fleet=to_fleet_medians(daily, drawn_signals(settings)).toPandas(),
        events=_events(store, shown, since),
        monthly=_monthly(store),
        flags=_flag_shares(store, settings, state["as_of"]),
        quarantine=_or_nothing(store, QUARANTINE, to_quarantine_counts),
        batches=_or_nothing(store, INGEST_RUNS, lambda runs: runs.orderBy(F.col("finished_at").desc()).limit(BATCHES)),
    )


def drawn_signals(settings: Settings) -> tuple[str, ...]:
    """Signals that the pages draw for each turbine."""
    return settings.report.signals or settings.feature_signals[:MOST_SIGNALS]


def _totals() -> list[Column]:
    """Aggregates named like the fields of `FleetTotals`."""
    stake = F.col("cost_at_stake")
    return [
        F.count("*").alias("turbines"),
        F.count_if("is_alert").alias("alerts"),
        F.coalesce(F.sum("failure_probability"), F.lit(0.0)).alias("expected_failures"),
        F.coalesce(F.sum(F.when(stake > 0, stake)), F.lit(0.0)).alias("cost_at_stake"),
        F.count_if(F.col("quality_status") != "ok").alias("without_fresh_data"),
    ]


def _most_urgent(newest: DataFrame, count: int) -> DataFrame:
    """Alerts first, then what a visit saves most; what cannot be scored comes last."""
    return newest.orderBy(F.col("is_alert").desc_nulls_last(), F.col("cost_at_stake").desc_nulls_last(), "asset_id").limit(
        count
    )


def _events(store: TableStore, shown: list[str], since: datetime) -> pd.DataFrame:
    events = to_events(store.read(ASSET_EVENTS), store.read(ASSET_LIVES))
    is_shown = F.col("asset_id").isin(*shown) & (F.coalesce("ended_at", "started_at") >= F.lit(since))
    return events.filter(is_shown).orderBy("asset_id", "started_at", "kind").toPandas()


def _monthly(store: TableStore) -> pd.DataFrame:
    def whole_fleet(metrics: DataFrame) -> DataFrame:
        return metrics.filter(F.col("asset_id") == "all").orderBy("month")

    return _or_nothing(store, REALISED_METRICS, whole_fleet)


def _flag_shares(store: TableStore, settings: Settings, as_of: datetime) -> pd.DataFrame:
    readings = store.read(sensor_readings(settings.signal_names))
    days: pd.DataFrame = to_flag_days(readings, as_of - timedelta(days=FLAG_DAYS)).toPandas()
    in_all = days[days["flag"].isna()].set_index("day")["readings"]
    shares: pd.DataFrame = days.assign(share=days["readings"] / days["day"].map(in_all)).dropna(subset=["flag"])
    return shares


def _or_nothing(store: TableStore, table: Table, shorten: Callable[[DataFrame], DataFrame]) -> pd.DataFrame:
    """The shortened table, or an empty frame of the same columns where the table is not there yet."""
    if store.exists(table):
        return shorten(store.read(table)).toPandas()
    return shorten(store.spark.createDataFrame([], table.schema)).toPandas()
