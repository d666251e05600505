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
TOTALS = ("failures", "caught", "false_alarms", "visits", "days")
# Lead times are told apart by the hour, so that their table stays small on any fleet.
LEAD_STEPS_PER_DAY = 24
# A table by turbine is read by people; those that matter come first.
MOST_TURBINES = 200


def to_visits(alerts: DataFrame, key: str, horizon_days: float) -> DataFrame:
    """Runs of alerts.

    Grain: one row per `key`, `asset_id` and `visit_start`.

    Args:
        alerts: Windows in which an alert stood. Needs `key`, `asset_id`, `window_end`, `life_number` and
            `failure_within_7d`, not null: without it nobody knows whether the alert was right.
        key: What keeps alerts of different origin apart: a threshold, or the name of a view.
        horizon_days: After so long an alert that still stands is another visit.

    Returns:
        `key`, `asset_id`, `life_number`, `visit_start`, `alert_start` (first alert of the whole run), `is_false_alarm`.
    """
    in_life = Window.partitionBy(key, "asset_id", "life_number").orderBy("window_end")
    until_now = in_life.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    seconds = F.unix_seconds("window_end")
    is_new_run = F.coalesce(seconds - F.lag(seconds).over(in_life) > LONGEST_PAUSE_HOURS * 3600, F.lit(True))
    runs = alerts.withColumn("run", F.sum(is_new_run.cast("int")).over(until_now))
    whole_run = Window.partitionBy(key, "asset_id", "life_number", "run")
    into_run = F.unix_seconds("window_end") - F.min(F.unix_seconds("window_end")).over(whole_run)
    return (
        runs.withColumn("alert_start", F.min("window_end").over(whole_run))
        .withColumn("visit", F.floor(into_run / (horizon_days * 86_400)))
        .groupBy(key, "asset_id", "life_number", "run", "visit", "alert_start")
        .agg(F.min("window_end").alias("visit_start"), (F.max("failure_within_7d") == 0).alias("is_false_alarm"))
        .drop("run", "visit")
    )


def to_failures(scored: DataFrame, key: str, horizon_days: float) -> DataFrame:
    """Failures that the rows could have announced, and whether an alert did.

    Grain: one row per `key`, `asset_id` and `life_number` of a failure.

    Args:
        scored: Needs `key`, `asset_id`, `window_end`, `life_number`, `failure_within_7d`, `time_to_failure_days`,
            `failure_mode`, `is_alert`.
        key: What keeps rows of different origin apart.
        horizon_days: Of the label.

    Returns:
        `key`, `asset_id`, `life_number`, `failure_mode`, `failed_at` (UTC), `lead_time_days` (from the start of the alert
        that stood in the horizon; null: missed).
    """
    keys = [key, "asset_id", "life_number"]
    seconds = F.unix_seconds("window_end") + F.round(F.col("time_to_failure_days") * 86_400).cast("long")
    failures = (
        scored.where("failure_within_7d = 1")
        .groupBy(*keys)
        .agg(F.max("failure_mode").alias("failure_mode"), F.timestamp_seconds(F.max(seconds)).alias("failed_at"))
    )
    visits = scored.where("is_alert AND failure_within_7d IS NOT NULL").transform(to_visits, key, horizon_days)
    right = visits.where(~F.col("is_false_alarm")).groupBy(*keys).agg(F.max("alert_start").alias("alert_start"))
    lead = (F.unix_seconds("failed_at") - F.unix_seconds("alert_start")) / 86_400
    return failures.join(right, on=keys, how="left").select(*keys, "failure_mode", "failed_at", lead.alias("lead_time_days"))


def lead_time_counts(failures: DataFrame, key: str) -> pd.DataFrame:
    """Failures by mode and lead time, told apart by the hour: small on any fleet.

    Args:
        failures: From `to_failures`.
        key: As there.

    Returns:
        `key`, `failure_mode` (`not known` where null), `lead_time_days` (null: missed), `failures`.
    """
    lead = F.round(F.col("lead_time_days") * LEAD_STEPS_PER_DAY) / LEAD_STEPS_PER_DAY
    mode = F.coalesce("failure_mode", F.lit("not known"))
    grouped = failures.groupBy(key, mode.alias("failure_mode"), lead.alias("lead_time_days"))
    counts: pd.DataFrame = grouped.agg(F.count("*").alias("failures")).orderBy(key, "failure_mode", "lead_time_days").toPandas()
    return counts


def totals_by_view(scored: DataFrame, key: str, horizon_days: float, hours_per_row: float) -> DataFrame:
    """What the alerts did at each turbine.

    Grain: one row per `key` and `asset_id`.

    Args:
        scored: As for `to_failures`; rows without a label are left out.
        key: What keeps rows of different origin apart.
        horizon_days: Of the label.
        hours_per_row: Time that one row stands for.

    Returns:
        `key`, `asset_id` and `TOTALS`: numbers of failures, of those caught, false alarms and visits; days watched.
    """
    known = scored.where(F.col("failure_within_7d").isNotNull())
    visits = known.where("is_alert").transform(to_visits, key, horizon_days)
    return _totals(_watched(known, [key, "asset_id"], hours_per_row), visits, key)


def costliest_turbines(
    scored: DataFrame, key: str, horizon_days: float, hours_per_row: float, costs: CostSettings
) -> pd.DataFrame:
    """Where the alerts did worst.

    Args:
        scored: As for `totals_by_view`, of one view.
        key: As there.
        horizon_days: Of the label.
        hours_per_row: Time that one row stands for.
        costs: What errors and actions cost.

    Returns:
        At most `MOST_TURBINES`, the costliest first: `asset_id`, `windows`, `failures`, `failures_announced`,
        `false_alarms`, `cost`.
    """
    totals = totals_by_view(scored, key, horizon_days, hours_per_row).transform(with_cost, costs)
    windows = F.round(F.col("days") * 24 / hours_per_row).cast("long")
    costliest: pd.DataFrame = (
        totals.withColumns({"windows": windows, "failures_announced": F.col("caught")})
        .select("asset_id", "windows", "failures", "failures_announced", "false_alarms", "cost")
        .orderBy(F.desc("cost"), "asset_id")
        .limit(MOST_TURBINES)
        .toPandas()
    )
    return costliest


def totals_by_threshold(scored: DataFrame, thresholds: Sequence[float], horizon_days: float, hours_per_row: float) -> DataFrame:
    """What alerting from each threshold would have done at each turbine.

    Grain: one row per `threshold` and `asset_id`; every turbine of `scored` at every threshold.

    Args:
        scored: Needs `asset_id`, `window_end`, `life_number`, `failure_within_7d`, `failure_probability`.
        thresholds: Probabilities from which to alert, 0 to 1.
        horizon_days: Of the label.
        hours_per_row: Time that one row stands for.

    Returns:
        `threshold`, `asset_id` and `TOTALS`.
    """
    known = scored.where(F.col("failure_within_7d").isNotNull())
    every = F.array(*map(F.lit, thresholds))
    reached = F.filter(every, lambda threshold: threshold <= F.col("failure_probability"))
    visits = known.withColumn("threshold", F.explode(reached)).transform(to_visits, "threshold", horizon_days)
    watched = _watched(known, ["asset_id"], hours_per_row).withColumn("threshold", F.explode(every))
    return _totals(watched, visits, "threshold")


def with_cost(totals: DataFrame, costs: CostSettings) -> DataFrame:
    """Add `cost`, in the settings' currency. Needs `failures`, `caught`, `false_alarms`. Grain: as `totals`."""
    missed = (F.col("failures") - F.col("caught")) * costs.of_missed_failure
    cost = missed + F.col("caught") * costs.of_caught_failure + F.col("false_alarms") * costs.of_false_alarm
    return totals.withColumn("cost", cost)


def cost_curve(totals: DataFrame, costs: CostSettings) -> pd.DataFrame:
    """Cost by threshold, over all turbines.

    Args:
        totals: From `totals_by_threshold`.
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


def inspections(scored: DataFrame, most: int) -> pd.DataFrame:
    """If only the turbines of highest probability could be looked at each day.

    Args:
        scored: Needs `asset_id`, `window_end`, `life_number`, `failure_probability`, `failure_within_7d`.
        most: Turbines a day, at most.

    Returns:
        One row per number of turbines a day, `per_day` from 1 to `most`: `precision` (share of the turbine-days inspected
        with a failure within the horizon) and `caught_share` (of failures that could have been announced), 0 to 1.
    """
    day = F.date_trunc("day", "window_end")
    last_of_day = Window.partitionBy("asset_id", day).orderBy(F.desc("window_end"))
    by_probability = Window.partitionBy(day).orderBy(F.desc("failure_probability"), "asset_id")
    ranked = (
        scored.where(F.col("failure_within_7d").isNotNull())
        .withColumn("row", F.row_number().over(last_of_day))
        .where("row = 1")
        .withColumn("place", F.row_number().over(by_probability))
    )
    is_failing = F.col("failure_within_7d") == 1
    life = F.struct("asset_id", "life_number")
    failures = F.countDistinct(F.when(is_failing, life))
    shares = []
    for per_day in range(1, most + 1):
        is_inspected = F.col("place") <= per_day
        caught = F.countDistinct(F.when(is_failing & is_inspected, life))
        shares += [F.avg(F.when(is_inspected, F.col("failure_within_7d"))), F.try_divide(caught, failures)]
    row = ranked.agg(*(share.alias(f"share_{number}") for number, share in enumerate(shares))).first()
    found = list(row) if row else [None] * len(shares)
    table: pd.DataFrame = pd.DataFrame({"per_day": range(1, most + 1), "precision": found[::2], "caught_share": found[1::2]})
    return table


def _watched(known: DataFrame, keys: Sequence[str], hours_per_row: float) -> DataFrame:
    failed_life = F.when(F.col("failure_within_7d") == 1, F.col("life_number"))
    return known.groupBy(*keys).agg(
        (F.count("*") * hours_per_row / 24).alias("days"), F.countDistinct(failed_life).alias("failures")
    )


def _totals(watched: DataFrame, visits: DataFrame, key: str) -> DataFrame:
    keys = [key, "asset_id"]
    sent = visits.groupBy(*keys).agg(
        F.count("*").alias("visits"),
        F.count_if("is_false_alarm").alias("false_alarms"),
        F.countDistinct(F.when(~F.col("is_false_alarm"), F.col("life_number"))).alias("caught"),
    )
    return watched.join(sent, on=keys, how="left").select(*keys, *(F.coalesce(name, F.lit(0)).alias(name) for name in TOTALS))
