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

RAW = "raw_time_to_failure_days"
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

    A band is a range of predictions. About equally many rows whose failure came before the cap lie in each: of the others
    most are predicted close to the cap, where bands would tell nothing apart. Where so many lives reach the cap that the
    upper end would be the cap, the interval stays open above and all the error allowed lies below. A span that holds 80 %
    of n lives holds a little less of the next one: the share is raised by (n + 1) / n, as split conformal does. It is lives
    that are counted, for the rows of one rise and fall together.

    Args:
        scored: Validation rows of turbines that the forest has not seen. Needs `asset_id`, `life_number`,
            `raw_time_to_failure_days` and `days_known` (days, capped; not null).
        coverage: Share of rows to hold, 0 to 1.
        bands: How many.
        cap_days: The cap of `days_known`; None when there is none.
    """
    edges = _band_edges(scored, bands, cap_days)
    bands_only = Interval(edges, (0.0,) * len(edges), (0.0,) * len(edges), coverage)
    kept, lower, upper = [], [], []
    for band, found in _error_quantiles(scored.withColumn("band", interval_band(F.col(RAW), bands_only)), coverage).items():
        is_open = cap_days is not None and found["truth_high"] >= cap_days
        kept.append(edges[band])
        lower.append(float(found["low_one_sided"] if is_open else found["low"]))
        upper.append(None if is_open else float(found["high"]))
    return Interval(tuple(kept), tuple(lower), tuple(upper), coverage)


def _band_edges(scored: DataFrame, bands: int, cap_days: float | None) -> tuple[float, ...]:
    """The upper end of each band, days, rising; of the last one the largest prediction."""
    shares = F.array(*(F.lit(number / bands) for number in range(1, bands + 1)))
    is_in_sight = F.lit(True) if cap_days is None else F.col("days_known") < cap_days
    cuts = scored.agg(
        F.percentile(F.when(is_in_sight, F.col(RAW)), shares).alias("in_sight"), F.max(RAW).alias("largest")
    ).first()
    if cuts is None or cuts["largest"] is None:
        return (float("inf"),)
    return tuple(sorted({*map(float, (cuts["in_sight"] or [])[:-1]), float(cuts["largest"])}))


def _error_quantiles(banded: DataFrame, coverage: float) -> dict[int, Row]:
    """Quantiles of truth minus prediction, and of the truth (days), of each band that has rows, in order."""
    error = F.col("days_known") - F.col(RAW)
    lives = banded.groupBy("band").agg(F.countDistinct("asset_id", "life_number").alias("lives")).orderBy("band").collect()
    columns = []
    for band, count in lives:
        miss = 1 - min(1.0, coverage * (count + 1) / max(count, 1))
        of_band, truth = (F.when(F.col("band") == band, column) for column in (error, F.col("days_known")))
        quantiles = F.struct(
            F.percentile(of_band, miss / 2).alias("low"),
            F.percentile(of_band, 1 - miss / 2).alias("high"),
            F.percentile(of_band, miss).alias("low_one_sided"),
            F.percentile(truth, 1 - miss / 2).alias("truth_high"),
        )
        columns.append(quantiles.alias(str(band)))
    found = banded.agg(*columns).first() if columns else None
    return {int(band): row for band, row in found.asDict().items()} if found else {}
