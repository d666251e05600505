"""Does each family of features help? Scores with all of them, and with one left out at a time.

Usage:  python benchmarks/ablation.py [--sets FD001,FD003,fleet] [--data ../shared/data/cmapss] [--out data/ablation]
        [--turbines 20] [--days 365] [--every 1] [--without nothing slope] [--set section.key=value]     (make ablation)
Writes: OUT/<set>/lake, OUT/ablation.json and OUT/ablation.md

Every set gets every statistic; the forests have the settings that the set is trained with, but for --set: `make ablation`
takes smaller ones and a fifth of the rows, for with 500 columns the full ones take hours. A turbine is judged by forests
of the other folds, so nothing of the test (C-MAPSS' test files among it) is used. *Worse by* is what leaving the family
out costs: a family for which that is nowhere more than another seed does (*nothing, another seed*) does not earn its columns.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from cmapss import is_of, set_settings, with_last_cycles
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from turbine_health.errors import TurbineHealthError
from turbine_health.io.delta import TableStore
from turbine_health.io.folders import replace_folder
from turbine_health.io.session import spark_session
from turbine_health.models.card import markdown_table
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
from turbine_health.models.scoring import with_raw_days, with_raw_score
from turbine_health.models.validation import out_of_fold
from turbine_health.pipelines.features import build_features
from turbine_health.pipelines.ingest import ingest
from turbine_health.settings import RegimeSettings, Settings, load_settings
from turbine_health.simulation.fleet import TRUTH, Fleet
from turbine_health.tables import parse_feature_name, training_examples
from turbine_health.transforms.features import EVENTS, feature_plan
from turbine_health.transforms.splits import to_turbine_groups

logger = logging.getLogger("turbine_health")

# Family → its statistics; counts of events are a family of their own.
FAMILIES = {
    "mean": ("mean",),
    "spread": ("std",),
    "extremes": ("min", "max", "range"),
    "last reading": ("last",),
    "how many readings": ("count", "missing_share"),
    "slope": ("slope",),
    "short minus long": ("change",),
    "own baseline": ("deviation",),
    "age since repair": ("age_days",),
    "flagged readings": ("flagged_share",),
    "age of the last reading": ("data_age_hours",),
}
OF_ASSET = ("age_days", "flagged_share", "data_age_hours")
COUNTED = "events"
WHOLE = "nothing"
# What another seed of the same forests does to a score: less than that is noise.
RESEEDED = "nothing, another seed"
OPERATING_REGIME = "operating regime"


@dataclass(frozen=True)
class Rows:
    """Labelled rows of one set: keys, `fold`, `days_known`, `failure_within_7d`, features."""

    settings: Settings
    examples: DataFrame
    features: list[str]


def main(argv: Sequence[str] | None = None) -> int:
    args = _arguments(argv)
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", level=logging.INFO, stream=sys.stderr)
    logging.getLogger("py4j").setLevel(logging.WARNING)
    found: list[dict[str, object]] = []
    with spark_session("ablation", load_settings("conf/cmapss.yaml", args.overrides).spark) as spark:
        for name in args.sets:
            rows = fleet_rows(spark, args) if name == "fleet" else engine_rows(spark, name, args)
            for left_out, features, regime in selections(rows.features, rows.settings.model.regime):
                if args.without and left_out not in args.without:
                    continue
                began = time.monotonic()
                scores = score(rows, features, regime, rows.settings.model.seed + (left_out == RESEEDED))
                found.append({"set": name, "without": left_out, "features": len(features), **scores})
                logger.info("%s without %s: %s (%.0f s)", name, left_out, scores, time.monotonic() - began)
                _write(found, args.out)
            spark.catalog.clearCache()
    print((args.out / "ablation.md").read_text(encoding="utf-8"))
    return 0


def selections(
    features: Sequence[str], regime: RegimeSettings | None
) -> Iterator[tuple[str, list[str], RegimeSettings | None]]:
    """Everything (twice: see `RESEEDED`), then everything but one family; those that the set does not have are passed over."""
    for left_out in (WHOLE, RESEEDED):
        yield left_out, list(features), regime
    if regime:
        yield OPERATING_REGIME, list(features), None
    for family in (*FAMILIES, COUNTED):
        kept = [name for name in features if family_of(name) != family]
        if 0 < len(kept) < len(features):
            # Without means no regime can be told.
            yield family, kept, None if family == "mean" else regime


def family_of(feature: str) -> str:
    """Key of `FAMILIES`, or `COUNTED`."""
    name = parse_feature_name(feature)
    if name.signal in EVENTS:
        return COUNTED
    return next(family for family, statistics in FAMILIES.items() if name.statistic in statistics)


def score(rows: Rows, features: Sequence[str], regime: RegimeSettings | None, seed: int) -> dict[str, float]:
    """`pr_auc` of a failure within the horizon, `rmse_days` of the days left; each turbine judged by other folds' forests."""
    settings, model = rows.settings, rows.settings.model.model_copy(update={"seed": seed})
    preparation = fit_preparation(rows.examples, rows.examples.count(), features, regime)
    kept = ("asset_id", "window_end", "fold", DAYS, LABEL)
    vectors = in_training_order(preparation.vectors(rows.examples, kept), model.training_partitions).cache()
    failing, healthy = (vectors.where(F.col(LABEL) == label).count() for label in (1, 0))
    weighted = vectors.where(F.col(LABEL).isNotNull()).withColumn(WEIGHT, class_weight(failing, healthy, model.class_balance))
    every = F.lit(True)
    ranked = out_of_fold(weighted, every, classifier(model), settings.split.folds, with_raw_score)
    known = vectors.where(F.col(DAYS).isNotNull()).withColumn(WEIGHT, F.lit(1.0))
    days = out_of_fold(known, every, regressor(model), settings.split.folds, with_raw_days)
    error = F.col("raw_time_to_failure_days") - F.col(DAYS)
    squared = days.agg(F.avg(error * error)).first()
    found = {
        "pr_auc": float(ranking(score_counts(ranked).toPandas()).pr_auc or float("nan")),
        "rmse_days": float(squared[0]) ** 0.5 if squared and squared[0] is not None else float("nan"),
    }
    vectors.unpersist()
    return {name: round(value, 4) for name, value in found.items()}


def engine_rows(spark: SparkSession, name: str, args: argparse.Namespace) -> Rows:
    """The training engines of one C-MAPSS set."""
    settings = set_settings(name, args.data, args.out, [*every_statistic(), *args.overrides])
    examples = with_last_cycles(build(spark, settings).where(is_of("train")))
    return labelled(settings, examples.where(F.col("time_to_failure_days").isNotNull()), args.every)


def fleet_rows(spark: SparkSession, args: argparse.Namespace) -> Rows:
    """The built-in fleet, simulated anew."""
    folder = args.out / "fleet"
    source = f"{{extends: conf/sources/simulated.yaml, files: {{path: {folder}/landing/readings/*.csv}},"
    source += f" failures: {{path: {folder}/landing/events.csv}}}}"
    size = [f"simulation.output={folder}/landing", f"simulation.turbines={args.turbines}", f"simulation.days={args.days}"]
    places = [f"storage.root={folder}/lake", f"sources=[{source}]"]
    counts = "features.event_counts={events: [failures, repairs, maintenance, stops], lookback_hours: [720, 2160]}"
    regime = "model.regime={signals: [active_power_kw, ambient_temp_c], of: [gearbox_oil_temp_c, gearbox_bearing_temp_c,"
    regime += " generator_temp_c, vibration_mm_s, hydraulic_pressure_bar]}"
    settings = load_settings("conf/simulated.yaml", [*every_statistic(), counts, regime, *size, *places, *args.overrides])
    landing = Path(settings.simulation.output)
    if not (landing / TRUTH).exists():
        replace_folder(landing, Fleet(settings.simulation).files(), marker=TRUTH)
    return labelled(settings, build(spark, settings), args.every)


def every_statistic() -> list[str]:
    """Overrides that switch every family on."""
    statistics = [name for names in FAMILIES.values() for name in names if name not in OF_ASSET]
    return [f"features.statistics={statistics}", f"features.asset_statistics={list(OF_ASSET)}"]


def build(spark: SparkSession, settings: Settings) -> DataFrame:
    """Raw files → labelled examples, by the jobs' own pipelines."""
    store = TableStore(spark, settings.storage)
    logger.info("ingest: %s", ingest(store, settings))
    logger.info("build_features: %s", build_features(store, settings))
    return store.read(training_examples(feature_plan(settings.features, settings.feature_signals).names))


def labelled(settings: Settings, examples: DataFrame, every: int) -> Rows:
    """Rows with either label, one in `every` (by hash), in turbine folds."""
    folds = to_turbine_groups(examples, settings.split.model_copy(update={"strategy": "time"}))
    cap = settings.model.time_to_failure_cap_days
    days = F.col("time_to_failure_days") if cap is None else F.least(F.col("time_to_failure_days"), F.lit(float(cap)))
    is_known = F.col(LABEL).isNotNull() | F.col("time_to_failure_days").isNotNull()
    chosen = F.pmod(F.xxhash64("asset_id", "window_end"), F.lit(every)) == 0
    rows = (
        examples.where(is_known & chosen)
        .join(F.broadcast(folds), on="asset_id", how="inner")
        .withColumn(DAYS, F.when(F.col("time_to_failure_days").isNotNull(), exact_days(days)))
    )
    return Rows(settings, rows.cache(), feature_plan(settings.features, settings.feature_signals).names)


def table_of(found: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    """One row a set and family left out, with what that costs."""
    table = pd.DataFrame(list(found))
    whole = table[table["without"] == WHOLE].set_index("set")
    for name, sign in (("pr_auc", -1), ("rmse_days", 1)):
        table[f"{name}_worse_by"] = sign * (table[name] - table["set"].map(whole[name]))
    return table


def _write(found: Sequence[Mapping[str, object]], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "ablation.json").write_text(json.dumps(list(found), indent=1) + "\n", encoding="utf-8")
    (out / "ablation.md").write_text("\n".join(markdown_table(table_of(found))) + "\n", encoding="utf-8")


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=lambda text: text.split(","), default=["FD001", "FD003", "fleet"])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/cmapss"))
    parser.add_argument("--out", type=Path, default=Path("data/ablation"))
    parser.add_argument("--turbines", type=int, default=20, help="of the built-in fleet")
    parser.add_argument("--days", type=int, default=365, help="of the built-in fleet")
    parser.add_argument("--every", type=int, default=1, help="take one row in so many")
    names = [WHOLE, RESEEDED, OPERATING_REGIME, *FAMILIES, COUNTED]
    parser.add_argument("--without", nargs="+", choices=names, help="only these rows of the table (default: all)")
    parser.add_argument("--set", dest="overrides", action="append", default=[], help="section.key=value, as for the jobs")
    return parser.parse_args(argv)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except TurbineHealthError as error:
        print(f"ablation: {error}", file=sys.stderr)
        sys.exit(2)
