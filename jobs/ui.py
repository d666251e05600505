"""Serve MLflow's pages of runs, metrics, plots and registered models.

Usage:  python jobs/ui.py [--config conf/…] [--port 5000] [--host 127.0.0.1]
Reads:  the MLflow store of the settings
Writes: nothing
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from turbine_health.cli import job_parser, run_job
from turbine_health.io.tracking_ui import serve_ui
from turbine_health.settings import load_settings


def main(argv: Sequence[str] | None = None) -> str:
    parser = job_parser("ui", __doc__)
    parser.add_argument("--port", type=int, default=5000, help="the next free one is used where it is taken (default 5000)")
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 lets other machines in (default: only this one)")
    args = parser.parse_args(argv)
    return serve_ui(load_settings(args.config, overrides=args.set).mlflow, args.host, args.port)


if __name__ == "__main__":
    sys.exit(run_job("ui", main))
