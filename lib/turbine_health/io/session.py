"""The one place where a Spark session is made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import SparkSession

from turbine_health.settings import SparkSettings

# Delta drags in Hadoop, Parquet, log4j, slf4j, zstd and snappy jars that pyspark already carries.
DELTA_PACKAGE = "io.delta:delta-spark_4.2_2.13:4.4.0"
DELTA_EXCLUDES = (
    "org.apache.hadoop:*,org.apache.parquet:*,org.apache.logging.log4j:*,org.slf4j:*,com.github.luben:*,org.xerial.snappy:*"
)

# What every session needs, however it was started. conf/spark-defaults.conf says the same to
# spark-submit, where jars must be known before the JVM starts; a test holds the two together.
SESSION_CONF = {
    "spark.jars.packages": DELTA_PACKAGE,
    "spark.jars.excludes": DELTA_EXCLUDES,
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.session.timeZone": "UTC",
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.ui.showConsoleProgress": "false",
}


@contextmanager
def spark_session(app_name: str, settings: SparkSettings) -> Iterator[SparkSession]:
    """A session with Delta, in UTC; stopped on leaving.

    Under `spark-submit` the master, the memory and the jars are the submitter's; otherwise they
    come from `settings`.
    """
    builder = SparkSession.builder.appName(f"turbine-health-{app_name}")
    conf = {**SESSION_CONF, "spark.sql.shuffle.partitions": str(settings.shuffle_partitions), **settings.conf}
    if not started_by_spark_submit():
        builder = builder.master(settings.master)
        conf.setdefault("spark.driver.memory", settings.driver_memory)
        conf.setdefault("spark.ui.enabled", "false")
    for key, value in conf.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    try:
        yield spark
    finally:
        spark.stop()


def started_by_spark_submit() -> bool:
    """Whether this Python was launched by `spark-submit`, which has made the JVM already."""
    return "PYSPARK_GATEWAY_PORT" in os.environ
