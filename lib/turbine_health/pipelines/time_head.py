"""Train and judge the head that says how many days are left (model B)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from turbine_health.errors import DataError
from turbine_health.io.short_plans import cached_with_short_plan
from turbine_health.io.tracking import TrackedRun, Tracker
from turbine_health.models.calibration import RAW, fit_interval
from turbine_health.models.evaluation import error_sums
from turbine_health.models.forests import DAYS, WEIGHT, feature_gains, kind_of_trees, regressor
from turbine_health.models.gate import Verdict, cannot_be_compared, judge
from turbine_health.models.learning_curve import time_learning_curve
from turbine_health.models.preparation import FittedPipeline
from turbine_health.models.resampling import interval_of
from turbine_health.models.scoring import agreed_days, interval_band, is_moved, lower_days, upper_days, with_raw_days
from turbine_health.models.serving import Interval, RegressorServing
from turbine_health.models.validation import AGE, age_regressor, out_of_fold
from turbine_health.models.views import CHAMPION_VIEW, TEST_VIEW, UNSEEN, VIEW, Metrics, time_scores
from turbine_health.pipelines.failure_head import FailureHead, random_rows, union_of_views, view_rows
from turbine_health.pipelines.training_set import TrainingSet
from turbine_health.settings import ModelSettings
from turbine_health.transforms.splits import LATER, TEST, TRAIN

ACTUAL = "actual_days"
MEAN, BY_AGE = "the mean life", "age alone"
BASELINES = (MEAN, BY_AGE)


@dataclass(frozen=True)
class TimeHead:
    """A trained head and everything that was found out about it. All numbers in days."""

    model: FittedPipeline
    model_type: str
    serving: RegressorServing
    test: DataFrame
    """Cached test rows with `raw_time_to_failure_days` and `actual_days` (to a failure on record, capped; else null)."""
    scores: Mapping[str, Metrics]
    """View → errors: the test, what the forest had not seen, the baselines, the champion."""
    error_draws: pd.DataFrame
    """rmse_known of each drawn fleet, one column a view."""
    coverage: pd.DataFrame
    """Share of the truth that the interval held: one row per `view` and `band` (`all` for the whole view).

    `covered` is of the `rows` that are followed up (`with_days_known`), null without any; `covered_of_known` of all
    `known_rows`, in which windows at the end of the record stand only where a failure came soon.
    """
    agreement: Mapping[str, float]
    by_turbine: pd.DataFrame
    """`asset_id`, `windows_with_failure` (that ends on record), `mae_days`, for the turbines of `FailureHead.by_turbine`."""
    learning: pd.DataFrame
    """Root mean squared error by share of the training turbines; empty unless `evaluation.learning_curve` asks for it."""
    importance: pd.DataFrame
    not_compared: str | None
    """Why the champion is not among `scores`, where there is one."""


def train_time_head(held: TrainingSet, failure_head: FailureHead, run: TrackedRun, tracker: Tracker) -> TimeHead:
    """Grow the forest, fit its interval on turbines it has not seen, judge it in every view."""
    settings = held.settings
    rows, is_training = rows_with_days(held)
    _refuse_without_lives(rows.where(is_training))
    side_estimator = regressor(settings.model, share_of_trees=settings.model.validation_trees_share)
    cap_days = settings.model.time_to_failure_cap_days
    with run.without_autolog():
        validated = cached_with_short_plan(out_of_fold(rows, is_training, side_estimator, settings.split.folds, with_raw_days))
    interval = interval_of_validated(validated.where(is_training), settings.model)
    estimator = regressor(settings.model)
    forest = estimator.fit(rows.where(is_training))
    served = with_raw_days(rows.where(F.col("part").isin(TEST, LATER)), forest).drop("features")
    with run.without_autolog():
        views = view_rows(held, validated, served)
        views |= random_rows(held, rows, is_training, side_estimator, with_raw_days)
        shares, is_test = settings.evaluation.learning_curve, F.col("part") == TEST
        learning = time_learning_curve(rows, is_training, is_test, side_estimator, shares)
        champion, not_compared = _champion(held, tracker)
        views |= _baselines(held, rows, is_training) | champion
    judged = {view: with_bounds(frame, interval) for view, frame in views.items()}
    judged[UNSEEN] = bounded_by_other_folds(views[UNSEEN], held)
    scored = cached_with_short_plan(union_of_views({view: _with_actual(frame, cap_days) for view, frame in judged.items()}))
    scores, error_draws = time_scores(scored, settings.evaluation)
    test = scored.where(F.col(VIEW) == TEST_VIEW)
    return TimeHead(
        model=held.preparation.pipeline_with(forest),
        model_type=kind_of_trees(estimator),
        serving=RegressorServing(held.preparation.features, cap_days, interval),
        test=test,
        scores=scores,
        error_draws=error_draws,
        coverage=interval_coverage(scored),
        agreement=_agreement(test, failure_head),
        by_turbine=_errors_by_turbine(test, list(failure_head.by_turbine["asset_id"])),
        learning=learning,
        importance=held.importance(feature_gains(forest)),
        not_compared=not_compared,
    )


def time_verdict(head: TimeHead, failure_head: FailureHead, held: TrainingSet) -> Verdict:
    """Hold the new head against the baselines and the champion, on the same test rows."""
    evaluation = held.settings.evaluation
    draws = head.error_draws
    has_champion = CHAMPION_VIEW in draws and TEST_VIEW in draws
    difference = interval_of(draws[TEST_VIEW] - draws[CHAMPION_VIEW], evaluation.confidence) if has_champion else None
    return judge(
        failures=int(failure_head.scores[TEST_VIEW].metrics["failures"] or 0),
        min_failures=evaluation.min_test_failures,
        training_failures=held.training_failures,
        min_training_failures=evaluation.min_training_failures,
        score="root mean squared error in days",
        value=head.scores.get(TEST_VIEW, {}).get("rmse_known"),
        baselines={name: head.scores[name]["rmse_known"] for name in BASELINES if name in head.scores},
        difference_to_champion=difference,
        not_judged=head.not_compared,
    )


def rows_with_days(held: TrainingSet) -> tuple[DataFrame, Column]:
    """Rows whose days left are known, with their weight, and which of them the forest learns from."""
    is_known = F.col(DAYS).isNotNull()
    return held.rows.where(is_known).withColumn(WEIGHT, F.lit(1.0)), is_known & (F.col("part") == TRAIN)


def _refuse_without_lives(training: DataFrame) -> None:
    lives = training.where(F.col("time_to_failure_days").isNotNull()).select("asset_id", "life_number").distinct().limit(2)
    if lives.count() < 2:
        raise DataError(
            "fewer than two lives in the training part ended in a failure on record",
            where="gold.training_examples",
            hint="take in a longer record or more turbines",
        )


def _with_actual(scored: DataFrame, cap_days: float | None) -> DataFrame:
    """Add `actual_days`: what happened, where it is on record, capped like the predictions. Grain: as `scored`."""
    days = F.col("time_to_failure_days")
    capped = days if cap_days is None else F.when(days.isNotNull(), F.least(days, F.lit(float(cap_days))))
    kept = ("asset_id", "window_end", DAYS, "is_followed_up", "time_to_failure_days", RAW, "band", "is_held")
    return scored.select(*kept, capped.alias(ACTUAL))


def _baselines(held: TrainingSet, rows: DataFrame, is_training: Column) -> dict[str, DataFrame]:
    """The test with one number for all, and with the turbine's age alone."""
    test = rows.where(F.col("part") == TEST)
    row = rows.where(is_training).agg(F.avg(DAYS).alias("days")).first()
    views = {MEAN: test.withColumn(RAW, F.lit(float(row["days"]) if row else 0.0))}
    if AGE in held.preparation.slots:
        by_age = age_regressor(held.preparation.slots.index(AGE)).fit(rows.where(is_training))
        views[BY_AGE] = with_raw_days(test, by_age)
    return views


def _champion(held: TrainingSet, tracker: Tracker) -> tuple[dict[str, DataFrame], str | None]:
    """The champion on the same test rows, or why it cannot score them; neither when there is no champion."""
    champion = tracker.champion(tracker.settings.regressor_model)
    if champion is None:
        return {}, None
    serving = RegressorServing.from_json(tracker.load_json(champion.run_id, "serving.json"))
    if missing := held.missing_features(serving.features):
        return {}, cannot_be_compared(champion.version, missing)
    test = held.examples.where((F.col("part") == TEST) & F.col(DAYS).isNotNull())
    return {CHAMPION_VIEW: with_raw_days(test, tracker.load_model(champion))}, None


def interval_of_validated(validated: DataFrame, model: ModelSettings) -> Interval:
    """The interval, fitted on rows that are followed up; on all where the record is too short for any."""
    followed_up = validated.where("is_followed_up")
    rows = validated if followed_up.isEmpty() else followed_up
    return fit_interval(rows, model.interval_coverage, model.interval_bands, model.time_to_failure_cap_days)


def with_bounds(scored: DataFrame, interval: Interval) -> DataFrame:
    """Add `band` of the prediction and `is_held`: whether the interval holds what is known. Grain: as `scored`."""
    raw = F.col(RAW)
    low, high = lower_days(raw, raw, interval), upper_days(raw, raw, interval)
    is_held = (F.col(DAYS) >= low) & (high.isNull() | (F.col(DAYS) <= high))
    return scored.withColumns({"band": interval_band(raw, interval), "is_held": is_held})


def bounded_by_other_folds(validated: DataFrame, held: TrainingSet) -> DataFrame:
    """The same with intervals fitted on the other folds, so that no turbine is judged by its own errors."""
    frames = [
        with_bounds(
            validated.where(F.col("fold") == fold),
            interval_of_validated(validated.where(F.col("fold") != fold), held.settings.model),
        )
        for fold in range(held.settings.split.folds)
    ]
    return reduce(DataFrame.unionByName, frames)


def interval_coverage(scored: DataFrame) -> pd.DataFrame:
    """How often the interval held the truth (capped, where known), by view and band of predicted days.

    Args:
        scored: Needs `view`, `band`, `is_held`, `is_followed_up`, `days_known`.

    Returns:
        As `TimeHead.coverage`.
    """
    known = scored.where(~F.col(VIEW).isin(*BASELINES, CHAMPION_VIEW) & F.col(DAYS).isNotNull())
    is_held, is_followed_up = F.col("is_held"), F.col("is_followed_up")
    counts = {
        "rows": F.count_if(is_followed_up),
        "held": F.count_if(is_followed_up & is_held),
        "known_rows": F.count("*"),
        "held_of_known": F.count_if(is_held),
    }
    shares = known.groupBy(VIEW, "band").agg(*(count.alias(name) for name, count in counts.items()))
    bands: pd.DataFrame = shares.orderBy(VIEW, "band").toPandas().astype({"band": str})
    whole = bands.groupby(VIEW, as_index=False)[list(counts)].sum().assign(band="all")
    table = pd.concat([bands, whole], ignore_index=True)
    table["covered"] = table["held"] / table["rows"].where(table["rows"] > 0)
    table["covered_of_known"] = table["held_of_known"] / table["known_rows"]
    coverage: pd.DataFrame = table[[VIEW, "band", "rows", "covered", "known_rows", "covered_of_known"]]
    return coverage


def _errors_by_turbine(test: DataFrame, turbines: Sequence[str]) -> pd.DataFrame:
    sums = error_sums(test.where(F.col("asset_id").isin(*turbines)), VIEW, RAW, ACTUAL)
    mae_days = (F.col("absolute") / F.col("rows")).alias("mae_days")
    worst_first = sums.select("asset_id", F.col("rows").alias("windows_with_failure"), mae_days)
    table: pd.DataFrame = worst_first.orderBy(F.desc("mae_days"), "asset_id").toPandas()
    return table


def _agreement(test: DataFrame, failure_head: FailureHead) -> dict[str, float]:
    """How many test predictions contradicted the alert and were moved, and what that did to the error."""
    horizon = failure_head.judging.horizon_days
    alerts = failure_head.test.select("asset_id", "window_end", "is_alert")
    both = test.join(alerts, on=["asset_id", "window_end"], how="inner")
    agreed = both.withColumn("agreed", agreed_days(F.col(RAW), F.col("is_alert"), horizon))
    row = agreed.agg(
        F.count("*").alias("rows"),
        F.count_if(is_moved(F.col(RAW), F.col("is_alert"), horizon)).alias("moved"),
        F.avg(F.abs(F.col("agreed") - F.col(ACTUAL))).alias("mae"),
    ).first()
    if row is None or not row["rows"]:
        return {}
    shares = {"predictions_moved": float(row["moved"]), "predictions_moved_share": row["moved"] / row["rows"]}
    return {**shares, **({"mae_after_agreement": row["mae"]} if row["mae"] is not None else {})}
