"""Train both heads on gold.training_examples, track them in MLflow, and let them through the gate.

Usage:  spark-submit jobs/train.py --config conf/simulated.yaml   (or: python jobs/train.py …)
        --as-of-version 3 trains on the examples as they were in that Delta version
Reads:  gold.training_examples; the champions, to compare with
Writes: two MLflow runs, two registered models with alias `champion` or `challenger`
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from turbine_health.cli import job_parser, run_job
from turbine_health.io.delta import TableStore
from turbine_health.io.session import spark_session
from turbine_health.io.tracking import Tracker
from turbine_health.pipelines.train import train
from turbine_health.settings import load_settings


def main(argv: Sequence[str] | None = None) -> str:
    parser = job_parser("train", __doc__)
    parser.add_argument("--as-of-version", type=int, metavar="N", help="Delta version of gold.training_examples")
    args = parser.parse_args(argv)
    settings = load_settings(args.config, overrides=args.set)
    tracker = Tracker(settings.mlflow)
    with spark_session("train", settings.spark) as spark:
        return str(train(TableStore(spark, settings.storage), tracker, settings, as_of_version=args.as_of_version))


if __name__ == "__main__":
    sys.exit(run_job("train", main))
