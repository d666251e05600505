"""Take raw logs into bronze, silver and quarantine, and failures into lives.

Usage:  spark-submit jobs/ingest.py --config conf/simulated.yaml   (or: python jobs/ingest.py …)
Reads:  the files that the settings' sources name
Writes: bronze.<source>, silver.sensor_readings, quarantine.sensor_readings, silver.asset_events,
        silver.asset_lives, ops.ingest_runs
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from turbine_health.cli import job_parser, run_job
from turbine_health.io.delta import TableStore
from turbine_health.io.session import spark_session
from turbine_health.pipelines.ingest import ingest
from turbine_health.settings import load_settings


def main(argv: Sequence[str] | None = None) -> str:
    args = job_parser("ingest", __doc__).parse_args(argv)
    settings = load_settings(args.config, overrides=args.set)
    with spark_session("ingest", settings.spark) as spark:
        return str(ingest(TableStore(spark, settings.storage), settings))


if __name__ == "__main__":
    sys.exit(run_job("ingest", main))
