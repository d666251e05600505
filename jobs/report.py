"""Write the page that a planner opens in the morning, and print a summary of runs and turbines.

Usage:  spark-submit jobs/report.py --config conf/simulated.yaml   (or: python jobs/report.py … [--json])
Reads:  gold.failure_predictions, gold.time_to_failure_predictions, gold.signal_cells, silver.asset_events,
        silver.asset_lives, silver.sensor_readings and, where they are there, gold.realised_metrics,
        quarantine.sensor_readings, ops.ingest_runs; the runs and models in MLflow
Writes: no table; index.html in storage.reports
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from turbine_health.cli import job_parser, run_job
from turbine_health.io.delta import TableStore
from turbine_health.io.session import spark_session
from turbine_health.io.tracking import Tracker
from turbine_health.pipelines.report import report
from turbine_health.settings import load_settings


def main(argv: Sequence[str] | None = None) -> str:
    parser = job_parser("report", __doc__)
    parser.add_argument("--json", action="store_true", help="print the summary as JSON, and nothing else")
    args = parser.parse_args(argv)
    settings = load_settings(args.config, overrides=args.set)
    tracker = Tracker(settings.mlflow)
    with spark_session("report", settings.spark) as spark:
        summary = report(TableStore(spark, settings.storage), tracker, settings)
    summary.show(as_json=args.json)
    return "" if args.json else str(summary)


if __name__ == "__main__":
    sys.exit(run_job("report", main))
