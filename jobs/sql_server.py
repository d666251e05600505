"""Serve the lake's tables to BI tools over JDBC and ODBC, by name and for reading only (Spark's Thrift server).

Usage:  python jobs/sql_server.py --config conf/simulated.yaml --port 10000   (or: make sql-server)
Reads:  every Delta table under storage.root; new ones are found within a minute
Writes: nothing
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from turbine_health.cli import job_parser, run_job
from turbine_health.io.session import spark_session
from turbine_health.io.sql_server import forget_secrets, prepared_for_clients, serve_until_stopped
from turbine_health.settings import load_settings


def main(argv: Sequence[str] | None = None) -> str:
    parser = job_parser("sql_server", __doc__ or "")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 is reachable by others")
    parser.add_argument("--port", type=int, default=10_000)
    args = parser.parse_args(argv)
    settings = load_settings(args.config, overrides=args.set)
    forget_secrets(os.environ, settings.storage.root)
    with spark_session("sql-server", prepared_for_clients(settings.spark, args.host, args.port)) as spark:
        return serve_until_stopped(spark, settings.storage.root, f"{args.host}:{args.port}")


if __name__ == "__main__":
    sys.exit(run_job("sql_server", main))
