"""Train, judge and log the head that says how many days are left (model B)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from turbine_health.errors import DataError
from turbine_health.io.tracking import RegisteredVersion, TrackedRun, Tracker
from turbine_health.models.baselines import AGE, age_regressor
from turbine_health.models.calibration import fit_interval
from turbine_health.models.crossfit import out_of_fold, random_reference
from turbine_health.models.evaluation import error_sums
from turbine_health.models.forests import DAYS, WEIGHT, regressor
from turbine_health.models.gate import Verdict, judge
from turbine_health.models.preparation import FittedPipeline
from turbine_health.models.resampling import interval_of, resampled_sums
from turbine_health.models.scoring import (
    agreed_days,
    interval_band,
    is_moved,
    lower_days,
    upper_days,
    with_raw_days,
)
from turbine_health.models.serving import Interval, RegressorServing
from turbine_health.models.views import BOTH, FUTURE, RANDOM, TEST_VIEW, UNSEEN, time_intervals, time_scores
from turbine_health.pipelines.failure_head import FailureHead
from turbine_health.pipelines.training_set import TrainingSet
from turbine_health.transforms.splits import LATER, TEST, TRAIN

logger = logging.getLogger("turbine_health")

RAW, CAPPED = "raw_time_to_failure_days", "actual_days"
ERROR = "mean absolute error in days"


@dataclass(frozen=True)
class TimeHead:
    """A trained head and everything that was found out about it. All numbers in days."""

    model: FittedPipeline
    model_type: str
    serving: RegressorServing
    scored: Mapping[str, DataFrame]
    """View → rows with `raw_time_to_failure_days`, `days_known` and `actual_days` (days to a failure on record, capped)."""
    scores: Mapping[str, Mapping[str, float | None]]
    intervals: Mapping[str, Mapping[str, tuple[float, float]]]
    coverage: pd.DataFrame
    """Share of the truth that the interval held: one row per `view` and `band` (`all` for the whole view)."""
    uncapped: Mapping[str, float | None]
    """Errors on the test against days that are not capped, as `<metric>_uncapped`."""
    agreement: Mapping[str, float]
    importance: pd.DataFrame
    baselines: Mapping[str, Mapping[str, float | None]]


def train_time_head(held: TrainingSet, failure_head: FailureHead, run: TrackedRun) -> TimeHead:
    """Grow the forest, fit its interval on turbines it has not seen, judge it in every view."""
    settings = held.settings
    rows = held.rows.where(F.col(DAYS).isNotNull()).withColumn(WEIGHT, F.lit(1.0))
    is_training = F.col("part") == TRAIN
    _refuse_without_lives(rows.where(is_training))
    estimator = regressor(settings.model)
    with run.without_autolog():
        validated = out_of_fold(rows, is_training, estimator, settings.split.folds, with_raw_days).cache()
    interval = fit_interval(
        validated.where(is_training),
        settings.model.interval_coverage,
        settings.model.interval_bands,
        settings.model.time_to_failure_cap_days,
    )
    forest = estimator.fit(rows.where(is_training))
    served = with_raw_days(rows.where(F.col("part").isin(TEST, LATER)), forest).drop("features").cache()
    views = _views(held, validated, served)
    with run.without_autolog():
        if settings.evaluation.random_reference:
            views[RANDOM] = random_reference(rows, is_training, estimator, settings.split.test_share, with_raw_days)
        baselines = _baselines(held, rows, is_training)
    scored = {view: _with_actual(frame, held).cache() for view, frame in views.items()}
    evaluation = settings.evaluation
    return TimeHead(
        model=held.preparation.pipeline_with(forest),
        model_type=type(estimator).__name__,
        serving=RegressorServing(held.preparation.features, settings.model.time_to_failure_cap_days, interval),
        scored=scored,
        scores={view: time_scores(frame, RAW, CAPPED) for view, frame in scored.items()},
        intervals={view: time_intervals(frame, RAW, CAPPED, evaluation) for view, frame in scored.items()},
        coverage=_coverage(scored, interval),
        uncapped=_uncapped(scored[TEST_VIEW]),
        agreement=_agreement(scored[TEST_VIEW], failure_head),
        importance=pd.DataFrame({"feature": held.preparation.slots, "importance": forest.featureImportances.toArray()}),
        baselines=baselines,
    )


def time_verdict(head: TimeHead, failure_head: FailureHead, held: TrainingSet, tracker: Tracker) -> Verdict:
    """Hold the new head against the baselines and the champion, on the same test rows."""
    champion = tracker.champion(tracker.settings.regressor_model)
    difference = _difference_to(champion, head, held, tracker) if champion else None
    return judge(
        failures=int(failure_head.scores[TEST_VIEW].metrics["failures"] or 0),
        min_failures=held.settings.evaluation.min_test_failures,
        score=ERROR,
        value=head.scores[TEST_VIEW]["mae"],
        baselines={name: scores["mae"] for name, scores in head.baselines.items()},
        difference_to_champion=difference,
    )


def _refuse_without_lives(training: DataFrame) -> None:
    lives = training.where(F.col("time_to_failure_days").isNotNull()).select("asset_id", "life_number").distinct().limit(2)
    if lives.count() < 2:
        raise DataError(
            "fewer than two lives in the training part ended in a failure on record",
            where="gold.training_examples",
            hint="take in a longer record or more turbines",
        )


def _views(held: TrainingSet, validated: DataFrame, served: DataFrame) -> dict[str, DataFrame]:
    views = {TEST_VIEW: served.where(F.col("part") == TEST), UNSEEN: validated.where(F.col("part") == TRAIN)}
    if held.border is not None:
        is_after = F.col("part").isin(TEST, LATER)
        views[FUTURE] = served.where(is_after & F.col("fold").isNotNull())
        views[BOTH] = validated.where(is_after)
    return views


def _with_actual(scored: DataFrame, held: TrainingSet) -> DataFrame:
    """Add what happened, where it is on record: `actual_days`, capped like the predictions."""
    cap = held.settings.model.time_to_failure_cap_days
    days = F.col("time_to_failure_days")
    return scored.withColumn(CAPPED, F.when(days.isNotNull(), F.least(days, F.lit(cap)) if cap is not None else days))


def _baselines(held: TrainingSet, rows: DataFrame, is_training: Column) -> dict[str, Mapping[str, float | None]]:
    """The test with one number for all, and with the turbine's age alone."""
    test = rows.where(F.col("part") == TEST)
    row = rows.where(is_training).agg(F.median(DAYS).alias("days")).first()
    constant = test.withColumn(RAW, F.lit(float(row["days"]) if row else 0.0))
    baselines: dict[str, Mapping[str, float | None]] = {
        "the median life": time_scores(_with_actual(constant, held), RAW, CAPPED)
    }
    if AGE in held.preparation.slots:
        by_age = age_regressor(held.preparation.slots.index(AGE)).fit(rows.where(is_training))
        baselines["age alone"] = time_scores(_with_actual(with_raw_days(test, by_age), held), RAW, CAPPED)
    return baselines


def _coverage(scored: Mapping[str, DataFrame], interval: Interval) -> pd.DataFrame:
    """How often the interval held the truth, by view and band of predicted days."""
    raw = F.col(RAW)
    low, high = lower_days(raw, raw, interval), upper_days(raw, raw, interval)
    is_held = (F.col(DAYS) >= low) & (high.isNull() | (F.col(DAYS) <= high))
    tables = []
    for view, frame in scored.items():
        known = frame.where(F.col(DAYS).isNotNull()).withColumn("band", interval_band(raw, interval).cast("string"))
        shares = known.rollup("band").agg(F.count("*").alias("rows"), F.avg(is_held.cast("double")).alias("covered"))
        table: pd.DataFrame = shares.orderBy("band").toPandas()
        tables.append(table.assign(view=view, band=table["band"].fillna("all")))
    coverage: pd.DataFrame = pd.concat(tables, ignore_index=True)[["view", "band", "rows", "covered"]]
    return coverage


def _uncapped(test: DataFrame) -> dict[str, float | None]:
    errors = time_scores(test, RAW, "time_to_failure_days")
    return {f"{name}_uncapped": errors[name] for name in ("mae", "mse", "rmse", "r2_score")}


def _agreement(test: DataFrame, failure_head: FailureHead) -> dict[str, float]:
    """How many test predictions contradicted the alert and were moved, and what that did to the error."""
    horizon, threshold = failure_head.judging.horizon_days, failure_head.judging.threshold
    alerts = failure_head.scored[TEST_VIEW].select(
        "asset_id", "window_end", (F.col("failure_probability") >= threshold).alias("is_alert")
    )
    both = test.join(alerts, on=["asset_id", "window_end"], how="inner")
    agreed = both.withColumn("agreed", agreed_days(F.col(RAW), F.col("is_alert"), horizon))
    row = agreed.agg(
        F.count("*").alias("rows"),
        F.count_if(is_moved(F.col(RAW), F.col("is_alert"), horizon)).alias("moved"),
        F.avg(F.abs(F.col("agreed") - F.col(CAPPED))).alias("mae"),
    ).first()
    if row is None or not row["rows"]:
        return {}
    shares = {"predictions_moved": float(row["moved"]), "predictions_moved_share": row["moved"] / row["rows"]}
    return {**shares, **({"mae_after_agreement": row["mae"]} if row["mae"] is not None else {})}


def _difference_to(
    champion: RegisteredVersion, head: TimeHead, held: TrainingSet, tracker: Tracker
) -> tuple[float, float] | None:
    """Confidence interval of the mean absolute error, new minus champion, over the same draws of turbines."""
    serving = RegressorServing.from_json(tracker.load_json(champion.run_id, "serving.json"))
    if missing := sorted(set(serving.features) - set(held.examples.columns)):
        logger.warning("champion version %s cannot be compared: %s is gone", champion.version, ", ".join(missing[:5]))
        return None
    test = held.examples.where((F.col("part") == TEST) & F.col(DAYS).isNotNull())
    old = _with_actual(with_raw_days(test, tracker.load_model(champion)), held)
    evaluation = held.settings.evaluation
    errors = [
        draws["absolute"] / draws["rows"]
        for draws in (
            resampled_sums(error_sums(frame, RAW, CAPPED), ["absolute", "rows"], evaluation.resamplings).set_index("draw")
            for frame in (head.scored[TEST_VIEW], old)
        )
    ]
    return interval_of(errors[0] - errors[1], evaluation.confidence)
