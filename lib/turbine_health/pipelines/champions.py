"""Both heads that score the fleet, and what they say of windows."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from turbine_health.errors import TrackingError
from turbine_health.io.tracking import RegisteredVersion, Tracker
from turbine_health.models.explanations import with_reasons
from turbine_health.models.forest_paths import forest_paths
from turbine_health.models.preparation import FittedPipeline
from turbine_health.models.scoring import (
    agreed_days,
    calibrated,
    lower_days,
    quality_status,
    upper_days,
    with_raw_days,
    with_raw_score,
)
from turbine_health.models.serving import ClassifierServing, RegressorServing
from turbine_health.settings import Settings
from turbine_health.transforms.label_kernel import MICROSECONDS_PER_DAY


@dataclass(frozen=True)
class Champions:
    """Both heads that score the fleet."""

    classifier: RegisteredVersion
    classifier_model: FittedPipeline
    classifier_serving: ClassifierServing
    regressor: RegisteredVersion
    regressor_model: FittedPipeline
    regressor_serving: RegressorServing


@dataclass(frozen=True)
class WhatIf:
    """Registered versions to score with instead of the champions; the head that is not named stays the champion."""

    classifier_version: str | None = None
    regressor_version: str | None = None

    @property
    def is_asked(self) -> bool:
        """Whether any version is named."""
        return self.classifier_version is not None or self.regressor_version is not None


ONLY_CHAMPIONS = WhatIf()


def load_champions(tracker: Tracker, settings: Settings, what_if: WhatIf = ONLY_CHAMPIONS) -> Champions:
    """Both champions, or the versions asked for, with what scoring needs.

    Raises:
        TrackingError: A head has none, or not that version.
    """
    first, second = (
        tracker.champion(name) if version is None else tracker.version(name, version)
        for name, version in (
            (settings.mlflow.classifier_model, what_if.classifier_version),
            (settings.mlflow.regressor_model, what_if.regressor_version),
        )
    )
    if first is None or second is None:
        missing = [
            name
            for name, version in ((settings.mlflow.classifier_model, first), (settings.mlflow.regressor_model, second))
            if version is None
        ]
        raise TrackingError(
            f"no champion of {' and '.join(missing)}",
            hint="run jobs/train.py; its log says which condition of the gate failed. Or give a version the alias by hand: "
            "docs/mlflow.md",
        )
    return Champions(
        classifier=first,
        classifier_model=tracker.load_model(first),
        classifier_serving=ClassifierServing.from_json(tracker.load_json(first.run_id, "serving.json")),
        regressor=second,
        regressor_model=tracker.load_model(second),
        regressor_serving=RegressorServing.from_json(tracker.load_json(second.run_id, "serving.json")),
    )


def score_windows(windows: DataFrame, champions: Champions) -> DataFrame:
    """Add both heads' answers, in agreement, and the reasons of the first.

    Grain: as `windows`.

    Args:
        windows: gold.window_features, and rows of silent turbines.
        champions: Both heads.

    Returns:
        Keys, `data_age_hours`, `coverage`, `quality_status`, and where that is `ok` (else null): `raw_score`, `reasons`,
        `base_score`, `other_contribution`, `failure_probability`, `is_alert`, `raw_time_to_failure_days` and
        `predicted_time_to_failure_days`, within the horizon exactly where there is an alert.
    """
    serving = champions.classifier_serving
    explained = with_raw_answers(windows, champions).transform(
        with_reasons,
        champions.classifier_model,
        forest_paths(champions.classifier_model),
        features=serving.features,
        normal=serving.healthy_medians,
    )
    return explained.transform(with_answers, champions).select(
        "asset_id", "window_end", "data_age_hours", "coverage", "quality_status", "raw_score", "reasons", "base_score",
        "other_contribution", "failure_probability", "is_alert", "raw_time_to_failure_days", "predicted_time_to_failure_days",
    )  # fmt: skip


def with_raw_answers(windows: DataFrame, champions: Champions) -> DataFrame:
    """Add `quality_status` and, where it is `ok` (else null), what the forests say: `raw_score` and `raw_time_to_failure_days`.

    Grain: as `windows`.
    """
    serving = champions.classifier_serving
    status = quality_status(
        F.col("data_age_hours"),
        F.col("coverage"),
        stale_after_hours=serving.stale_after_hours,
        min_coverage=serving.min_coverage,
    )
    is_ok = F.col("quality_status") == "ok"
    return (
        windows.withColumn("quality_status", status)
        .transform(with_raw_score, champions.classifier_model)
        .transform(with_raw_days, champions.regressor_model)
        .withColumn("raw_score", F.when(is_ok, F.col("raw_score")))
        .withColumn("raw_time_to_failure_days", F.when(is_ok, F.col("raw_time_to_failure_days")))
    )


def with_answers(scored: DataFrame, champions: Champions) -> DataFrame:
    """Add `failure_probability`, `is_alert` and the days that agree with it; null where the raw answers are.

    Grain: as `scored`, which needs `raw_score` and `raw_time_to_failure_days`.
    """
    serving = champions.classifier_serving
    answered = scored.withColumn("failure_probability", calibrated(F.col("raw_score"), serving.calibration)).withColumn(
        "is_alert", F.col("failure_probability") >= serving.threshold
    )
    days = agreed_days(F.col("raw_time_to_failure_days"), F.col("is_alert"), serving.horizon_days)
    return answered.withColumn("predicted_time_to_failure_days", days)


def to_failure_predictions(scored: DataFrame, champions: Champions) -> DataFrame:
    """`scored` with the classifier's constants. Grain: as `scored`."""
    serving = champions.classifier_serving
    return scored.withColumns(
        {"horizon_days": F.lit(float(serving.horizon_days)), "alert_threshold": F.lit(float(serving.threshold))}
    )


def to_time_predictions(scored: DataFrame, champions: Champions) -> DataFrame:
    """`scored` with the interval, the date of the predicted failure (UTC) and whose alert that agrees with.

    Grain: as `scored`.
    """
    interval = champions.regressor_serving.interval
    raw, agreed = F.col("raw_time_to_failure_days"), F.col("predicted_time_to_failure_days")
    failing_at = F.timestamp_micros(F.unix_micros("window_end") + F.round(agreed * MICROSECONDS_PER_DAY).cast("long"))
    return scored.withColumns({
        "lower_days": lower_days(raw, agreed, interval),
        "upper_days": upper_days(raw, agreed, interval),
        "predicted_failure_date": failing_at,
        "classifier_version": F.lit(champions.classifier.version),
    })  # fmt: skip
