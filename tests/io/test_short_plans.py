"""Settings for plans of few rows hold for so long and no longer."""

from __future__ import annotations

from pyspark.sql import SparkSession

from turbine_health.io.short_plans import FOR_FEW_ROWS, for_few_rows

ADAPTIVE = "spark.sql.adaptive.enabled"


def test_a_sessions_own_settings_are_there_again_also_after_a_failure(spark: SparkSession) -> None:
    usual = spark.conf.get(ADAPTIVE)
    spark.conf.set(ADAPTIVE, "true")
    own = {key: spark.conf.get(key) for key in FOR_FEW_ROWS}
    found = {}
    try:
        with for_few_rows(spark):
            found = {key: spark.conf.get(key) for key in FOR_FEW_ROWS}
            raise InterruptedError
    except InterruptedError:
        assert {key: spark.conf.get(key) for key in FOR_FEW_ROWS} == own
    spark.conf.set(ADAPTIVE, str(usual))
    assert found == FOR_FEW_ROWS != own
