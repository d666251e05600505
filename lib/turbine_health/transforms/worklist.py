"""What to do next: one row a turbine for the planner, one row for the fleet, and what the model itself needs."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from turbine_health.monitor_tables import FLEET_STATUS, MAINTENANCE_WORKLIST, RECOMMENDATIONS, WHOLE_FLEET
from turbine_health.settings import CostSettings, DriftSettings
from turbine_health.transforms.served import to_newest

DAYS_LOOKED_BACK = 30
# A share of fewer failures than this says nothing about the model.
FEWEST_FAILURES = 5


def to_worklist(
    risks: DataFrame, days_left: DataFrame, episodes: DataFrame, lives: DataFrame, costs: CostSettings
) -> DataFrame:
    """Rank the turbines by what a visit now is expected to save.

    An open alert stands until it is cleared: a turbine that falls silent meanwhile is visited for what was last said
    of it. One that is down is in the crew's hands already, whatever its sensors tell.

    Grain: one row per `asset_id` ever scored.

    Args:
        risks: Served rows of gold.failure_predictions, one per window.
        days_left: Served rows of gold.time_to_failure_predictions, one per window.
        episodes: gold.alert_episodes.
        lives: silver.asset_lives, as known.
        costs: Of failures and visits.

    Returns:
        gold.maintenance_worklist. Turbines that are down or of which nobody knows what a visit saves come last.
    """
    days = days_left.select("asset_id", "window_end", "predicted_time_to_failure_days", "lower_days", "upper_days")
    known = _with_state(to_newest(risks), risks, episodes, lives)
    by_saving = Window.orderBy(F.col("expected_cost_avoided").desc_nulls_last(), F.col("asset_id").asc())
    has_open_alert, is_scored = F.col("alert_opened_at").isNotNull(), F.col("failure_probability").isNotNull()
    action = (
        F.when(F.col("is_down"), "down")
        .when(has_open_alert, "visit")
        .when(~is_scored, "restore_data")
        .when(F.col("is_alert"), "visit")
        .when(F.col("expected_cost_avoided") > 0, "watch")
        .otherwise("none")
    )
    saved = expected_cost_avoided(F.coalesce(F.col("failure_probability"), F.col("probability_in_alert")), costs)
    return (
        known.join(days, on=["asset_id", "window_end"], how="left")
        .withColumn("expected_cost_avoided", F.when(~F.col("is_down"), saved))
        .withColumns({"action": action, "rank": F.row_number().over(by_saving).cast("long"), "why": _why(is_scored)})
        .select(*MAINTENANCE_WORKLIST.schema.names)
    )


def expected_cost_avoided(probability: Column, costs: CostSettings) -> Column:
    """What a visit now saves on average; negative where it costs more than it saves. Null in, null out."""
    saved = costs.of_missed_failure - costs.of_caught_failure
    return probability * saved - (1 - probability) * costs.of_false_alarm


def raising_reasons(reasons: Column) -> Column:
    """Words of the reasons that raise the score, joined; null where there is none."""
    raising = F.filter(reasons, lambda reason: reason["contribution"] > 0)
    words = F.array_join(F.transform(raising, lambda reason: reason["words"]), "; ")
    return F.when(F.size(raising) > 0, words)


def _with_state(newest: DataFrame, risks: DataFrame, episodes: DataFrame, lives: DataFrame) -> DataFrame:
    """Add `alert_opened_at`, what was last said while that alert was open, and `is_down`. Grain: as `newest`."""
    open_now = episodes.where("status = 'open'").select("asset_id", F.col("opened_at").alias("alert_opened_at"))
    last_said = (
        to_newest(risks.where("failure_probability IS NOT NULL"))
        .join(open_now, on="asset_id", how="inner")
        .select(
            "asset_id", "alert_opened_at", F.col("failure_probability").alias("probability_in_alert"),
            F.col("reasons").alias("reasons_in_alert"),
        )
    )  # fmt: skip
    down = lives.groupBy("asset_id").agg((~F.bool_or("is_running")).alias("is_down"))
    return (
        newest.join(last_said, on="asset_id", how="left")
        .join(down, on="asset_id", how="left")
        .withColumn("is_down", F.coalesce("is_down", F.lit(False)))
    )


def _why(is_scored: Column) -> Column:
    bad_data = F.format_string("data %s", "quality_status")
    before = F.concat_ws("; ", bad_data, F.concat(F.lit("before: "), raising_reasons(F.col("reasons_in_alert"))))
    return F.when(is_scored, raising_reasons(F.col("reasons"))).otherwise(before)


def to_fleet_status(
    worklist: DataFrame, episodes: DataFrame, lives: DataFrame, drift: DataFrame, recommendations: DataFrame
) -> DataFrame:
    """The whole fleet in one row; none where nothing was ever scored.

    Args:
        worklist: gold.maintenance_worklist.
        episodes: gold.alert_episodes.
        lives: silver.asset_lives, as known.
        drift: gold.feature_drift.
        recommendations: ops.recommendations.

    Returns:
        gold.fleet_status.
    """
    is_scored = F.col("failure_probability").isNotNull()
    turbines = worklist.agg(
        F.max("window_end").alias("as_of"),
        F.count("*").alias("turbines"),
        F.count_if(is_scored).alias("scored"),
        F.count_if(F.col("is_alert")).alias("alerting"),
        F.count_if(F.col("quality_status") != "ok").alias("without_fresh_data"),
        F.sum("failure_probability").alias("expected_failures"),
    ).where("turbines > 0")
    is_late = F.col("failed_at").between(F.col("as_of") - F.expr(f"INTERVAL {DAYS_LOOKED_BACK} DAYS"), F.col("as_of"))
    alerts = episodes.crossJoin(turbines.select("as_of")).agg(
        F.count_if(F.col("status") == "open").alias("open_episodes"), F.count_if(is_late).alias("warned_last_30_days")
    )
    failed = lives.where("ended_in_failure").withColumnRenamed("life_end", "failed_at").crossJoin(turbines.select("as_of"))
    failures = failed.agg(F.count_if(is_late).alias("failures_last_30_days"))
    moved = drift.agg(F.count_if(F.col("status").isin("shifted", "frozen", "vanished")).alias("drifting_signals"))
    advice = recommendations.agg(F.count("*").alias("recommendations"))
    single_rows = turbines.crossJoin(alerts).crossJoin(failures).crossJoin(moved).crossJoin(advice)
    return single_rows.select(*FLEET_STATUS.schema.names)


def to_recommendations(
    drift: DataFrame, episodes: DataFrame, unwarned: DataFrame, worklist: DataFrame, settings: DriftSettings
) -> DataFrame:
    """What should be done about the model, the sensors and the data, each with its reason.

    Grain: one row per `kind` and `subject`.

    Args:
        drift: gold.feature_drift.
        episodes: gold.alert_episodes.
        unwarned: gold.unwarned_failures.
        worklist: gold.maintenance_worklist.
        settings: From which shares on to retrain.

    Returns:
        ops.recommendations.
    """
    of_turbine = F.col("asset_id") != WHOLE_FLEET
    sensors = drift.where(F.col("status").isin("frozen", "vanished", "shifted") & of_turbine).select(
        F.lit("check_sensor").alias("kind"),
        F.concat_ws(" ", "asset_id", "signal").alias("subject"),
        F.col("words").alias("reason"),
        F.when(F.col("status") == "shifted", 0.5).otherwise(0.8).alias("urgency"),
    )
    data = worklist.where("quality_status <> 'ok' AND action <> 'down'").select(
        F.lit("check_data").alias("kind"),
        F.col("asset_id").alias("subject"),
        F.concat(F.lit("no prediction, data "), F.col("quality_status")).alias("reason"),
        F.lit(0.7).alias("urgency"),
    )
    advice = sensors.unionByName(data).unionByName(_retrain_for_drift(drift, settings))
    return advice.unionByName(_retrain_for_misses(episodes, unwarned, settings)).select(*RECOMMENDATIONS.schema.names)


def _retrain_for_drift(drift: DataFrame, settings: DriftSettings) -> DataFrame:
    compared = F.count("drift_score")
    shifted = F.count_if(F.col("status") == "shifted")
    counts = drift.agg(compared.alias("compared"), shifted.alias("shifted")).where("compared > 0")
    return counts.where(F.col("shifted") / F.col("compared") >= settings.retrain_share).select(
        F.lit("retrain").alias("kind"),
        F.lit("signals have moved").alias("subject"),
        F.format_string("%d of %d signals have moved since training", "shifted", "compared").alias("reason"),
        F.lit(0.6).alias("urgency"),
    )


def _retrain_for_misses(episodes: DataFrame, unwarned: DataFrame, settings: DriftSettings) -> DataFrame:
    warned = episodes.agg(F.count("failed_at").alias("warned"))
    missed = unwarned.where("scored_windows > 0").agg(F.count("*").alias("missed"))
    failures = F.col("warned") + F.col("missed")
    is_poor = (failures >= FEWEST_FAILURES) & (F.col("warned") / failures < settings.retrain_recall)
    return (
        warned.crossJoin(missed)
        .where(is_poor)
        .select(
            F.lit("retrain").alias("kind"),
            F.lit("failures come unwarned").alias("subject"),
            F.format_string("only %d of %d failures were announced", F.col("warned"), failures).alias("reason"),
            F.lit(0.9).alias("urgency"),
        )
    )
