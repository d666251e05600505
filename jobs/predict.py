"""Score the fleet with the champions of both heads: the newest window of each turbine, or all of a span.

Usage:  spark-submit jobs/predict.py --config conf/simulated.yaml [--from 2024-01-01 --to 2024-02-01] [--as-of TIME]
Reads:  gold.window_features; the registered models with alias `champion`
Writes: gold.failure_predictions, gold.time_to_failure_predictions
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from turbine_health.cli import job_parser, refuse_beside, run_job, utc_time
from turbine_health.io.delta import TableStore
from turbine_health.io.session import spark_session
from turbine_health.io.tracking import Tracker
from turbine_health.pipelines.predict import WhatIf, predict
from turbine_health.pipelines.predict_continuously import predict_continuously
from turbine_health.settings import load_settings


def main(argv: Sequence[str] | None = None) -> str:
    parser = job_parser("predict", __doc__)
    parser.add_argument("--from", dest="start", type=utc_time, metavar="TIME", help="first window end, UTC")
    parser.add_argument("--to", type=utc_time, metavar="TIME", help="window ends before this, UTC")
    parser.add_argument("--as-of", type=utc_time, metavar="TIME", help="the clock that data ages by, UTC; else its newest")
    parser.add_argument("--classifier-version", help="not the champion; rows it wrote stay as they are")
    parser.add_argument("--regressor-version", help="the same for the days left")
    parser.add_argument("--continuous", action="store_true", help="score new windows as they appear; beside it only --from")
    args = refuse_beside(parser, parser.parse_args(argv), "continuous", "start")
    settings, what_if = load_settings(args.config, overrides=args.set), WhatIf(args.classifier_version, args.regressor_version)
    with spark_session("predict", settings.spark) as spark:
        store, tracker = TableStore(spark, settings.storage), Tracker(settings.mlflow)
        if args.continuous:
            return str(predict_continuously(store, tracker, settings, args.start))
        return str(predict(store, tracker, settings, args.start, args.to, what_if, args.as_of))


if __name__ == "__main__":
    sys.exit(run_job("predict", main))
