"""Compact, cluster and vacuum the tables; keep every version that a registered model was trained on.

Usage:  spark-submit jobs/maintain.py --config conf/simulated.yaml   (or: python jobs/maintain.py …)
Reads:  all tables under storage.root, the registered models
Writes: the same tables, with the same rows in fewer files
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from turbine_health.cli import job_parser, run_job
from turbine_health.io.housekeeping import Housekeeping
from turbine_health.io.session import spark_session
from turbine_health.io.tracking import Tracker
from turbine_health.pipelines.maintain import maintain
from turbine_health.settings import load_settings


def main(argv: Sequence[str] | None = None) -> str:
    args = job_parser("maintain", __doc__).parse_args(argv)
    settings = load_settings(args.config, overrides=args.set)
    tracker = Tracker(settings.mlflow)
    with spark_session("maintain", settings.spark) as spark:
        return str(maintain(Housekeeping(spark, settings.storage.root), tracker, settings))


if __name__ == "__main__":
    sys.exit(run_job("maintain", main))
