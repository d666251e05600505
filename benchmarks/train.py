"""Both forests on made-up examples: MLlib against scikit-learn and LightGBM, at equal trees, depth and leaves.

Usage:  python benchmarks/train.py [--rows 20000 1000000] [--features 100] [--trees 60] [--depth 8] [--bins 32] [--cores 2]
        [--seeds 8] [--cold] [--only mllib scikit-learn "lightgbm rf"]
Prints a Markdown table for each number of training rows: seconds to fit, how often scikit-learn's time that is, and PR-AUC
(classifier) or RMSE (regressor) on as many more rows as a quarter of them, at least 100,000; then the rules. Ends with 1 when
one does not hold.

Forests are grown with several seeds and the table has their means: one seed's PR-AUC is up to 0.02 from another's on 20,000
rows, in every library, twice as much as two libraries may differ. On a million rows, where one forest takes minutes and 0.015
lay between two seeds, the classifiers have two seeds and the regressors one.

Every library fits both heads once on some 20,000 of the rows before its clock runs, as a training job has grown its
validation forests by then; with --cold it does not, and MLlib's clock runs while Java compiles it.

Each library trains on the same rows. Reading and turning them into its own format is not counted for any. Session and
forests are the project's own: `spark_session`, `classifier` and `regressor` with the defaults of `ModelSettings`. `mllib
merged` is MLlib's own classifier, which joins sister leaves that vote for the same class (SPARK-34591).
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import lightgbm
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.sql import functions as F
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.metrics import average_precision_score

from turbine_health.io.session import spark_session
from turbine_health.models.forests import DAYS, FEATURES, LABEL, WEIGHT, classifier, regressor
from turbine_health.settings import ForestSettings, ModelSettings, SparkSettings

SEEDS_OF_MANY = {"classifier": 2, "regressor": 1}
HELD_OUT, LEAST_HELD_OUT = 0.25, 100_000
WARMING_ROWS = 20_000
OURS, THEIRS, LIMIT = "mllib", "scikit-learn", "lightgbm rf"
MERGED = "mllib merged"
MANY_ROWS = 1_000_000
# What is wanted, as a share of scikit-learn's time: half of it on a million rows, at most twice on few.
MOST_OF_MANY, MOST_OF_FEW = 0.5, 2.0
LARGEST_PR_AUC_GAP = 0.01


@dataclass(frozen=True)
class Result:
    """Of one forest: seconds to fit, and PR-AUC or RMSE (days) on the rows held out."""

    library: str
    head: str
    seconds: float
    score: float
    spread: float = 0.0
    """Standard deviation of the score over seeds."""


def made_up(rows: int, features: int) -> tuple[Any, Any, Any]:
    """Features, labels (5 % failing) and days left that follow some of the features."""
    draw = np.random.default_rng(7)
    x = draw.normal(size=(rows, features)).astype(np.float32)
    risk = x[:, :10] @ np.linspace(1.5, 0.3, 10) + x[:, 10] * x[:, 11] + draw.normal(size=rows)
    label = (risk > np.quantile(risk, 0.95)).astype(np.int32)
    return x, label, np.clip(40 - 5 * risk, 0, 60).round(2)


def mllib(x: Any, label: Any, days: Any, train: int, seeds: Mapping[str, int], args: argparse.Namespace) -> list[Result]:
    """Both MLlib forests, in a session and with the settings of the project."""
    path = f"{args.scratch}/examples.parquet"
    _write_parquet(path, x, label, days)
    forest = ForestSettings(trees=args.trees, depth=args.depth, bins=args.bins)
    settings = ModelSettings(classifier=forest, regressor=forest)
    with spark_session("bench-train", SparkSettings(master=f"local[{args.cores}]", driver_memory=args.memory)) as spark:
        vector = array_to_vector(F.col("x").cast("array<double>")).alias(FEATURES)
        rows = spark.read.parquet(path).select("number", vector, LABEL, DAYS, F.lit(1.0).alias(WEIGHT))
        held = rows.repartition(settings.training_partitions, "number").sortWithinPartitions("number").cache()
        held.count()
        training, test = held.where(F.col("number") < train), held.where(F.col("number") >= train)
        merged = settings.model_copy(update={"classifier": forest.model_copy(update={"impurity": "gini"})})
        heads = {OURS: settings, MERGED: merged}
        if not args.cold:
            few = training.where(F.col("number") < WARMING_ROWS)
            for estimator in (*map(classifier, heads.values()), regressor(settings)):
                estimator.fit(few)
        results = []
        for seed in range(seeds["classifier"]):
            for name, model_settings in heads.items():
                estimator = classifier(model_settings.model_copy(update={"seed": seed}))
                seconds, model = timed(partial(estimator.fit, training))
                scored = model.transform(test).select(vector_to_array("probability")[1].alias("score"), LABEL).toPandas()
                results.append(Result(name, "classifier", seconds, average_precision_score(scored[LABEL], scored["score"])))
        for seed in range(seeds["regressor"]):
            seconds, model = timed(partial(regressor(settings.model_copy(update={"seed": seed})).fit, training))
            scored = model.transform(test).select("prediction", DAYS).toPandas()
            results.append(Result(OURS, "regressor", seconds, rmse(scored[DAYS], scored["prediction"])))
        return results


def scikit_learn(x: Any, label: Any, days: Any, train: int, seeds: Mapping[str, int], args: argparse.Namespace) -> list[Result]:
    """Both scikit-learn forests; the same share of features a split as MLlib's `auto`."""
    shared = {
        "n_estimators": args.trees,
        "max_depth": args.depth,
        "min_samples_leaf": ForestSettings().min_rows_per_leaf,
        "n_jobs": args.cores,
    }
    ranker = RandomForestClassifier(max_features="sqrt", **shared)
    forecaster = RandomForestRegressor(max_features=1 / 3, **shared)
    return fitted(THEIRS, ranker, forecaster, x, label, days, train, seeds, args)


def light_gbm(x: Any, label: Any, days: Any, train: int, seeds: Mapping[str, int], args: argparse.Namespace) -> list[Result]:
    """Both LightGBM forests (`rf` mode): the limit of what binned trees can do."""
    shared = {
        "boosting_type": "rf", "n_estimators": args.trees, "max_depth": args.depth, "num_leaves": 2**args.depth, "verbose": -1,
        "min_child_samples": ForestSettings().min_rows_per_leaf, "subsample": 0.632, "subsample_freq": 1,
        "n_jobs": args.cores, "max_bin": args.bins - 1,
    }  # fmt: skip
    ranker = lightgbm.LGBMClassifier(feature_fraction_bynode=1 / len(x[0]) ** 0.5, **shared)
    forecaster = lightgbm.LGBMRegressor(feature_fraction_bynode=1 / 3, **shared)
    return fitted(LIMIT, ranker, forecaster, x, label, days, train, seeds, args)


def fitted(
    library: str, ranker: Any, forecaster: Any, x: Any, label: Any, days: Any, train: int, seeds: Mapping[str, int],
    args: argparse.Namespace,
) -> list[Result]:  # fmt: skip
    """Both forests of a library with scikit-learn's methods, once a seed."""
    if not args.cold:
        ranker.fit(x[:WARMING_ROWS], label[:WARMING_ROWS])
        forecaster.fit(x[:WARMING_ROWS], days[:WARMING_ROWS])
    results = []
    for seed in range(seeds["classifier"]):
        seconds, model = timed(partial(ranker.set_params(random_state=seed).fit, x[:train], label[:train]))
        score = average_precision_score(label[train:], model.predict_proba(x[train:])[:, 1])
        results.append(Result(library, "classifier", seconds, score))
    for seed in range(seeds["regressor"]):
        seconds, model = timed(partial(forecaster.set_params(random_state=seed).fit, x[:train], days[:train]))
        results.append(Result(library, "regressor", seconds, rmse(days[train:], model.predict(x[train:]))))
    return results


def averaged(results: Sequence[Result]) -> list[Result]:
    """One a library and head: means over seeds."""
    of_forest: dict[tuple[str, str], list[Result]] = {}
    for each in results:
        of_forest.setdefault((each.library, each.head), []).append(each)
    return [_mean(some) for some in of_forest.values()]


def _mean(results: Sequence[Result]) -> Result:
    seconds, scores = [each.seconds for each in results], [each.score for each in results]
    return Result(results[0].library, results[0].head, float(np.mean(seconds)), float(np.mean(scores)), float(np.std(scores)))


def rules_of(rows: int, results: Sequence[Result]) -> Iterator[tuple[bool, str]]:
    """What is wanted of MLlib beside scikit-learn: whether it holds, and what was found. Nothing where one did not run."""
    most = MOST_OF_MANY if rows >= MANY_ROWS else MOST_OF_FEW
    found = {(each.library, each.head): each for each in results}
    for head in ("classifier", "regressor"):
        ours, theirs = found.get((OURS, head)), found.get((THEIRS, head))
        if ours and theirs:
            share = ours.seconds / theirs.seconds
            yield share <= most, f"{rows:,} rows, {head}: {share:.2f} × scikit-learn's time; at most {most:g} wanted"
    ours, theirs = found.get((OURS, "classifier")), found.get((THEIRS, "classifier"))
    if ours and theirs:
        gap = abs(ours.score - theirs.score)
        yield gap <= LARGEST_PR_AUC_GAP, f"{rows:,} rows: PR-AUC {gap:.4f} apart; at most {LARGEST_PR_AUC_GAP:g} wanted"


def report_lines(results: Sequence[Result]) -> list[str]:
    """The table of one number of rows."""
    theirs = {each.head: each.seconds for each in results if each.library == THEIRS}
    lines = [
        "| library | head | seconds | × scikit-learn | PR-AUC or RMSE | its spread over seeds |",
        "|---|---|---|---|---|---|",
    ]
    for each in results:
        share = f"{each.seconds / theirs[each.head]:.2f}" if each.head in theirs else ""
        lines.append(f"| {each.library} | {each.head} | {each.seconds:.1f} | {share} | {each.score:.3f} | {each.spread:.3f} |")
    return lines


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


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    own = ForestSettings()
    for name, default in (("features", 100), ("trees", own.trees), ("depth", own.depth), ("bins", own.bins), ("cores", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--rows", type=int, nargs="+", default=[20_000, MANY_ROWS], help="training rows")
    parser.add_argument("--seeds", type=int, default=8, help="forests of each kind, on less than a million rows")
    parser.add_argument("--memory", default="8g", help="of Spark's driver")
    parser.add_argument("--cold", action="store_true", help="the first fit is the one on the clock")
    parser.add_argument("--only", nargs="*", default=[OURS, THEIRS, LIMIT])
    parser.add_argument("--scratch", default="/tmp")
    args = parser.parse_args(argv)
    contestants = {OURS: mllib, THEIRS: scikit_learn, LIMIT: light_gbm}
    rules: list[tuple[bool, str]] = []
    for rows in args.rows:
        x, label, days = made_up(rows + max(round(rows * HELD_OUT), LEAST_HELD_OUT), args.features)
        seeds = dict.fromkeys(SEEDS_OF_MANY, args.seeds) if rows < MANY_ROWS else SEEDS_OF_MANY
        results = averaged([each for name in args.only for each in contestants[name](x, label, days, rows, seeds, args)])
        size = f"{rows:,} training rows × {args.features} features"
        print(f"\n{size}, {args.trees} trees of depth {args.depth}, {args.cores} cores; seeds: {seeds}\n")
        print("\n".join(report_lines(results)), flush=True)
        rules += rules_of(rows, results)
    print("\n" + "\n".join(f"- {'holds' if holds else '**does not hold**'}: {sentence}" for holds, sentence in rules))
    return 0 if all(holds for holds, _ in rules) else 1


if __name__ == "__main__":
    sys.exit(main())
