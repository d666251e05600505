"""Judge quarantined rows again, after a rule or a source description was mended.

Usage:  spark-submit jobs/readmit.py --config conf/simulated.yaml   (or: python jobs/readmit.py …)
Reads:  quarantine.sensor_readings, bronze.<source>, silver.sensor_readings
Writes: silver.sensor_readings, quarantine.sensor_readings, silver.asset_lives, ops.changed_hours, ops.ingest_runs
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from turbine_health.cli import job_parser, run_job
from turbine_health.io.delta import TableStore
from turbine_health.io.session import spark_session
from turbine_health.pipelines.readmit import readmit
from turbine_health.settings import load_settings


def main(argv: Sequence[str] | None = None) -> str:
    args = job_parser("readmit", __doc__).parse_args(argv)
    settings = load_settings(args.config, overrides=args.set)
    with spark_session("readmit", settings.spark) as spark:
        return str(readmit(TableStore(spark, settings.storage), settings))


if __name__ == "__main__":
    sys.exit(run_job("readmit", main))
