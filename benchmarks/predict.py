"""How fast are windows scored by both heads, and what do reasons cost?   (make bench-predict)

Usage: python benchmarks/predict.py [--windows 200000] [--features 120]
Forests have the settings' default trees and depth, fitted on 20,000 of the rows; rows are read from Parquet and
written nowhere. Prints one line a variant, in windows a minute, on two cores.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable

from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from turbine_health.io.session import spark_session
from turbine_health.models.explanations import with_reasons
from turbine_health.models.forest_paths import forest_paths
from turbine_health.models.forests import DAYS, LABEL, WEIGHT, classifier, preparation, regressor
from turbine_health.models.scoring import with_raw_days, with_raw_score
from turbine_health.settings import ModelSettings, SparkSettings

TRAINING_ROWS = 20_000


def feature_names(count: int) -> list[str]:
    """Ten signals, four statistics, as many look-backs as it takes."""
    each = [f"signal{number}_c__{statistic}" for number in range(10) for statistic in ("mean", "std", "min", "max")]
    return [f"{name}_{24 * (1 + number // 40)}h" for number, name in enumerate((each * (1 + count // 40))[:count])]


def write_windows(spark: SparkSession, folder: str, rows: int, features: list[str]) -> DataFrame:
    """Windows of noise in which the first signal announces failures, one value in a hundred missing."""
    noise = [F.when(F.rand(seed) > 0.01, F.rand(1_000 + seed)).alias(name) for seed, name in enumerate(features)]
    spark.range(rows, numPartitions=8).select("id", *noise).write.parquet(folder)
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


def windows_a_minute(rows: int, scored: Callable[[], DataFrame]) -> float:
    """Of the second of two passes; the first warms the JVM up."""
    for _ in range(2):
        started = time.perf_counter()
        scored().write.format("noop").mode("overwrite").save()
    return rows / (time.perf_counter() - started) * 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=200_000)
    parser.add_argument("--features", type=int, default=120)
    args = parser.parse_args()
    features = feature_names(args.features)
    spark_settings = SparkSettings(master="local[2]", driver_memory="4g")
    with tempfile.TemporaryDirectory() as folder, spark_session("bench-predict", spark_settings) as spark:
        windows = write_windows(spark, f"{folder}/windows", args.windows, features)
        first, second = fit_heads(windows, features)

        def both_heads() -> DataFrame:
            return windows.transform(with_raw_score, first).transform(with_raw_days, second)

        def with_their_reasons() -> DataFrame:
            normal = dict.fromkeys(features, 0.5)
            return both_heads().transform(with_reasons, first, forest_paths(first), features=features, normal=normal)

        for name, variant in {"both heads": both_heads, "both heads and reasons": with_their_reasons}.items():
            print(f"{name}: {windows_a_minute(args.windows, variant):,.0f} windows a minute")


if __name__ == "__main__":
    main()
