"""Both forests on made-up examples: MLlib against scikit-learn and LightGBM, at equal trees and depth.

Usage:  python benchmarks/train.py [--rows 1000000] [--features 100] [--trees 60] [--depth 10] [--cores 2]
Prints one Markdown table: seconds to fit, and PR-AUC (classifier) or RMSE (regressor) on rows held out.

Each library trains on the same rows. Reading and turning them into its own format is not counted for any.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable, Sequence
from typing import Any

import lightgbm
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.metrics import average_precision_score

from turbine_health.models.forests import DAYS, FEATURES, LABEL, WEIGHT, classifier, regressor
from turbine_health.settings import ForestSettings, ModelSettings

HELD_OUT = 0.2


def made_up(rows: int, features: int) -> tuple[Any, Any, Any]:
    """Features, labels (5 % failing) and days left that follow some of the features."""
    draw = np.random.default_rng(7)
    x = draw.normal(size=(rows, features)).astype(np.float32)
    risk = x[:, :10] @ np.linspace(1.5, 0.3, 10) + x[:, 10] * x[:, 11] + draw.normal(size=rows)
    label = (risk > np.quantile(risk, 0.95)).astype(np.int32)
    return x, label, np.clip(40 - 5 * risk, 0, 60).round(2)


def mllib(x: Any, label: Any, days: Any, args: argparse.Namespace) -> list[tuple[str, float, float]]:
    """Seconds and score of both MLlib forests, with the settings of the project."""
    spark = (
        SparkSession.builder.master(f"local[{args.cores}]")
        .config("spark.driver.memory", "8g").config("spark.ui.enabled", "false").config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.execution.arrow.pyspark.enabled", "true").getOrCreate()
    )  # fmt: skip
    spark.sparkContext.setLogLevel("ERROR")
    train = int(len(x) * (1 - HELD_OUT))
    path = f"{args.scratch}/examples.parquet"
    _write_parquet(path, x, label, days)
    vector = array_to_vector(F.col("x").cast("array<double>")).alias(FEATURES)
    rows = spark.read.parquet(path).select("number", vector, LABEL, DAYS, F.lit(1.0).alias(WEIGHT))
    held = rows.repartition(args.cores, "number").sortWithinPartitions("number").cache()
    held.count()
    forest = ForestSettings(trees=args.trees, depth=args.depth, min_rows_per_leaf=5, bins=args.bins)
    settings = ModelSettings(classifier=forest, regressor=forest, memory_mb=2048)
    training, test = held.where(F.col("number") < train), held.where(F.col("number") >= train)
    seconds, model = timed(lambda: classifier(settings).fit(training))
    share = vector_to_array("probability")[1]
    scored = model.transform(test).select(share.alias("score"), LABEL).toPandas()
    results = [("classifier", seconds, average_precision_score(scored[LABEL], scored["score"]))]
    seconds, model = timed(lambda: regressor(settings).fit(training))
    scored = model.transform(test).select("prediction", DAYS).toPandas()
    results.append(("regressor", seconds, rmse(scored[DAYS], scored["prediction"])))
    spark.stop()
    return results


def scikit_learn(x: Any, label: Any, days: Any, args: argparse.Namespace) -> list[tuple[str, float, float]]:
    """Seconds and score of both scikit-learn forests; the same share of features a split as MLlib's `auto`."""
    train = int(len(x) * (1 - HELD_OUT))
    shared = {
        "n_estimators": args.trees,
        "max_depth": args.depth,
        "min_samples_leaf": 5,
        "n_jobs": args.cores,
        "random_state": 1,
    }
    seconds, model = timed(lambda: RandomForestClassifier(max_features="sqrt", **shared).fit(x[:train], label[:train]))
    results = [("classifier", seconds, average_precision_score(label[train:], model.predict_proba(x[train:])[:, 1]))]
    seconds, model = timed(lambda: RandomForestRegressor(max_features=1 / 3, **shared).fit(x[:train], days[:train]))
    return [*results, ("regressor", seconds, rmse(days[train:], model.predict(x[train:])))]


def light_gbm(x: Any, label: Any, days: Any, args: argparse.Namespace) -> list[tuple[str, float, float]]:
    """Seconds and score of both LightGBM forests (`rf` mode): the limit of what binned trees can do."""
    train = int(len(x) * (1 - HELD_OUT))
    shared = {
        "boosting_type": "rf", "n_estimators": args.trees, "max_depth": args.depth, "num_leaves": 2**args.depth, "verbose": -1,
        "min_child_samples": 5, "subsample": 0.632, "subsample_freq": 1, "n_jobs": args.cores, "max_bin": args.bins - 1,
    }  # fmt: skip
    root = 1 / len(x[0]) ** 0.5
    seconds, model = timed(
        lambda: lightgbm.LGBMClassifier(feature_fraction_bynode=root, **shared).fit(x[:train], label[:train])
    )
    results = [("classifier", seconds, average_precision_score(label[train:], model.predict_proba(x[train:])[:, 1]))]
    seconds, model = timed(lambda: lightgbm.LGBMRegressor(feature_fraction_bynode=1 / 3, **shared).fit(x[:train], days[:train]))
    return [*results, ("regressor", seconds, rmse(days[train:], model.predict(x[train:])))]


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    gc.collect()
    began = time.monotonic()
    result = work()
    return time.monotonic() - began, result


def rmse(actual: Any, predicted: Any) -> float:
    return float(np.sqrt(np.mean((np.asarray(actual) - np.asarray(predicted)) ** 2)))


def _write_parquet(path: str, x: Any, label: Any, days: Any) -> None:

    offsets = pa.array(np.arange(0, x.size + 1, x.shape[1], dtype=np.int64))
    vectors = pa.LargeListArray.from_arrays(offsets, pa.array(x.ravel())).cast(pa.list_(pa.float32()))
    columns = {"number": np.arange(len(x)), "x": vectors, LABEL: label, DAYS: days}
    pq.write_table(pa.table(columns), path, row_group_size=100_000)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("rows", 1_000_000), ("features", 100), ("trees", 60), ("depth", 10), ("bins", 32), ("cores", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--only", nargs="*", default=["mllib", "scikit-learn", "lightgbm rf"])
    parser.add_argument("--scratch", default="/tmp")
    args = parser.parse_args(argv)
    x, label, days = made_up(args.rows, args.features)
    contestants = {"mllib": mllib, "scikit-learn": scikit_learn, "lightgbm rf": light_gbm}
    print(f"{args.rows:,} rows × {args.features} features, {args.trees} trees of depth {args.depth}, {args.cores} cores\n")
    print("| library | head | seconds | PR-AUC or RMSE |\n|---|---|---|---|")
    for name in args.only:
        for head, seconds, score in contestants[name](x, label, days, args):
            print(f"| {name} | {head} | {seconds:.1f} | {score:.3f} |", flush=True)


if __name__ == "__main__":
    main()
