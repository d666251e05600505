"""Build windowed features and training examples from what ingest took in; only what changed since.

Usage:  spark-submit jobs/build_features.py --config conf/simulated.yaml   (or: python jobs/build_features.py …)
        --from 2024-01-01 --to 2024-02-01 builds again the windows that end in that span (end excluded)
Reads:  silver.sensor_readings, silver.asset_lives, ops.changed_hours
Writes: gold.signal_cells, gold.window_features, gold.training_examples, ops.feature_runs
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from turbine_health.cli import job_parser, run_job, utc_time
from turbine_health.io.delta import TableStore
from turbine_health.io.session import FIRST_COMPILER_ONLY, spark_session
from turbine_health.pipelines.features import build_features
from turbine_health.settings import load_settings


def main(argv: Sequence[str] | None = None) -> str:
    parser = job_parser("build_features", __doc__)
    parser.add_argument("--from", dest="start", type=utc_time, metavar="TIME", help="first window end, UTC")
    parser.add_argument("--to", dest="end", type=utc_time, metavar="TIME", help="window ends before this, UTC")
    args = parser.parse_args(argv)
    settings = load_settings(args.config, overrides=args.set)
    with spark_session("build_features", settings.spark, FIRST_COMPILER_ONLY) as spark:
        return str(build_features(TableStore(spark, settings.storage), settings, args.start, args.end))


if __name__ == "__main__":
    sys.exit(run_job("build_features", main))
