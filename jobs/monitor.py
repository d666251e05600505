"""Follow up the predictions: alert episodes, outcomes, realised quality, drift, and what to do next.

Usage:  spark-submit jobs/monitor.py --config conf/simulated.yaml [--now 2023-12-01T00:00]
Reads:  gold.failure_predictions, gold.time_to_failure_predictions, silver.asset_lives, gold.signal_cells; the
        champion's run, for the days that it was trained on
Writes: gold.alert_episodes, gold.prediction_outcomes, gold.realised_metrics, gold.unwarned_failures,
        gold.feature_drift, gold.maintenance_worklist, gold.fleet_status, ops.recommendations
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from turbine_health.cli import job_parser, run_job, utc_time
from turbine_health.io.delta import TableStore
from turbine_health.io.session import spark_session
from turbine_health.io.tracking import Tracker
from turbine_health.pipelines.monitor import champion_trained_until, monitor
from turbine_health.settings import load_settings


def main(argv: Sequence[str] | None = None) -> str:
    parser = job_parser("monitor", __doc__ or "")
    parser.add_argument("--now", type=utc_time, help="the clock, ISO 8601 (UTC); nothing later is used")
    args = parser.parse_args(argv)
    settings = load_settings(args.config, overrides=args.set)
    with spark_session("monitor", settings.spark) as spark:
        trained_until = champion_trained_until(Tracker(settings.mlflow), settings)
        return str(monitor(TableStore(spark, settings.storage), settings, args.now, trained_until))


if __name__ == "__main__":
    sys.exit(run_job("monitor", main))
