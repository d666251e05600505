"""What became of each prediction, and how good they turned out."""

from __future__ import annotations

from collections.abc import Collection

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from turbine_health.monitor_tables import (
    MEAN_DIGITS,
    PREDICTION_OUTCOMES,
    REALISED_METRICS,
    UNWARNED_FAILURES,
    WHOLE_FLEET,
)
from turbine_health.settings import LabelSettings
from turbine_health.transforms.episodes import main_reason
from turbine_health.transforms.label_kernel import SECONDS_PER_DAY
from turbine_health.transforms.labels import days_between, to_training_examples


def to_outcomes(
    risks: DataFrame,
    days_left: DataFrame,
    lives: DataFrame,
    labels: LabelSettings,
    now: Column,
    unrecorded: Collection[str] = (),
) -> DataFrame:
    """Join each prediction to what happened, once its horizon has passed by the clock and the records.

    Grain: one row per `asset_id` and `window_end` whose outcome can be known.

    Args:
        risks: Served rows of gold.failure_predictions, one per window, all of the horizon of `labels`.
        days_left: Served rows of gold.time_to_failure_predictions, one per window.
        lives: silver.asset_lives, as known at `now`.
        labels: Horizon and recovering time: the same rules that made the training labels.
        now: Time, UTC.
        unrecorded: Turbines whose failures nobody writes down: no outcome of theirs can be known.

    Returns:
        gold.prediction_outcomes. No row whose horizon reaches beyond `now` or, where no failure came,
        beyond the turbine's records.
    """
    known_at = F.col("window_end") + _days(labels.horizon_days)
    due = risks.withColumn("known_at", known_at).where(F.col("known_at") <= now)
    labelled = to_training_examples(due, lives, labels, unrecorded).where("label_status <> 'horizon_incomplete'")
    answers = days_left.select(
        "asset_id", "window_end", "predicted_time_to_failure_days", "lower_days", "upper_days"
    )  # fmt: skip
    actual, upper = F.col("time_to_failure_days"), F.col("upper_days")
    is_within = (actual >= F.col("lower_days")) & (upper.isNull() | (actual <= upper))
    return (
        labelled.join(answers, on=["asset_id", "window_end"], how="left")
        .withColumns({
            "outcome": outcome(F.col("is_alert"), F.col("failure_within_7d")),
            "error_days": F.col("predicted_time_to_failure_days") - actual,
            "is_within_interval": F.when(F.col("predicted_time_to_failure_days").isNotNull(), is_within),
        })
        .select(*PREDICTION_OUTCOMES.schema.names)
    )  # fmt: skip


def outcome(is_alert: Column, failure_followed: Column) -> Column:
    """caught, missed, false_alarm or quiet; null when either is."""
    followed = failure_followed == 1
    return (
        F.when(is_alert & followed, "caught")
        .when(~is_alert & followed, "missed")
        .when(is_alert & ~followed, "false_alarm")
        .when(~is_alert & ~followed, "quiet")
    )


def to_realised_metrics(outcomes: DataFrame) -> DataFrame:
    """How good the predictions turned out, by month and turbine.

    Grain: one row per `month` and `asset_id`; `all` for the whole fleet.

    Args:
        outcomes: gold.prediction_outcomes.

    Returns:
        gold.realised_metrics. Rates are null where nothing was there to rate.
    """
    failing = F.col("failure_within_7d") == 1
    life = F.struct("turbine", "life_number")
    squared = F.pow(F.col("failure_probability") - F.col("failure_within_7d"), 2)
    counts = {name: F.count_if(F.col("outcome") == name) for name in ("caught", "missed", "quiet")}
    grouped = (
        outcomes.withColumns({"month": F.date_trunc("month", "window_end"), "turbine": F.col("asset_id")})
        .withColumn("asset_id", F.explode(F.array("turbine", F.lit(WHOLE_FLEET))))
        .groupBy("month", "asset_id")
        .agg(
            F.count("*").alias("windows"),
            F.count("outcome").alias("known_windows"),
            *(count.alias(name) for name, count in counts.items()),
            F.count_if(F.col("outcome") == "false_alarm").alias("false_alarms"),
            F.round(F.avg(F.when(F.col("outcome").isNotNull(), squared)), MEAN_DIGITS).alias("brier_score"),
            F.countDistinct(F.when(failing, life)).alias("failures"),
            F.countDistinct(F.when(failing & F.col("is_alert"), life)).alias("failures_warned"),
            F.round(F.avg(F.abs("error_days")), MEAN_DIGITS).alias("mae_days"),
            F.avg(F.col("is_within_interval").cast("int")).alias("interval_coverage"),
        )
    )
    return grouped.withColumns({
        "precision": F.try_divide(F.col("caught"), F.col("caught") + F.col("false_alarms")),
        "recall": F.try_divide(F.col("caught"), F.col("caught") + F.col("missed")),
    }).select(*REALISED_METRICS.schema.names)  # fmt: skip


def to_unwarned_failures(risks: DataFrame, lives: DataFrame, episodes: DataFrame, horizon_days: float) -> DataFrame:
    """Failures that no episode announced, with the last scores before them.

    Grain: one row per `asset_id` and `failed_at`; failures before the first prediction of the fleet
    are left out, as nobody looked yet.

    Args:
        risks: Served rows of gold.failure_predictions, one per window.
        lives: silver.asset_lives, as known.
        episodes: gold.alert_episodes.
        horizon_days: How long before the failure to look for scores.

    Returns:
        gold.unwarned_failures.
    """
    began = risks.agg(F.min("window_end").alias("began"))
    failures = (
        lives.where("ended_in_failure")
        .crossJoin(F.broadcast(began))
        .where(F.col("life_end") > F.col("began"))
        .select(
            "asset_id", F.col("life_end").alias("failed_at"), "failure_mode",
            days_between(F.col("life_start"), F.col("life_end")).alias("life_days"),
        )
        .join(episodes.where("failed_at IS NOT NULL"), on=["asset_id", "failed_at"], how="left_anti")
    )  # fmt: skip
    is_before = (
        (F.col("risk.asset_id") == F.col("failure.asset_id"))
        & (F.col("risk.window_end") < F.col("failure.failed_at"))
        & (F.col("risk.window_end") >= F.col("failure.failed_at") - _days(horizon_days))
    )
    return (
        failures.alias("failure")
        .join(risks.alias("risk"), on=is_before, how="left")
        .groupBy("failure.asset_id", "failure.failed_at", "failure.failure_mode", "failure.life_days")
        .agg(
            F.count("risk.failure_probability").alias("scored_windows"),
            F.max("risk.failure_probability").alias("highest_probability"),
            _of_last("alert_threshold").alias("alert_threshold"),
            F.max("risk.window_end").alias("last_window_end"),
            _of_last("failure_probability").alias("last_probability"),
            F.max_by(main_reason(F.col("risk.reasons")), F.col("risk.window_end")).alias("last_main_reason"),
            _of_last("data_age_hours").alias("last_data_age_hours"),
        )
        .select(*UNWARNED_FAILURES.schema.names)
    )


def _of_last(name: str) -> Column:
    return F.max_by(F.col(f"risk.{name}"), F.col("risk.window_end"))


def _days(days: float) -> Column:
    return F.make_dt_interval(F.lit(0), F.lit(0), F.lit(0), F.lit(float(days * SECONDS_PER_DAY)))
