"""Write a page on what the readings hold, before any model.

Usage:  spark-submit jobs/explore.py --config conf/simulated.yaml   (or: python jobs/explore.py …)
Reads:  silver.sensor_readings, silver.asset_lives
Writes: no table; exploration.html in storage.reports
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from turbine_health.cli import job_parser, run_job
from turbine_health.io.delta import TableStore
from turbine_health.io.session import spark_session
from turbine_health.pipelines.explore import explore
from turbine_health.settings import load_settings


def main(argv: Sequence[str] | None = None) -> str:
    args = job_parser("explore", __doc__).parse_args(argv)
    settings = load_settings(args.config, overrides=args.set)
    with spark_session("explore", settings.spark) as spark:
        return str(explore(TableStore(spark, settings.storage), settings))


if __name__ == "__main__":
    sys.exit(run_job("explore", main))
