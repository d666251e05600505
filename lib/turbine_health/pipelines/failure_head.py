"""Train, judge and log the head that says how likely a failure is (model A)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from turbine_health.io.tracking import RegisteredVersion, TrackedRun, Tracker
from turbine_health.models.baselines import AGE, age_classifier
from turbine_health.models.calibration import calibration_stage, fit_calibration
from turbine_health.models.crossfit import out_of_fold, random_reference
from turbine_health.models.events import DAYS_PER_MONTH, TOTALS, cheapest_threshold, cost_curve, to_turbine_totals
from turbine_health.models.forests import LABEL, WEIGHT, class_weight, classifier
from turbine_health.models.gate import Verdict, judge
from turbine_health.models.preparation import FittedPipeline
from turbine_health.models.resampling import interval_of, resampled_sums
from turbine_health.models.scoring import calibrated, with_raw_score
from turbine_health.models.serving import Calibration, ClassifierServing
from turbine_health.models.views import (
    BOTH,
    FUTURE,
    RANDOM,
    TEST_VIEW,
    UNSEEN,
    FailureScores,
    Judging,
    failure_intervals,
    failure_scores,
)
from turbine_health.pipelines.training_set import TrainingSet
from turbine_health.transforms.splits import LATER, TEST, TRAIN

logger = logging.getLogger("turbine_health")

COST = "cost per turbine-month"


@dataclass(frozen=True)
class FailureHead:
    """A trained head and everything that was found out about it."""

    model: FittedPipeline
    model_type: str
    serving: ClassifierServing
    judging: Judging
    scored: Mapping[str, DataFrame]
    """View → its rows with `raw_score` and `failure_probability`; `test` is what the gate looks at."""
    scores: Mapping[str, FailureScores]
    intervals: Mapping[str, Mapping[str, tuple[float, float]]]
    curve: pd.DataFrame
    """Cost by threshold on the validation rows."""
    importance: pd.DataFrame
    baselines: Mapping[str, FailureScores]


def train_failure_head(held: TrainingSet, run: TrackedRun) -> FailureHead:
    """Grow the forest; calibrate it and choose its threshold on turbines it has not seen; judge it in every view."""
    settings = held.settings
    rows = held.rows.withColumn(WEIGHT, class_weight(held.rows_of(TRAIN, label=1), held.rows_of(TRAIN, label=0)))
    is_training = (F.col("part") == TRAIN) & F.col(LABEL).isNotNull()
    estimator = classifier(settings.model)
    with run.without_autolog():
        validated = out_of_fold(rows, is_training, estimator, settings.split.folds, with_raw_score).cache()
        calibration = fit_calibration(validated.where(is_training), _failures(validated.where(is_training)))
        curve = _validation_curve(held, with_probability(validated, calibration).where(is_training), calibration)
        last_stage = calibration_stage(rows, calibration)
    threshold = cheapest_threshold(curve)
    logger.info("validated on %d turbine folds: alert from a probability of %.3f", settings.split.folds, threshold)
    forest = estimator.fit(rows.where(is_training))
    served = with_raw_score(rows.where(F.col("part").isin(TEST, LATER)), forest).drop("features").cache()
    views = _views(held, validated, served)
    if settings.evaluation.random_reference:
        with run.without_autolog():
            views[RANDOM] = random_reference(rows, is_training, estimator, settings.split.test_share, with_raw_score)
    judging = Judging(
        threshold, settings.labels.horizon_days, settings.features.every_hours, settings.costs, settings.evaluation
    )
    scored = {
        view: with_probability(frame, calibration).where(F.col(LABEL).isNotNull()).cache() for view, frame in views.items()
    }
    scores = {view: failure_scores(frame, judging) for view, frame in scored.items()}
    with run.without_autolog():
        baselines = _baselines(held, rows, is_training, judging)
    return FailureHead(
        model=held.preparation.pipeline_with(forest, last_stage),
        model_type=type(estimator).__name__,
        serving=_serving(held, threshold, calibration),
        judging=judging,
        scored=scored,
        scores=scores,
        intervals={view: failure_intervals(scored[view], scores[view], settings.evaluation) for view in scored},
        curve=curve,
        importance=pd.DataFrame({"feature": held.preparation.slots, "importance": forest.featureImportances.toArray()}),
        baselines=baselines,
    )


def with_probability(scored: DataFrame, calibration: Calibration) -> DataFrame:
    """Add `failure_probability`, 0 to 1. Grain: as `scored`, which needs `raw_score`."""
    return scored.withColumn("failure_probability", calibrated(F.col("raw_score"), calibration))


def failure_verdict(head: FailureHead, held: TrainingSet, tracker: Tracker) -> Verdict:
    """Hold the new head against the baselines and the champion, on the same test rows."""
    test = head.scores[TEST_VIEW]
    costs = {name: scores.metrics["cost_per_turbine_month"] for name, scores in head.baselines.items()}
    champion = tracker.champion(tracker.settings.classifier_model)
    difference = _difference_to(champion, head, held, tracker) if champion else None
    return judge(
        failures=int(test.metrics["failures"] or 0),
        min_failures=held.settings.evaluation.min_test_failures,
        score=COST,
        value=test.metrics["cost_per_turbine_month"],
        baselines=costs,
        difference_to_champion=difference,
    )


def _failures(scored: DataFrame) -> int:
    row = scored.agg(F.countDistinct(F.when(F.col(LABEL) == 1, F.struct("asset_id", "life_number"))).alias("failures")).first()
    return int(row["failures"]) if row else 0


def _validation_curve(held: TrainingSet, validated: DataFrame, calibration: Calibration) -> pd.DataFrame:
    """Cost by threshold, at every probability that the calibration can tell apart."""
    settings = held.settings
    thresholds = sorted({round(share, 5) for share in calibration.probability} | {1.0})
    totals = to_turbine_totals(validated, thresholds, settings.labels.horizon_days, settings.features.every_hours)
    return cost_curve(totals, settings.costs)


def _views(held: TrainingSet, validated: DataFrame, served: DataFrame) -> dict[str, DataFrame]:
    """Rows by what their forest has seen: other weeks, other turbines, or neither."""
    views = {TEST_VIEW: served.where(F.col("part") == TEST), UNSEEN: validated.where(F.col("part") == TRAIN)}
    if held.border is not None:
        is_after = F.col("part").isin(TEST, LATER)
        views[FUTURE] = served.where(is_after & F.col("fold").isNotNull())
        views[BOTH] = validated.where(is_after)
    return views


def _baselines(held: TrainingSet, rows: DataFrame, is_training: Column, judging: Judging) -> dict[str, FailureScores]:
    """The test without a model, and with the turbine's age alone."""
    test = rows.where((F.col("part") == TEST) & F.col(LABEL).isNotNull()).drop("features")
    base_rate = held.rows_of(TRAIN, label=1) / max(held.rows_of(TRAIN), 1)
    constant = test.withColumn("raw_score", F.lit(round(base_rate, 5)))
    baselines = {
        "never alert": failure_scores(constant.withColumn("failure_probability", F.lit(0.0)), judging),
        "always alert": failure_scores(constant.withColumn("failure_probability", F.lit(1.0)), judging),
    }
    if AGE in held.preparation.slots:
        baselines["age alone"] = _age_alone(held, rows, is_training, judging)
    return baselines


def _age_alone(held: TrainingSet, rows: DataFrame, is_training: Column, judging: Judging) -> FailureScores:
    by_age = age_classifier(held.preparation.slots.index(AGE)).fit(rows.where(is_training))
    fitted = with_raw_score(rows.where(is_training), by_age)
    calibration = fit_calibration(fitted, _failures(fitted))
    threshold = cheapest_threshold(_validation_curve(held, with_probability(fitted, calibration), calibration))
    test = with_raw_score(rows.where(F.col("part") == TEST), by_age).drop("features")
    at_its_best = Judging(threshold, judging.horizon_days, judging.hours_per_row, judging.costs, judging.evaluation)
    return failure_scores(with_probability(test, calibration), at_its_best)


def _serving(held: TrainingSet, threshold: float, calibration: Calibration) -> ClassifierServing:
    return ClassifierServing(
        features=held.preparation.features,
        horizon_days=held.settings.labels.horizon_days,
        threshold=threshold,
        calibration=calibration,
        healthy_medians=held.preparation.healthy_medians,
        features_table_version=held.version,
        **held.settings.scoring.model_dump(),
    )


def champion_scores(champion: RegisteredVersion, held: TrainingSet, judging: Judging, tracker: Tracker) -> FailureScores | None:
    """The champion on the same test rows, with its own calibration and threshold.

    None when the table no longer has the features it was trained on: it can score nothing any more.
    """
    serving = ClassifierServing.from_json(tracker.load_json(champion.run_id, "serving.json"))
    if missing := sorted(set(serving.features) - set(held.examples.columns)):
        logger.warning("champion version %s cannot be compared: %s is gone", champion.version, ", ".join(missing[:5]))
        return None
    test = held.examples.where((F.col("part") == TEST) & F.col(LABEL).isNotNull())
    scored = with_probability(with_raw_score(test, tracker.load_model(champion)), serving.calibration)
    its_own = Judging(serving.threshold, judging.horizon_days, judging.hours_per_row, judging.costs, judging.evaluation)
    return failure_scores(scored, its_own)


def _difference_to(
    champion: RegisteredVersion, head: FailureHead, held: TrainingSet, tracker: Tracker
) -> tuple[float, float] | None:
    """Confidence interval of cost per turbine-month, new minus champion, over the same draws of turbines."""
    old = champion_scores(champion, held, head.judging, tracker)
    if old is None:
        return None
    evaluation = head.judging.evaluation
    draws = {
        name: resampled_sums(scores.totals, [*TOTALS, "cost"], evaluation.resamplings).set_index("draw")
        for name, scores in (("new", head.scores[TEST_VIEW]), ("old", old))
    }
    days = draws["new"]["days"]
    difference = (draws["new"]["cost"] - draws["old"]["cost"]) / (days / DAYS_PER_MONTH)
    return interval_of(difference, evaluation.confidence)
