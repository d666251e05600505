"""From validation rows: what a raw score means as a probability, and how far predicted days may be off."""

from __future__ import annotations

import numpy as np
import pandas as pd
from pyspark.ml.regression import IsotonicRegression, IsotonicRegressionModel
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from turbine_health.models.evaluation import score_counts
from turbine_health.models.scoring import interval_band
from turbine_health.models.serving import Calibration, Interval

# Enough points to draw the line, few enough to be a constant in a query.
MOST_POINTS = 60


def fit_calibration(scored: DataFrame, failures: int) -> Calibration:
    """The rising line that best fits how often each score was followed by a failure.

    Args:
        scored: Validation rows. Needs `raw_score`, `failure_within_7d` (not null).
        failures: Distinct failures among them. The rows before one failure rise and fall together, so it is their
            number, not the rows', that says how near to certainty a probability may come.
    """
    counts = score_counts(scored)
    rows = counts.agg(F.sum("rows")).first()
    total = float(rows[0]) if rows and rows[0] else 0.0
    shares = counts.withColumn("share", F.col("positives") / F.col("rows")).withColumn("weight", F.col("rows").cast("double"))
    model = IsotonicRegression(featuresCol="raw_score", labelCol="share", weightCol="weight").fit(shares)
    line = pd.DataFrame({"raw": model.boundaries.toArray(), "probability": model.predictions.toArray()})
    line["probability"] = line["probability"].clip(1 / (total + 2), (failures + 1) / (failures + 2))
    line = line.drop_duplicates("raw", keep="last")
    if len(line) > MOST_POINTS:
        kept = np.unique(np.linspace(0, len(line) - 1, MOST_POINTS).round().astype(int))
        line = line.iloc[kept]
    return Calibration(tuple(map(float, line["raw"])), tuple(map(float, line["probability"])))


def calibration_stage(scored: DataFrame, calibration: Calibration) -> IsotonicRegressionModel:
    """The calibration as a last stage of the classifier's pipeline: `probability` → `prediction`, calibrated.

    Args:
        scored: Any frame of the session.
        calibration: Its points are met exactly: a rising line is its own best rising fit.
    """
    points = list(zip(calibration.raw, calibration.probability, strict=True))
    line = scored.sparkSession.createDataFrame(points, "raw_score double, share double")
    model: IsotonicRegressionModel = IsotonicRegression(featuresCol="raw_score", labelCol="share").fit(line)
    model.setFeaturesCol("probability").setFeatureIndex(1).setPredictionCol("prediction")
    return model


def fit_interval(scored: DataFrame, coverage: float, bands: int, cap_days: float | None) -> Interval:
    """Split-conformal offsets: the span that held the truth in `coverage` of the validation rows, band by band.

    A band is a range of predictions with about equally many rows. Where so many lives reach the cap that the upper end
    would be the cap, the interval stays open above and all the error allowed lies below.

    Args:
        scored: Validation rows of turbines that the forest has not seen. Needs `raw_time_to_failure_days` and
            `days_known` (days, capped; not null).
        coverage: Share of rows to hold, 0 to 1.
        bands: How many.
        cap_days: The cap of `days_known`; None when there is none.
    """
    days = F.col("raw_time_to_failure_days")
    shares = [number / bands for number in range(1, bands)]
    cuts = scored.agg(F.percentile(days, F.array(*map(F.lit, [*shares, 1.0]))).alias("cuts")).first()
    edges = tuple(sorted(set(map(float, cuts["cuts"])))) if cuts and cuts["cuts"] else (float("inf"),)
    bands_only = Interval(edges, (0.0,) * len(edges), (0.0,) * len(edges), coverage)
    lower, upper = [], []
    for row in _error_quantiles(scored, bands_only, coverage):
        is_open = cap_days is not None and row["truth_high"] >= cap_days
        lower.append(float(row["low_one_sided"] if is_open else row["low"]))
        upper.append(None if is_open else float(row["high"]))
    return Interval(edges, tuple(lower), tuple(upper), coverage)


def _error_quantiles(scored: DataFrame, interval: Interval, coverage: float) -> list[Row]:
    """Quantiles of truth minus prediction, and of the truth (days). One row a band, in order."""
    days = F.col("raw_time_to_failure_days")
    error = F.col("days_known") - days
    miss = 1 - coverage
    return (
        scored.groupBy(interval_band(days, interval).alias("band"))
        .agg(
            F.percentile(error, miss / 2).alias("low"),
            F.percentile(error, 1 - miss / 2).alias("high"),
            F.percentile(error, miss).alias("low_one_sided"),
            F.percentile("days_known", 1 - miss / 2).alias("truth_high"),
        )
        .orderBy("band")
        .collect()
    )
