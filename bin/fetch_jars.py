"""Fetch Delta's jars once, into the environment of this Python, by Spark's own resolver.

Usage:  python bin/fetch_jars.py   (part of `make setup`; behind a mirror set spark.jars.ivySettings in conf/spark-defaults.conf)
"""

from __future__ import annotations

import shutil

from turbine_health.io.session import jars_folder, spark_session
from turbine_health.settings import SparkSettings


def main() -> None:
    folder = jars_folder()
    shutil.rmtree(folder, ignore_errors=True)
    with spark_session("set-up", SparkSettings(master="local[1]", conf={"spark.jars.ivy": str(folder)})) as spark:
        spark.range(1).count()
    shutil.rmtree(folder / "cache", ignore_errors=True)
    jars = list((folder / "jars").glob("*.jar"))
    if not jars:
        raise SystemExit(f"no jars arrived in {folder}")
    print(f"set-up: {len(jars)} jars in {folder}")


if __name__ == "__main__":
    main()
