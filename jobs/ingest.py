"""Take raw logs into bronze, silver and quarantine, and failures into lives.

Usage:  spark-submit jobs/ingest.py --config conf/simulated.yaml [--continuous]   (or: python jobs/ingest.py …)
Reads:  the files and topics that the settings' sources name
Writes: bronze.<source>, silver.sensor_readings, quarantine.sensor_readings, silver.asset_events,
        silver.asset_lives, ops.ingest_runs
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from turbine_health.cli import job_parser, run_job
from turbine_health.io.delta import TableStore
from turbine_health.io.session import spark_session
from turbine_health.pipelines.ingest import ingest, ingest_continuously
from turbine_health.settings import load_settings


def main(argv: Sequence[str] | None = None) -> str:
    parser = job_parser("ingest", __doc__)
    parser.add_argument("--continuous", action="store_true", help="look for new logs every half minute, until interrupted")
    args = parser.parse_args(argv)
    settings = load_settings(args.config, overrides=args.set)
    with spark_session("ingest", settings.spark) as spark:
        store = TableStore(spark, settings.storage)
        return str((ingest_continuously if args.continuous else ingest)(store, settings))


if __name__ == "__main__":
    sys.exit(run_job("ingest", main))
