"""From fitted pipelines to columns that people read. Column functions: null in, null out."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.ml import PipelineModel, Transformer
from pyspark.ml.functions import vector_to_array
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from turbine_health.models.serving import Calibration, Interval

# Scores are told apart to this many digits, so that curves over all rows of a fleet have at most
# 100,001 points and a row's score is the same after any rearrangement of a sum.
SCORE_DIGITS = 5
DAY_DIGITS = 3
# A prediction moved out of the horizon lands an hour beyond it.
JUST_BEYOND_DAYS = 1 / 24


def with_raw_score(rows: DataFrame, model: Transformer | PipelineModel) -> DataFrame:
    """Add the classifier's own score.

    Grain: as `rows`.

    Args:
        rows: What `model` takes: feature columns for a whole pipeline, `features` for its forest.
        model: A fitted classifier.

    Returns:
        `rows` plus `raw_score`, 0 to 1.
    """
    share = F.element_at(vector_to_array(F.col("probability")), 2)
    return model.transform(rows).select(*rows.columns, F.round(share, SCORE_DIGITS).alias("raw_score"))


def with_raw_days(rows: DataFrame, model: Transformer | PipelineModel) -> DataFrame:
    """Add the regressor's own answer.

    Grain: as `rows`.

    Args:
        rows: What `model` takes: feature columns for a whole pipeline, `features` for its forest.
        model: A fitted regressor.

    Returns:
        `rows` plus `raw_time_to_failure_days`, at least 0.
    """
    days = F.greatest(F.round(F.col("prediction"), DAY_DIGITS), F.lit(0.0))
    return model.transform(rows).select(*rows.columns, days.alias("raw_time_to_failure_days"))


def calibrated(raw_score: Column, calibration: Calibration) -> Column:
    """Probability for a raw score: on the line through the calibration's points, level beyond its ends."""
    raw, probability = _numbers(calibration.raw), _numbers(calibration.probability)
    below = F.size(F.filter(raw, lambda point: point <= raw_score))
    last = len(calibration.raw)
    x0, x1 = F.element_at(raw, F.greatest(below, F.lit(1))), F.element_at(raw, F.least(below + 1, F.lit(last)))
    y0 = F.element_at(probability, F.greatest(below, F.lit(1)))
    y1 = F.element_at(probability, F.least(below + 1, F.lit(last)))
    share = F.coalesce(F.try_divide(raw_score - x0, x1 - x0), F.lit(0.0))
    on_line = F.when((below == 0) | (below == last), y0).otherwise(y0 + share * (y1 - y0))
    return F.when(raw_score.isNotNull(), F.round(on_line, SCORE_DIGITS))


def quality_status(data_age_hours: Column, coverage: Column, *, stale_after_hours: float, min_coverage: float) -> Column:
    """`ok`, or why a window cannot be scored: `no_data`, `stale`, `sparse`. Never null."""
    return (
        F.when(data_age_hours.isNull() | F.isnan(data_age_hours), "no_data")
        .when(data_age_hours > stale_after_hours, "stale")
        .when(F.coalesce(coverage, F.lit(0.0)) < min_coverage, "sparse")
        .otherwise("ok")
    )


def agreed_days(days: Column, is_alert: Column, horizon_days: float) -> Column:
    """Days left that do not contradict the alert: within the horizon with one, beyond it without."""
    horizon = F.lit(float(horizon_days))
    return (
        F.when(days.isNull() | is_alert.isNull(), days)
        .when(is_alert, F.least(days, horizon))
        .otherwise(F.when(days > horizon, days).otherwise(horizon + JUST_BEYOND_DAYS))
    )


def is_moved(days: Column, is_alert: Column, horizon_days: float) -> Column:
    """Whether the heads contradict each other, so that `agreed_days` moves the days."""
    return (days <= horizon_days) != is_alert


def interval_band(days: Column, interval: Interval) -> Column:
    """Number of the band that a prediction (days) falls in, from 0."""
    edges = _numbers(interval.bands[:-1])
    return F.when(days.isNotNull(), F.size(F.filter(edges, lambda edge: edge < days)))


def lower_days(raw_days: Column, agreed: Column, interval: Interval) -> Column:
    """Lower end of the interval, days, at least 0; never above the prediction."""
    offset = F.element_at(_numbers(interval.lower_offset), interval_band(raw_days, interval) + 1)
    return F.when(raw_days.isNotNull(), F.least(F.greatest(F.round(raw_days + offset, DAY_DIGITS), F.lit(0.0)), agreed))


def upper_days(raw_days: Column, agreed: Column, interval: Interval) -> Column:
    """Upper end of the interval, days; never below the prediction. Null: open, the cap or more."""
    offset = F.element_at(_numbers(interval.upper_offset), interval_band(raw_days, interval) + 1)
    return F.when(offset.isNotNull(), F.greatest(F.round(raw_days + offset, DAY_DIGITS), agreed))


def _numbers(values: Sequence[float | None]) -> Column:
    return F.array(*(F.lit(value).cast("double") for value in values)) if values else F.array().cast("array<double>")
