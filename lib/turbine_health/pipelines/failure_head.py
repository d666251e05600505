"""Train and judge the head that says how likely a failure is (model A)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from turbine_health.io.short_plans import cached_with_short_plan
from turbine_health.io.tracking import TrackedRun, Tracker
from turbine_health.models.calibration import calibration_stage, fit_calibration
from turbine_health.models.events import (
    cheapest_threshold,
    cost_curve,
    costliest_turbines,
    inspections,
    totals_by_threshold,
)
from turbine_health.models.forests import (
    LABEL,
    WEIGHT,
    class_weight,
    classifier,
    feature_gains,
    healthy_share_kept,
    is_kept,
    kind_of_trees,
)
from turbine_health.models.gate import Verdict, cannot_be_compared, judge, suspected_leak
from turbine_health.models.learning_curve import failure_learning_curve
from turbine_health.models.preparation import FittedPipeline
from turbine_health.models.resampling import interval_of
from turbine_health.models.scoring import SCORE_DIGITS, calibrated, with_raw_score
from turbine_health.models.serving import Calibration, ClassifierServing
from turbine_health.models.validation import AGE, Scorer, Unfitted, age_classifier, out_of_fold, random_reference
from turbine_health.models.views import (
    BOTH,
    CHAMPION_VIEW,
    FUTURE,
    RANDOM,
    TEST_VIEW,
    UNSEEN,
    VIEW,
    FailureScores,
    Judging,
    failure_scores,
)
from turbine_health.pipelines.training_set import TrainingSet
from turbine_health.transforms.splits import LATER, TEST, TRAIN

logger = logging.getLogger("turbine_health")

NEVER, ALWAYS, BY_AGE = "never alert", "always alert", "age alone"
BASELINES = (NEVER, ALWAYS, BY_AGE)


@dataclass(frozen=True)
class FailureHead:
    """A trained head and everything that was found out about it."""

    model: FittedPipeline
    model_type: str
    serving: ClassifierServing
    judging: Judging
    test: DataFrame
    """Cached test rows with `raw_score`, `failure_probability` and `is_alert`."""
    scores: Mapping[str, FailureScores]
    """View → scores: the test, what the forest had not seen, the baselines, the champion."""
    inspections: pd.DataFrame
    curve: pd.DataFrame
    """Cost by threshold on the validation rows."""
    by_turbine: pd.DataFrame
    """What the test's alerts did at the turbines where they cost most: columns of `costliest_turbines`."""
    learning: pd.DataFrame
    """PR-AUC by share of the training turbines; empty unless `evaluation.learning_curve` asks for it."""
    importance: pd.DataFrame
    not_compared: str | None
    """Why the champion is not among `scores`, where there is one."""


def train_failure_head(held: TrainingSet, run: TrackedRun, tracker: Tracker) -> FailureHead:
    """Grow the forest; calibrate it and choose its threshold on turbines it has not seen; judge it in every view."""
    settings = held.settings
    rows, is_learned = rows_with_label(held)
    side_estimator = classifier(settings.model, share_of_trees=settings.model.validation_trees_share)
    with run.without_autolog():
        validated = cached_with_short_plan(out_of_fold(rows, is_learned, side_estimator, settings.split.folds, with_raw_score))
        validation = validated.where(F.col("part") == TRAIN)
        calibration = fit_calibration(validation, held.training_failures)
        curve = _validation_curve(held, with_probability(validation, calibration), calibration.probability)
        last_stage = calibration_stage(rows, calibration)
    threshold = cheapest_threshold(curve)
    logger.info("validated on %d turbine folds: alert from a probability of %.3f", settings.split.folds, threshold)
    estimator = classifier(settings.model)
    forest = estimator.fit(rows.where(is_learned))
    served = with_raw_score(rows.where(F.col("part").isin(TEST, LATER)), forest).drop("features")
    with run.without_autolog():
        views = view_rows(held, validated, served)
        views |= random_rows(held, rows, is_learned, side_estimator, with_raw_score)
        learning = _learning_curve(held, rows, is_learned)
        judged = {view: _with_alerts(frame, calibration, threshold) for view, frame in views.items()}
        champion, not_compared = _champion(held, tracker)
        judged |= _baselines(held, rows, is_learned) | champion
    scored = cached_with_short_plan(union_of_views(judged))
    judging = Judging(settings.labels.horizon_days, settings.features.every_hours, settings.costs, settings.evaluation)
    test = scored.where(F.col(VIEW) == TEST_VIEW)
    return FailureHead(
        model=held.preparation.pipeline_with(forest, last_stage),
        model_type=kind_of_trees(estimator),
        serving=_serving(held, threshold, calibration),
        judging=judging,
        test=test,
        scores=failure_scores(scored, judging),
        inspections=inspections(test, max(settings.evaluation.inspections_per_day)),
        curve=curve,
        by_turbine=costliest_turbines(test, VIEW, settings.labels.horizon_days, settings.features.every_hours, settings.costs),
        learning=learning,
        importance=held.importance(feature_gains(forest)),
        not_compared=not_compared,
    )


def failure_verdict(head: FailureHead, held: TrainingSet) -> Verdict:
    """Hold the new head against the baselines and the champion, on the same test rows."""
    test, champion = head.scores[TEST_VIEW], head.scores.get(CHAMPION_VIEW)
    evaluation = held.settings.evaluation
    difference = interval_of(test.cost_draws - champion.cost_draws, evaluation.confidence) if champion else None
    return judge(
        failures=int(test.metrics["failures"] or 0),
        min_failures=evaluation.min_test_failures,
        training_failures=held.training_failures,
        min_training_failures=evaluation.min_training_failures,
        score="cost per turbine-month",
        value=test.metrics["cost_per_turbine_month"],
        baselines={name: head.scores[name].metrics["cost_per_turbine_month"] for name in BASELINES if name in head.scores},
        difference_to_champion=difference,
        leak=suspected_leak(head.importance.set_index("feature")["importance"].to_dict(), test.metrics["pr_auc"]),
        not_judged=head.not_compared,
    )


def rows_with_label(held: TrainingSet) -> tuple[DataFrame, Column]:
    """Labelled rows with their weight, and which of them the forest learns from."""
    failing, healthy = held.rows_of(TRAIN, label=1), held.rows_of(TRAIN, label=0)
    share = healthy_share_kept(failing, healthy, held.settings.model.max_healthy_rows_per_failing_row)
    weight = class_weight(failing, round(healthy * share), held.settings.model.class_balance)
    return held.rows.where(F.col(LABEL).isNotNull()).withColumn(WEIGHT, weight), (F.col("part") == TRAIN) & is_kept(share)


def with_probability(scored: DataFrame, calibration: Calibration) -> DataFrame:
    """Add `failure_probability`, 0 to 1. Grain: as `scored`, which needs `raw_score`."""
    return scored.withColumn("failure_probability", calibrated(F.col("raw_score"), calibration))


def view_rows(held: TrainingSet, validated: DataFrame, served: DataFrame) -> dict[str, DataFrame]:
    """Rows by what their forest had not seen: other weeks, other turbines, or neither.

    Args:
        held: Says how rows were split.
        validated: All rows, scored by forests that have not seen their turbine.
        served: Rows after the border or of test turbines, scored by the model itself.
    """
    views = {TEST_VIEW: served.where(F.col("part") == TEST), UNSEEN: validated.where(F.col("part") == TRAIN)}
    if held.border is not None:
        is_after = F.col("part").isin(TEST, LATER)
        views[FUTURE] = served.where(is_after & F.col("fold").isNotNull())
        views[BOTH] = validated.where(is_after)
    return views


def random_rows(
    held: TrainingSet, rows: DataFrame, is_learned: Column, estimator: Unfitted, score: Scorer
) -> dict[str, DataFrame]:
    """The view that flatters, where the settings ask for it; arguments as for `random_reference`."""
    if not held.settings.evaluation.random_reference:
        return {}
    share, is_training = held.settings.split.test_share, F.col("part") == TRAIN
    return {RANDOM: random_reference(rows, is_training, is_learned, estimator, share, score)}


def union_of_views(frames: Mapping[str, DataFrame]) -> DataFrame:
    """All frames in one, told apart by `view`. Grain: as the frames, which have the same columns."""
    return reduce(DataFrame.unionByName, (frame.withColumn(VIEW, F.lit(view)) for view, frame in frames.items()))


def _with_alerts(scored: DataFrame, calibration: Calibration, threshold: float) -> DataFrame:
    known = scored.select(*_KEPT, "raw_score").transform(with_probability, calibration)
    return known.withColumn("is_alert", F.col("failure_probability") >= threshold)


def _validation_curve(held: TrainingSet, validated: DataFrame, probabilities: tuple[float, ...]) -> pd.DataFrame:
    """Cost by threshold, at every probability that the calibration tells apart."""
    settings = held.settings
    thresholds = sorted({round(share, SCORE_DIGITS) for share in probabilities} | {1.0})
    totals = totals_by_threshold(validated, thresholds, settings.labels.horizon_days, settings.features.every_hours)
    return cost_curve(totals, settings.costs)


def _baselines(held: TrainingSet, rows: DataFrame, is_learned: Column) -> dict[str, DataFrame]:
    """The test without a model, and with the turbine's age alone."""
    test = rows.where(F.col("part") == TEST)
    base_rate = round(held.rows_of(TRAIN, label=1) / max(held.rows_of(TRAIN), 1), SCORE_DIGITS)
    constant = test.select(*_KEPT, F.lit(base_rate).alias("raw_score"), F.lit(base_rate).alias("failure_probability"))
    judged = {name: constant.withColumn("is_alert", F.lit(name == ALWAYS)) for name in (NEVER, ALWAYS)}
    if AGE in held.preparation.slots:
        by_age = age_classifier(held.preparation.slots.index(AGE)).fit(rows.where(is_learned))
        fitted, scored = (
            with_raw_score(frame, by_age).withColumn("failure_probability", F.col("raw_score"))
            for frame in (rows.where(F.col("part") == TRAIN), test)
        )
        threshold = cheapest_threshold(_validation_curve(held, fitted, tuple(step / 40 for step in range(1, 40))))
        judged[BY_AGE] = scored.select(
            *_KEPT, "raw_score", "failure_probability", (F.col("raw_score") >= threshold).alias("is_alert")
        )
    return judged


def _champion(held: TrainingSet, tracker: Tracker) -> tuple[dict[str, DataFrame], str | None]:
    """The champion on the same test rows, with its own calibration and threshold; or why there is none to compare with.

    Neither when there is no champion. Where the table no longer has its features, it can score nothing any more.
    """
    champion = tracker.champion(tracker.settings.classifier_model)
    if champion is None:
        return {}, None
    serving = ClassifierServing.from_json(tracker.load_json(champion.run_id, "serving.json"))
    if missing := held.missing_features(serving.features):
        return {}, cannot_be_compared(champion.version, missing)
    test = held.examples.where((F.col("part") == TEST) & F.col(LABEL).isNotNull())
    scored = _with_alerts(with_raw_score(test, tracker.load_model(champion)), serving.calibration, serving.threshold)
    return {CHAMPION_VIEW: scored}, None


def _learning_curve(held: TrainingSet, rows: DataFrame, is_learned: Column) -> pd.DataFrame:
    estimator = classifier(held.settings.model, share_of_trees=held.settings.model.validation_trees_share)
    shares = held.settings.evaluation.learning_curve
    return failure_learning_curve(rows, is_learned, F.col("part") == TEST, estimator, shares)


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


_KEPT = ("asset_id", "window_end", "life_number", "failure_mode", "failure_within_7d", "time_to_failure_days")
