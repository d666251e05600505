"""Predict the remaining life of NASA's C-MAPSS engines by the published protocol.

Trains on train_FD00x with the remaining life capped at 125 cycles, predicts the last row of each test
engine, and prints RMSE and PHM08 score beside the published figures. The same ingest, features, forests
and intervals as for any plant; conf/cmapss.yaml says everything that is particular. Test engines are
used for nothing but the final score. How each setting was chosen: docs/cmapss.md.

Usage:  python benchmarks/cmapss.py [--seeds 0-4] [--sets FD001,FD003] [--models "random forest"]
        [--data ../shared/data/cmapss] [--out data/cmapss] [--set model.linear_answers=null]
Writes: OUT/<set>/lake and OUT/metrics.json
"""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from turbine_health.errors import DataError, TurbineHealthError
from turbine_health.io.delta import TableStore
from turbine_health.io.session import spark_session
from turbine_health.models.calibration import RAW, fit_interval
from turbine_health.models.evaluation import ranking, score_counts
from turbine_health.models.forests import (
    DAYS,
    LABEL,
    WEIGHT,
    class_weight,
    classifier,
    exact_days,
    in_training_order,
    regressor,
)
from turbine_health.models.preparation import fit_preparation
from turbine_health.models.scoring import lower_days, upper_days, with_raw_days, with_raw_score
from turbine_health.models.serving import Interval
from turbine_health.models.validation import out_of_fold
from turbine_health.pipelines.features import build_features
from turbine_health.pipelines.ingest import ingest
from turbine_health.settings import ModelSettings, Settings, load_settings
from turbine_health.tables import training_examples, window_features
from turbine_health.transforms.features import feature_plan
from turbine_health.transforms.splits import to_turbine_groups

logger = logging.getLogger("turbine_health")

Numbers = npt.NDArray[np.float64]
CAP = 125
# What is compared, and the settings of each.
MODELS = {"random forest": "conf/cmapss.yaml", "boosted trees": "conf/cmapss_boosted.yaml"}
# RMSE / score as printed by others, truth (not capped, capped); sources in docs/cmapss.md.
PUBLISHED = {
    "FD001": {
        "random forest, last row (Sahoo)": ("18.0 / 871", ""),
        "random forest, windows (Sahoo)": ("17.76 / 844", ""),
        "deep LSTM (Zheng 2017)": ("16.14 / 338", ""),
        "random forest, windows": ("", "12.1 / 219"),
        "gradient-boosted trees": ("", "11.5 / 181"),
        "best attention network": ("", "10.97 / 175"),
    },
    "FD003": {
        "random forest, last row (Sahoo)": ("20.4 / 1,846", ""),
        "random forest, windows (Sahoo)": ("20.59 / 1,774", ""),
        "deep LSTM (Zheng 2017)": ("16.18 / 852", ""),
        "random forest, windows": ("", "12.9 / 300"),
        "gradient-boosted trees": ("", "11.2 / 244"),
        "best attention network": ("", "10.90 / 188"),
    },
}


@dataclass(frozen=True)
class Engines:
    """One set, ready for the forests."""

    learning: DataFrame
    """Rows of the training engines, cached: keys, `life_number`, `fold`, `features`, `days_known`, `failure_within_7d`."""
    last_rows: DataFrame
    """The last row of each test engine, cached: `asset_id`, `features`."""
    truth: pd.Series
    """Cycles that each test engine had left after its last row, by `asset_id`."""


def main(argv: Sequence[str] | None = None) -> int:
    args = _arguments(argv)
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", level=logging.INFO, stream=sys.stderr)
    logging.getLogger("py4j").setLevel(logging.WARNING)
    began = time.monotonic()
    models = {kind: load_settings(config, args.overrides).model for kind, config in args.models.items()}
    metrics: dict[str, dict[str, Any]] = {}
    with spark_session("cmapss", load_settings("conf/cmapss.yaml").spark) as spark:
        for name in args.sets:
            settings = set_settings(name, args.data, args.out, args.overrides)
            engines = load_engines(spark, settings, args.data / f"RUL_{name}.txt.gz")
            metrics[name] = measure(engines, settings, models, args.seeds)
            spark.catalog.clearCache()
            print(report(name, metrics[name]))
            args.out.mkdir(parents=True, exist_ok=True)
            (args.out / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    print(f"cmapss: {args.out / 'metrics.json'} written after {time.monotonic() - began:.0f} s")
    return 0


def set_settings(name: str, data: Path, out: Path, overrides: Sequence[str] = ()) -> Settings:
    """The settings of one set: its own files, its own lake."""
    files = f"[{{extends: conf/sources/cmapss.yaml, files: {{path: {data}/t*_{name}.txt.gz}}}}]"
    return load_settings("conf/cmapss.yaml", [f"storage.root={out}/{name}/lake", f"sources={files}", *overrides])


def load_engines(spark: SparkSession, settings: Settings, truth_file: Path) -> Engines:
    """Raw files → features, by the jobs' own pipelines; fitted preparation from the training engines alone."""
    store = TableStore(spark, settings.storage)
    logger.info("ingest: %s", ingest(store, settings))
    logger.info("build_features: %s", build_features(store, settings))
    features = feature_plan(settings.features, settings.feature_signals).names
    examples = with_last_cycles(store.read(training_examples(features)).where(is_of("train")))
    folds = to_turbine_groups(examples, settings.split.model_copy(update={"strategy": "time"}))
    labelled = (
        examples.where(F.col("time_to_failure_days").isNotNull())
        .join(F.broadcast(folds), on="asset_id", how="inner")
        .withColumn(DAYS, exact_days(F.least(F.col("time_to_failure_days"), F.lit(settings.model.time_to_failure_cap_days))))
    )
    preparation = fit_preparation(labelled, labelled.count(), features)
    kept = ("asset_id", "window_end", "life_number", "fold", DAYS, "time_to_failure_days", LABEL)
    learning = in_training_order(preparation.vectors(labelled, kept), settings.model.training_partitions).cache()
    last = to_last_windows(store.read(window_features(features)).where(is_of("test")))
    last_rows = preparation.vectors(last, ["asset_id"]).cache()
    return Engines(learning, last_rows, read_truth(truth_file))


def with_last_cycles(examples: DataFrame) -> DataFrame:
    """Label each engine's last cycle too: 0 left. An operator has a failed turbine there and nothing to predict."""
    is_last = F.col("time_to_failure_days").isNull() & is_fed()
    days, label = F.when(is_last, 0.0).otherwise(F.col("time_to_failure_days")), F.when(is_last, 1).otherwise(F.col(LABEL))
    return examples.withColumns({"time_to_failure_days": days, LABEL: label})


def is_fed() -> Column:
    """Whether a reading has just come into the window."""
    return F.col("data_age_hours") <= 24


def is_of(part: str) -> Column:
    """Whether a row belongs to an engine of the `train` or the `test` file."""
    return F.split(F.col("asset_id"), "-")[1] == part


def to_last_windows(windows: DataFrame) -> DataFrame:
    """The window that closes right after each engine's last cycle.

    Grain: one row per `asset_id`.

    Args:
        windows: Needs `asset_id`, `window_end` (UTC), `data_age_hours`.
    """
    names = [name for name in windows.columns if name != "asset_id"]
    newest = F.max_by(F.struct(*names), "window_end").alias("newest")
    return windows.where(is_fed()).groupBy("asset_id").agg(newest).select("asset_id", "newest.*")


def read_truth(path: Path) -> pd.Series:
    """Cycles left by `asset_id`; line i is test engine i."""
    if not path.is_file():
        raise DataError("no such file", where=str(path), hint="give the folder of the C-MAPSS files with --data")
    lines = gzip.decompress(path.read_bytes()).decode("ascii").split()
    name = path.name.removeprefix("RUL_").split(".")[0]
    truth: pd.Series = pd.Series({f"{name}-test-{number}": float(line) for number, line in enumerate(lines, start=1)})
    return truth


def measure(engines: Engines, settings: Settings, models: Mapping[str, ModelSettings], seeds: Sequence[int]) -> dict[str, Any]:
    """Errors of every model over `seeds`; the first model's own at the top, as means over the seeds."""
    found: dict[str, dict[str, Any]] = {}
    for kind, model in models.items():
        rounds = [last_row_errors(engines, model.model_copy(update={"seed": seed})) for seed in seeds]
        by_metric = {name: [each[name] for each in rounds] for name in rounds[0]}
        logger.info("%s: %s", kind, {name: np.round(values, 2).tolist() for name, values in by_metric.items()})
        found[kind] = {**by_metric, "interval": interval_coverage(engines, settings, model)}
    first = found[next(iter(models))]
    means = {name: float(np.mean(values)) for name, values in first.items() if isinstance(values, list)}
    return {**means, "pr_auc_7d": held_out_pr_auc(engines, settings), "seeds": list(seeds), "models": found}


def last_row_errors(engines: Engines, model: ModelSettings) -> dict[str, float]:
    """Train on all training engines, predict the last row of each test engine.

    Returns:
        `rmse` (cycles) and `score` (PHM08) against the truth as given, `…_capped` against it capped at 125.
    """
    forest = regressor(model).fit(engines.learning.withColumn(WEIGHT, F.lit(1.0)))
    scored = with_raw_days(engines.last_rows, forest).select("asset_id", RAW).toPandas().set_index("asset_id")[RAW]
    if set(scored.index) != set(engines.truth.index):
        raise DataError(f"{len(scored)} test engines scored, {len(engines.truth)} have a true remaining life")
    predicted = scored.loc[engines.truth.index].to_numpy(float)
    truth = engines.truth.to_numpy(float)
    capped = np.minimum(truth, CAP)
    return {
        "rmse": rmse(predicted, truth),
        "score": phm08_score(predicted, truth),
        "rmse_capped": rmse(predicted, capped),
        "score_capped": phm08_score(predicted, capped),
    }


def rmse(predicted: Numbers, truth: Numbers) -> float:
    """Root of the mean squared error, in cycles."""
    return float(np.sqrt(np.mean((predicted - truth) ** 2)))


def phm08_score(predicted: Numbers, truth: Numbers) -> float:
    """Sum of exp(-d/13) - 1 for early and exp(d/10) - 1 for late predictions, d = predicted - true (cycles)."""
    late_by = predicted - truth
    return float(np.sum(np.where(late_by < 0, np.expm1(-late_by / 13), np.expm1(late_by / 10))))


def held_out_pr_auc(engines: Engines, settings: Settings) -> float:
    """PR-AUC of `failure_within_7d` on training engines, each judged by a forest that has not seen it."""
    rows = engines.learning
    failing = rows.where(F.col(LABEL) == 1).count()
    weighted = rows.withColumn(WEIGHT, class_weight(failing, rows.count() - failing, settings.model.class_balance))
    scored = out_of_fold(weighted, F.lit(True), classifier(settings.model), settings.split.folds, with_raw_score)
    return float(ranking(score_counts(scored).toPandas()).pr_auc or float("nan"))


def interval_coverage(engines: Engines, settings: Settings, model: ModelSettings) -> dict[str, float]:
    """Share of the truth inside the interval, on engines that neither forest nor interval has seen.

    Each engine is predicted by a forest grown from the other folds, and its interval is fitted on the
    predictions of the other folds.

    Returns:
        `all` counts every row alike, `by_engine` every engine: how often the interval holds at a moment drawn from
        the life of an engine drawn. `in_reach…` are the same of rows with at most 125 cycles left.
    """
    rows = engines.learning.withColumn(WEIGHT, F.lit(1.0))
    folds = settings.split.folds
    validating = regressor(model, share_of_trees=model.validation_trees_share)
    scored = out_of_fold(rows, F.lit(True), validating, folds, with_raw_days).cache()
    covered = [
        coverage_counts(
            scored.where(F.col("fold") == fold),
            fit_interval(
                scored.where(F.col("fold") != fold),
                model.interval_coverage,
                model.interval_bands,
                model.time_to_failure_cap_days,
            ),
        )
        for fold in range(folds)
    ]
    scored.unpersist()
    return shares_held(pd.concat(covered))


def shares_held(counts: pd.DataFrame) -> dict[str, float]:
    """By row and by engine, from `coverage_counts`."""
    shares = {}
    for name, end in (("all", ""), ("in_reach", "_in_reach")):
        some = counts[counts[f"rows{end}"] > 0]
        held, rows = some[f"held{end}"], some[f"rows{end}"]
        shares[name] = float(held.sum() / rows.sum())
        shares["by_engine" if name == "all" else f"{name}_by_engine"] = float((held / rows).mean())
    return shares


def coverage_counts(scored: DataFrame, interval: Interval) -> pd.DataFrame:
    """One row an engine: `rows`, `held`, and the same of rows whose failure is in reach of the cap."""
    low, high = lower_days(F.col(RAW), F.col(RAW), interval), upper_days(F.col(RAW), F.col(RAW), interval)
    is_held = (F.col(DAYS) >= low) & (high.isNull() | (F.col(DAYS) <= high))
    in_reach = F.col("time_to_failure_days") <= CAP
    counts: pd.DataFrame = (
        scored.groupBy("asset_id")
        .agg(
            F.count("*").alias("rows"),
            F.count_if(is_held).alias("held"),
            F.count_if(in_reach).alias("rows_in_reach"),
            F.count_if(in_reach & is_held).alias("held_in_reach"),
        )
        .toPandas()
    )
    return counts


def report(name: str, metrics: Mapping[str, Any]) -> str:
    """One set as text: ours beside the published figures."""
    line = "  {:<34} {:>24} {:>24}".format
    lines = [f"\n{name}, RMSE / PHM08 score of 100 engines", line("", "truth not capped", "truth capped at 125")]
    lines += [line(method, *figures) for method, figures in PUBLISHED[name].items()]
    for kind, found in metrics["models"].items():
        lines.append(line(f"ours: {kind}", *(spread(found[f"rmse{end}"], found[f"score{end}"]) for end in ("", "_capped"))))
        held = found["interval"]
        lines.append(line("", "80 % interval holds", f"{held['all']:.1%} of held-out rows"))
        lines.append(line("", "each engine counting once", f"{held['by_engine']:.1%}"))
    lines.append(line("failure_within_7d", "PR-AUC, held-out engines", f"{metrics['pr_auc_7d']:.3f}"))
    return "\n".join(lines)


def spread(errors: Sequence[float], scores: Sequence[float]) -> str:
    """`12.0 ± 0.1 / 215 ± 4` over seeds, or `12.0 / 215` for one."""
    if len(errors) == 1:
        return f"{errors[0]:.2f} / {scores[0]:,.0f}"
    return f"{np.mean(errors):.2f} ± {np.std(errors):.2f} / {np.mean(scores):,.0f} ± {np.std(scores):.0f}"


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=seed_range, default=[0], help="one seed, or first-last")
    parser.add_argument("--sets", type=lambda text: text.split(","), default=["FD001", "FD003"])
    parser.add_argument("--models", type=_models, default=MODELS, help=f"some of: {', '.join(MODELS)}")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/cmapss"))
    parser.add_argument("--set", dest="overrides", action="append", default=[], help="section.key=value, as for the jobs")
    parser.add_argument("--out", type=Path, default=Path("data/cmapss"))
    return parser.parse_args(argv)


def seed_range(text: str) -> list[int]:
    """`0-4` → 0 to 4; one seed stands for itself."""
    first, _, last = text.partition("-")
    return list(range(int(first), int(last or first) + 1))


def _models(text: str) -> dict[str, str]:
    names = text.split(",")
    if unknown := sorted(set(names) - set(MODELS)):
        raise argparse.ArgumentTypeError(f"no such model: {', '.join(unknown)}; there are {', '.join(MODELS)}")
    return {name: MODELS[name] for name in names}


if __name__ == "__main__":
    try:
        sys.exit(main())
    except TurbineHealthError as error:
        print(f"cmapss: {error}", file=sys.stderr)
        sys.exit(2)
