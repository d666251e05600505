"""`spark-submit` and `python` start sessions of one kind."""

from __future__ import annotations

import sys
from pathlib import Path

from turbine_health.io.session import DELTA_PACKAGE, SESSION_CONF, jars_folder

REPOSITORY = Path(__file__).resolve().parents[2]


def spark_defaults() -> dict[str, str]:
    lines = (REPOSITORY / "conf" / "spark-defaults.conf").read_text(encoding="utf-8").splitlines()
    pairs = [line.split(maxsplit=1) for line in lines if line.strip() and not line.startswith("#")]
    return {key: value.strip() for key, value in pairs}


def test_spark_defaults_say_what_the_session_says():
    assert spark_defaults() == SESSION_CONF


def test_the_delta_jars_are_those_of_the_pinned_python_package():
    pins = dict(line.split("==") for line in (REPOSITORY / "constraints.txt").read_text().splitlines() if "==" in line)
    assert DELTA_PACKAGE.endswith(f":{pins['delta_spark']}")
    assert f"delta-spark_{'.'.join(pins['pyspark'].split('.')[:2])}_2.13" in DELTA_PACKAGE


def test_fetched_jars_lie_in_the_environment_under_their_version():
    assert jars_folder().is_relative_to(sys.prefix)
    assert jars_folder().name == "delta-spark_4.2_2.13-4.4.0"
