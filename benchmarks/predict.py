"""How fast are windows scored by both heads, and what do reasons cost?   (make bench-predict)

Usage: python benchmarks/predict.py [--windows 200000] [--features 120]
Forests have the settings' default trees and depth, fitted on 20,000 of the rows; rows are read from Parquet, go the
whole way to the rows of both tables (freshness, calibration, alert, agreement, interval), and are written nowhere.
Prints one line a variant, in windows a minute, on two cores; exits 1 below 200,000 without reasons.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable

from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from turbine_health.io.session import spark_session
from turbine_health.io.tracking import RegisteredVersion
from turbine_health.models.forests import DAYS, LABEL, WEIGHT, classifier, preparation, regressor
from turbine_health.models.serving import Calibration, ClassifierServing, Interval, RegressorServing
from turbine_health.pipelines.champions import (
    Champions,
    score_windows,
    to_failure_predictions,
    to_time_predictions,
    with_answers,
    with_raw_answers,
)
from turbine_health.settings import ModelSettings, SparkSettings

TRAINING_ROWS = 20_000
# Windows a minute, on two cores, without reasons.
WANTED = 200_000
Score = Callable[[DataFrame, Champions], DataFrame]


def feature_names(count: int) -> list[str]:
    """Ten signals, four statistics, as many look-backs as it takes."""
    each = [f"signal{number}_c__{statistic}" for number in range(10) for statistic in ("mean", "std", "min", "max")]
    return [f"{name}_{24 * (1 + number // 40)}h" for number, name in enumerate((each * (1 + count // 40))[:count])]


def write_windows(spark: SparkSession, folder: str, rows: int, features: list[str]) -> DataFrame:
    """Windows of noise in which the first signal announces failures, one value in a hundred missing."""
    noise = [F.when(F.rand(seed) > 0.01, F.rand(1_000 + seed)).alias(name) for seed, name in enumerate(features)]
    keys = [
        F.format_string("T%02d", F.col("id") % 20).alias("asset_id"),
        F.timestamp_seconds(F.floor(F.col("id") / 20) * 21_600).alias("window_end"),
        F.lit(1.0).alias("coverage"),
        F.lit(0.2).alias("data_age_hours"),
    ]
    spark.range(rows, numPartitions=8).select("id", *keys, *noise).write.parquet(folder)
    return spark.read.parquet(folder)


def fit_heads(windows: DataFrame, features: list[str]) -> tuple[PipelineModel, PipelineModel]:
    """Both heads' pipelines, fitted on the first rows."""
    risk = F.coalesce(F.col(features[0]), F.lit(0.5)) + 0.2 * F.rand(5)
    training = windows.where(F.col("id") < TRAINING_ROWS).select(
        "*", (risk > 0.95).cast("int").alias(LABEL), (60 * risk).alias(DAYS), F.lit(1.0).alias(WEIGHT)
    )
    prepared = preparation(features, features[::4]).fit(training)
    vectors = prepared.transform(training).cache()
    settings = ModelSettings()
    heads = [PipelineModel([*prepared.stages, head(settings).fit(vectors)]) for head in (classifier, regressor)]
    vectors.unpersist()
    return heads[0], heads[1]


def as_champions(heads: tuple[PipelineModel, PipelineModel], features: list[str]) -> Champions:
    """The heads with what serving needs: a calibration of 50 points, an interval of four bands."""
    points = tuple(number / 49 for number in range(50))
    classifying = ClassifierServing(
        features=tuple(features), horizon_days=7, threshold=0.3, calibration=Calibration(points, points),
        healthy_medians=dict.fromkeys(features, 0.5), features_table_version=1, stale_after_hours=48, min_coverage=0.3,
    )  # fmt: skip
    interval = Interval(bands=(10, 20, 40, 60), lower_offset=(-3, -5, -8, -9), upper_offset=(3, 5, 8, None), coverage=0.9)
    return Champions(
        classifier=RegisteredVersion("Model_A", "1", "0"),
        classifier_model=heads[0],
        classifier_serving=classifying,
        regressor=RegisteredVersion("Model_B", "1", "0"),
        regressor_model=heads[1],
        regressor_serving=RegressorServing(tuple(features), None, interval),
    )


def without_reasons(windows: DataFrame, champions: Champions) -> DataFrame:
    """As `score_windows`, but for the reasons."""
    return windows.transform(with_raw_answers, champions).transform(with_answers, champions)


def windows_a_minute(windows: DataFrame, champions: Champions, score: Score) -> float:
    """Of the second of two passes; the first warms the JVM up. As `predict` does, both tables take from cached scores."""
    for _ in range(2):
        started = time.perf_counter()
        scored = score(windows, champions).cache()
        for rows in (to_failure_predictions(scored, champions), to_time_predictions(scored, champions)):
            rows.write.format("noop").mode("overwrite").save()
        seconds = time.perf_counter() - started
        scored.unpersist()
    return windows.count() / seconds * 60


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=200_000)
    parser.add_argument("--features", type=int, default=120)
    args = parser.parse_args()
    features = feature_names(args.features)
    spark_settings = SparkSettings(master="local[2]", driver_memory="4g")
    with tempfile.TemporaryDirectory() as folder, spark_session("bench-predict", spark_settings) as spark:
        windows = write_windows(spark, f"{folder}/windows", args.windows, features)
        champions = as_champions(fit_heads(windows, features), features)
        plain, explained = (windows_a_minute(windows, champions, score) for score in (without_reasons, score_windows))
    passes = plain >= WANTED
    print(f"both heads: {plain:,.0f} windows a minute ({'pass' if passes else 'FAIL'}: {WANTED:,} are wanted)")
    print(f"both heads and reasons: {explained:,.0f} windows a minute; reasons take {1 - explained / plain:.0%} of the time")
    return 0 if passes else 1


if __name__ == "__main__":
    sys.exit(main())
