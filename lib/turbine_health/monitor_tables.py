"""Tables that the monitor writes: what became of the predictions, and what to do next.

Each is a function of predictions, lives, readings and the clock alone: a year in one run or day by day
ends in the same rows. All of them follow the predictions that people were served (`model_role` champion).
"""

from __future__ import annotations

from pyspark.sql.types import StructType

from turbine_health.tables import COUNT, FLAG, NUMBER, SMALL, TEXT, TIME, Table, column

_MODEL = [
    column("model_name", TEXT, "registered model", required=True),
    column("model_version", TEXT, "registered version", required=True),
]

# Means are told to so many digits: the last bits of a sum depend on the order in which a cluster adds it up.
MEAN_DIGITS = 9
# Stands for a turbine where a row tells of all of them.
WHOLE_FLEET = "all"

ALERT_EPISODES = Table(
    "gold", "alert_episodes",
    StructType([
        column("asset_id", TEXT, "turbine", required=True),
        column("opened_at", TIME, "window_end at which the alert had stood for alerts.persistence_hours", required=True),
        column("status", TEXT, "open, cleared, failed (the turbine did), or ended (taken down or repaired)", required=True),
        column("first_alert_at", TIME, "first window_end of the run of alerts that opened it", required=True),
        column("last_alert_at", TIME, "last window_end with an alert", required=True),
        column("closed_at", TIME, "quiet for alerts.clear_hours, failed or taken down; null: open"),
        column("failed_at", TIME, "failure that ended it; null: none"),
        column("failure_mode", TEXT, "component of that failure; null: none, or not known"),
        column("lead_time_days", NUMBER, "from opened_at to failed_at, days; null: no failure"),
        column("alerting_windows", COUNT, "windows with an alert, from first_alert_at on", required=True),
        column("peak_probability", NUMBER, "highest failure_probability, 0 to 1", required=True),
        column("peak_at", TIME, "first window_end at which it was reached", required=True),
        column("main_reason", TEXT, "first reason at opened_at, in words; null: none was given"),
        column("model_version", TEXT, "registered version that raised the alert at opened_at", required=True),
    ]),
    keys=("asset_id", "opened_at"),
    cluster_by=("opened_at", "asset_id"),
    description="Alerts as people meet them: one episode from the first lasting alert to all-clear or failure.",
)  # fmt: skip

PREDICTION_OUTCOMES = Table(
    "gold", "prediction_outcomes",
    StructType([
        column("asset_id", TEXT, "turbine", required=True),
        column("window_end", TIME, "of the prediction", required=True),
        column("horizon_days", NUMBER, "length of the look ahead, days", required=True),
        column("known_at", TIME, "window_end plus the horizon: before it there is no row", required=True),
        column("life_number", SMALL, "run between repairs; null: the turbine was down"),
        column("label_status", TEXT, "observed, or why nobody can know: down, recovering, no_data, no_record", required=True),
        column("failure_within_7d", SMALL, "1: failed within the horizon; 0: did not; null: not known"),
        column("time_to_failure_days", NUMBER, "days it still ran; null: no failure on record yet"),
        column("failure_mode", TEXT, "component that failed; null: none on record yet"),
        column("failure_probability", NUMBER, "as predicted; null: the window could not be scored"),
        column("is_alert", FLAG, "as predicted; null: the window could not be scored"),
        column("outcome", TEXT, "caught, missed, false_alarm or quiet; null: not known, or not scored"),
        column("predicted_time_to_failure_days", NUMBER, "as predicted, days; null: not scored"),
        column("error_days", NUMBER, "predicted minus time_to_failure_days; null: either is"),
        column("is_within_interval", FLAG, "time_to_failure_days within lower and upper days; null: either is"),
        *_MODEL,
    ]),
    keys=("asset_id", "window_end"),
    cluster_by=("window_end", "asset_id"),
    description="What happened after each served prediction, once its horizon has passed.",
)  # fmt: skip

REALISED_METRICS = Table(
    "gold", "realised_metrics",
    StructType([
        column("month", TIME, "first instant of the month of window_end, UTC", required=True),
        column("asset_id", TEXT, "turbine, or `all`", required=True),
        column("windows", COUNT, "predictions whose horizon has passed", required=True),
        column("known_windows", COUNT, "of them, scored and with a known outcome", required=True),
        column("caught", COUNT, "windows that alerted, a failure followed", required=True),
        column("missed", COUNT, "windows that did not, a failure followed", required=True),
        column("false_alarms", COUNT, "windows that alerted, none followed", required=True),
        column("quiet", COUNT, "windows that did not, none followed", required=True),
        column("precision", NUMBER, "caught / alerts, 0 to 1; null: no alerts"),
        column("recall", NUMBER, "caught / windows before a failure, 0 to 1; null: no failure"),
        column("brier_score", NUMBER, "mean squared distance of probability and outcome; null: none known"),
        column("failures", COUNT, "distinct failures within the horizon of its windows", required=True),
        column("failures_warned", COUNT, "of them, with an alert within the horizon before", required=True),
        column("mae_days", NUMBER, "mean absolute error of the days left; null: no failure"),
        column("interval_coverage", NUMBER, "share of true days within the interval; null: no failure"),
    ]),
    keys=("month", "asset_id"),
    description="How good the served predictions turned out, by month and turbine.",
)  # fmt: skip

UNWARNED_FAILURES = Table(
    "gold", "unwarned_failures",
    StructType([
        column("asset_id", TEXT, "turbine", required=True),
        column("failed_at", TIME, "when it failed", required=True),
        column("failure_mode", TEXT, "component; null: not known"),
        column("life_days", NUMBER, "days since the last repair or the first reading", required=True),
        column("scored_windows", COUNT, "predictions within the horizon before; 0: nobody looked", required=True),
        column("highest_probability", NUMBER, "of them; null: none"),
        column("alert_threshold", NUMBER, "of the last of them; null: none"),
        column("last_window_end", TIME, "of the last of them; null: none"),
        column("last_probability", NUMBER, "of the last of them; null: none"),
        column("last_main_reason", TEXT, "first reason of the last of them; null: none"),
        column("last_data_age_hours", NUMBER, "age of the data in it, hours; null: none"),
    ]),
    keys=("asset_id", "failed_at"),
    description="Failures since scoring began that no alert episode announced, with the last scores before.",
)  # fmt: skip

FEATURE_DRIFT = Table(
    "gold", "feature_drift",
    StructType([
        column("asset_id", TEXT, "turbine", required=True),
        column("signal", TEXT, "signal of silver.sensor_readings", required=True),
        column("status", TEXT, "shifted, frozen, vanished, new or steady", required=True),
        column("compared_with", TEXT, "same_season, peers or own_past; null: nothing to compare with"),
        column("drift_score", NUMBER, "shift in spreads of the days it is compared with, >= 0; null: no comparison"),
        column("recent_mean", NUMBER, "mean of the recent days; null: no reading"),
        column("expected_mean", NUMBER, "what the comparison expects of them; null: no comparison"),
        column("recent_days", COUNT, "recent days with readings", required=True),
        column("reference_days", COUNT, "days with readings that it is compared with", required=True),
        column("recent_from", TIME, "start of the recent days", required=True),
        column("recent_to", TIME, "end of the recent days, excluded", required=True),
        column("words", TEXT, "the same for people", required=True),
    ]),
    keys=("asset_id", "signal"),
    description="How each signal of each turbine has moved since training, apart from season and weather. Worst first.",
)  # fmt: skip

RECOMMENDATIONS = Table(
    "ops", "recommendations",
    StructType([
        column("kind", TEXT, "retrain, check_sensor or check_data", required=True),
        column("subject", TEXT, "model, or turbine and signal", required=True),
        column("reason", TEXT, "why, as a sentence with its numbers", required=True),
        column("urgency", NUMBER, "1: as soon as possible, down to 0: at leisure", required=True),
    ]),
    keys=("kind", "subject"),
    description="What the people who run this should do next; empty when nothing.",
)  # fmt: skip

MAINTENANCE_WORKLIST = Table(
    "gold", "maintenance_worklist",
    StructType([
        column("rank", COUNT, "1 is the visit that saves most", required=True),
        column("asset_id", TEXT, "turbine", required=True),
        column("action", TEXT, "visit, watch, restore_data, down (failed or taken down) or none", required=True),
        column("expected_cost_avoided", NUMBER, "by a visit now; silent in an alert: by its last score; null: unknown, down"),
        column("failure_probability", NUMBER, "newest, 0 to 1; null: not scored"),
        column("is_alert", FLAG, "newest window alerts; null: not scored"),
        column("predicted_time_to_failure_days", NUMBER, "newest, days; null: not scored"),
        column("lower_days", NUMBER, "lower end of its interval, days"),
        column("upper_days", NUMBER, "upper end, days; null: open"),
        column("alert_opened_at", TIME, "of the open episode; null: none is open"),
        column("why", TEXT, "reasons that raise the risk, or what is wrong with the data and what raised it before"),
        column("quality_status", TEXT, "ok, stale, sparse or no_data", required=True),
        column("data_age_hours", NUMBER, "from the last reading to window_end, hours; null: no reading ever"),
        column("window_end", TIME, "of the newest prediction", required=True),
        *_MODEL,
    ]),
    keys=("asset_id",),
    description="One row a turbine, ranked by the cost that a visit is expected to avoid.",
)  # fmt: skip

FLEET_STATUS = Table(
    "gold", "fleet_status",
    StructType([
        column("as_of", TIME, "newest window_end of the fleet", required=True),
        column("turbines", COUNT, "ever scored", required=True),
        column("scored", COUNT, "of them, with a prediction in their newest window", required=True),
        column("alerting", COUNT, "of them, alerting now", required=True),
        column("open_episodes", COUNT, "alert episodes still open", required=True),
        column("without_fresh_data", COUNT, "turbines stale, sparse or without data", required=True),
        column("expected_failures", NUMBER, "sum of the newest probabilities: failures to expect within the horizon"),
        column("failures_last_30_days", COUNT, "failures on record, 30 days up to as_of", required=True),
        column("warned_last_30_days", COUNT, "of them, announced by an episode", required=True),
        column("drifting_signals", COUNT, "shifted, frozen or vanished", required=True),
        column("recommendations", COUNT, "rows of ops.recommendations", required=True),
    ]),
    keys=("as_of",),
    description="The whole fleet in one row.",
)  # fmt: skip

MONITOR_TABLES = (
    ALERT_EPISODES, PREDICTION_OUTCOMES, REALISED_METRICS, UNWARNED_FAILURES, FEATURE_DRIFT, RECOMMENDATIONS,
    MAINTENANCE_WORKLIST, FLEET_STATUS,
)  # fmt: skip
