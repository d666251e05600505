"""Alerts as people meet them: failures announced or missed, crews sent for nothing, and what both cost.

A *visit* is a run of alerts of one turbine within one life; a crew that found nothing is sent again when the alert
still stands after a horizon. It is a false alarm when no failure followed within the horizon of any of its windows.
A failure is *caught* when an alert stood in a window with the failure in its horizon.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from turbine_health.settings import CostSettings

# An alert that pauses for a day is the same alert: the model looks at trailing days.
LONGEST_PAUSE_HOURS = 24
DAYS_PER_MONTH = 365.25 / 12
TOTALS = ("failures", "caught", "false_alarms", "visits", "alert_rows", "days")


def to_visits(scored: DataFrame, thresholds: Sequence[float], horizon_days: float) -> DataFrame:
    """Runs of alerts, for each threshold.

    Grain: one row per `threshold`, `asset_id` and `visit_start`.

    Args:
        scored: Needs `asset_id`, `window_end`, `life_number`, `failure_probability`, `failure_within_7d`. Rows without
            a label are left out: nobody knows whether their alert was right.
        thresholds: Probabilities from which to alert, 0 to 1.
        horizon_days: After so long an alert that still stands is another visit.

    Returns:
        `threshold`, `asset_id`, `life_number`, `visit_start`, `alert_start` (first alert of the whole run),
        `alert_rows`, `is_false_alarm`.
    """
    reached = F.filter(F.array(*map(F.lit, thresholds)), lambda threshold: threshold <= F.col("failure_probability"))
    alerts = scored.where(F.col("failure_within_7d").isNotNull()).withColumn("threshold", F.explode(reached))
    in_life = Window.partitionBy("threshold", "asset_id", "life_number").orderBy("window_end")
    until_now = in_life.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    seconds = F.unix_seconds("window_end")
    is_new_run = F.coalesce(seconds - F.lag(seconds).over(in_life) > LONGEST_PAUSE_HOURS * 3600, F.lit(True))
    runs = alerts.withColumn("run", F.sum(is_new_run.cast("int")).over(until_now))
    whole_run = Window.partitionBy("threshold", "asset_id", "life_number", "run")
    into_run = F.unix_seconds("window_end") - F.min(F.unix_seconds("window_end")).over(whole_run)
    return (
        runs.withColumn("alert_start", F.min("window_end").over(whole_run))
        .withColumn("visit", F.floor(into_run / (horizon_days * 86_400)))
        .groupBy("threshold", "asset_id", "life_number", "run", "visit", "alert_start")
        .agg(
            F.min("window_end").alias("visit_start"),
            F.count("*").alias("alert_rows"),
            (F.max("failure_within_7d") == 0).alias("is_false_alarm"),
        )
        .drop("run", "visit")
    )


def to_failures(scored: DataFrame, visits: DataFrame, thresholds: Sequence[float]) -> DataFrame:
    """Failures that the rows could have announced, and whether an alert did.

    Grain: one row per `threshold`, `asset_id` and `life_number` of a failure.

    Args:
        scored: Needs `asset_id`, `window_end`, `life_number`, `failure_within_7d`, `time_to_failure_days`, `failure_mode`.
        visits: From `to_visits` on the same rows.
        thresholds: The same.

    Returns:
        `threshold`, `asset_id`, `life_number`, `failure_mode`, `failed_at` (UTC), `lead_time_days` (from the start of
        the alert that stood in the horizon; null: missed).
    """
    seconds = F.unix_seconds("window_end") + F.round(F.col("time_to_failure_days") * 86_400).cast("long")
    failures = (
        scored.where("failure_within_7d = 1")
        .groupBy("asset_id", "life_number")
        .agg(F.max("failure_mode").alias("failure_mode"), F.timestamp_seconds(F.max(seconds)).alias("failed_at"))
    )
    right_alerts = (
        visits.where(~F.col("is_false_alarm"))
        .groupBy("threshold", "asset_id", "life_number")
        .agg(F.max("alert_start").alias("alert_start"))
    )
    lead = (F.unix_seconds("failed_at") - F.unix_seconds("alert_start")) / 86_400
    return (
        failures.withColumn("threshold", F.explode(F.array(*map(F.lit, thresholds))))
        .join(right_alerts, on=["threshold", "asset_id", "life_number"], how="left")
        .select("threshold", "asset_id", "life_number", "failure_mode", "failed_at", lead.alias("lead_time_days"))
    )


def to_turbine_totals(scored: DataFrame, thresholds: Sequence[float], horizon_days: float, hours_per_row: float) -> DataFrame:
    """What alerting from each threshold would have done at each turbine.

    Grain: one row per `threshold` and `asset_id`; every turbine of `scored` at every threshold.

    Args:
        scored: As for `to_visits` and `to_failures`.
        thresholds: Probabilities from which to alert, 0 to 1.
        horizon_days: Of the label.
        hours_per_row: Time that one row stands for.

    Returns:
        `threshold`, `asset_id` and `TOTALS`: numbers of failures, of those caught, false alarms, visits and alert rows,
        and the days watched.
    """
    known = scored.where(F.col("failure_within_7d").isNotNull())
    visits = to_visits(known, thresholds, horizon_days)
    watched = known.groupBy("asset_id").agg(
        (F.count("*") * hours_per_row / 24).alias("days"),
        F.countDistinct(F.when(F.col("failure_within_7d") == 1, F.col("life_number"))).alias("failures"),
    )
    every = watched.withColumn("threshold", F.explode(F.array(*map(F.lit, thresholds))))
    sent = visits.groupBy("threshold", "asset_id").agg(
        F.count("*").alias("visits"),
        F.sum("alert_rows").alias("alert_rows"),
        F.count_if("is_false_alarm").alias("false_alarms"),
        F.countDistinct(F.when(~F.col("is_false_alarm"), F.col("life_number"))).alias("caught"),
    )
    keys = ["threshold", "asset_id"]
    return every.join(sent, on=keys, how="left").select(*keys, *(F.coalesce(name, F.lit(0)).alias(name) for name in TOTALS))


def with_cost(totals: DataFrame, costs: CostSettings) -> DataFrame:
    """Add `cost`, in the settings' currency. Needs `failures`, `caught`, `false_alarms`. Grain: as `totals`."""
    missed = (F.col("failures") - F.col("caught")) * costs.of_missed_failure
    cost = missed + F.col("caught") * costs.of_caught_failure + F.col("false_alarms") * costs.of_false_alarm
    return totals.withColumn("cost", cost)


def cost_curve(totals: DataFrame, costs: CostSettings) -> pd.DataFrame:
    """Cost by threshold, over all turbines.

    Args:
        totals: From `to_turbine_totals`.
        costs: What errors and actions cost.

    Returns:
        One row per `threshold`, rising: `TOTALS` summed, and `cost`.
    """
    names = [*TOTALS, "cost"]
    summed = totals.transform(with_cost, costs).groupBy("threshold").agg(*(F.sum(name).alias(name) for name in names))
    curve: pd.DataFrame = summed.orderBy("threshold").toPandas()
    return curve


def cheapest_threshold(curve: pd.DataFrame) -> float:
    """The threshold of least cost; of equal ones the highest, which sends the fewest crews."""
    cheapest = curve[curve["cost"] <= curve["cost"].min()]
    return float(cheapest["threshold"].max())
