"""Write the start-up file that lets spark-sql find every table by its name. `bin/sql` (make sql) calls it.

Usage:  python jobs/sql.py --config conf/simulated.yaml --output FILE
Reads:  which Delta tables lie under storage.root
Writes: FILE, one statement a table
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from turbine_health.cli import job_parser, run_job
from turbine_health.io.sql_names import naming_statements, tables_of
from turbine_health.settings import load_settings


def main(argv: Sequence[str] | None = None) -> str:
    parser = job_parser("sql", __doc__ or "")
    parser.add_argument("--output", type=Path, required=True, help="where the statements go")
    args = parser.parse_args(argv)
    tables = tables_of(load_settings(args.config, overrides=args.set).storage.root)
    args.output.write_text("".join(f"{statement};\n" for statement in naming_statements(tables)), encoding="utf-8")
    return f"{len(tables)} tables have names: {', '.join(f'{table.layer}.{table.name}' for table in tables)}"


if __name__ == "__main__":
    sys.exit(run_job("sql", main))
