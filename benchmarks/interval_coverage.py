"""How often the 80 % interval of the days left holds the truth, over built-in fleets of several seeds.

Usage:  python benchmarks/interval_coverage.py [--seeds 1-8] [--folder data/interval-coverage] [--set model.interval_bands=4]
        (make interval-coverage; some three minutes a fleet)
Each fleet (a year of twenty turbines) goes through simulation, ingest and features; the forest for days left is grown and
its interval fitted and judged as in training. Prints a Markdown table: for each view and band of predicted days the mean
over fleets with its standard error, and each fleet. One fleet's last weeks hold some twenty failures, too few to tell 75 %
from 80 %. The last column has windows at the end of the record too, of which only failures are known and not survivors.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from cmapss import seed_range
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from turbine_health.io.delta import TableStore
from turbine_health.io.folders import replace_folder
from turbine_health.io.session import spark_session
from turbine_health.models.forests import regressor
from turbine_health.models.scoring import with_raw_days
from turbine_health.models.validation import out_of_fold
from turbine_health.models.views import BOTH, FUTURE, UNSEEN
from turbine_health.pipelines.failure_head import union_of_views, view_rows
from turbine_health.pipelines.features import build_features
from turbine_health.pipelines.ingest import ingest
from turbine_health.pipelines.time_head import (
    bounded_by_other_folds,
    interval_coverage,
    interval_of_validated,
    rows_with_days,
    with_bounds,
)
from turbine_health.pipelines.training_set import load_training_set
from turbine_health.settings import Settings, load_settings
from turbine_health.simulation.fleet import TRUTH, Fleet
from turbine_health.transforms.splits import LATER, TEST

VIEWS = (UNSEEN, FUTURE, BOTH)


def main(argv: Sequence[str] | None = None) -> int:
    args = _arguments(argv)
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", level=logging.INFO, stream=sys.stderr)
    logging.getLogger("py4j").setLevel(logging.WARNING)
    tables = []
    with spark_session("interval-coverage", load_settings("conf/simulated.yaml").spark) as spark:
        for seed in args.seeds:
            folder = args.folder / str(seed)
            tables.append(fleet_coverage(spark, fleet_settings(seed, folder, args.overrides)).assign(seed=seed))
            spark.catalog.clearCache()
            shutil.rmtree(folder)
    print_table(pd.concat(tables))
    return 0


def fleet_settings(seed: int, folder: Path, overrides: Sequence[str]) -> Settings:
    """The settings of one fleet: its own seed, its own folders."""
    landing = folder.absolute() / "landing"
    files = f"{{path: {landing}/readings/*.csv}}"
    failures = f"{{path: {landing}/events.csv}}"
    source = f"[{{extends: conf/sources/simulated.yaml, files: {files}, failures: {failures}}}]"
    paths = [f"storage.root={folder}/lake", f"simulation.output={landing}", f"sources={source}"]
    return load_settings("conf/simulated.yaml", [*paths, f"simulation.seed={seed}", *overrides])


def fleet_coverage(spark: SparkSession, settings: Settings) -> pd.DataFrame:
    """`TimeHead.coverage` of one fleet, from raw logs on."""
    replace_folder(Path(settings.simulation.output), Fleet(settings.simulation).files(), marker=TRUTH)
    store = TableStore(spark, settings.storage)
    ingest(store, settings)
    build_features(store, settings)
    return interval_coverage(judged_rows(store, settings))


def judged_rows(store: TableStore, settings: Settings) -> DataFrame:
    """Rows of every view with what the interval held, as `train_time_head` judges them."""
    held = load_training_set(store, settings, None)
    rows, is_training = rows_with_days(held)
    folds, model = settings.split.folds, settings.model
    side_forest = regressor(model, share_of_trees=model.validation_trees_share)
    validated = out_of_fold(rows, is_training, side_forest, folds, with_raw_days).cache()
    bounded = partial(with_bounds, interval=interval_of_validated(validated.where(is_training), model))
    forest = regressor(model).fit(rows.where(is_training))
    served = with_raw_days(rows.where(F.col("part").isin(TEST, LATER)), forest).drop("features")
    views = view_rows(held, validated, served)
    judged = {view: views[view].transform(bounded) for view in (FUTURE, BOTH)}
    return union_of_views({UNSEEN: bounded_by_other_folds(views[UNSEEN], held), **judged})


def print_table(coverage: pd.DataFrame) -> None:
    """A row a view and band of predicted days: the mean share over fleets, its standard error, and every fleet's."""
    print("| view | band | windows a fleet | held, mean of fleets | standard error | each fleet | all whose end is known |")
    print("|---|---|---:|---:|---:|---|---:|")
    for view in VIEWS:
        for band, of_band in coverage[coverage["view"] == view].groupby("band", sort=True):
            shares = of_band.sort_values("seed")["covered"].dropna().to_numpy(float)
            error = np.std(shares, ddof=1) / np.sqrt(len(shares)) if len(shares) > 1 else float("nan")
            each = " ".join(f"{share:.0%}" for share in shares)
            cells = [view, band, f"{of_band['rows'].mean():,.0f}", f"{shares.mean():.1%}", f"{error:.1%}", each]
            print(f"| {' | '.join([*map(str, cells), format(of_band['covered_of_known'].mean(), '.1%')])} |")


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=seed_range, default=seed_range("1-8"), help="one seed, or first-last")
    parser.add_argument("--folder", type=Path, default=Path("data/interval-coverage"))
    parser.add_argument("--set", dest="overrides", action="append", default=[], help="section.key=value, as for the jobs")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
