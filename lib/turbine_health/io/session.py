"""The one place where a Spark session is made."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from turbine_health.run_id import current_run_id
from turbine_health.settings import SparkSettings, find_conf_file

# Delta and Kafka drag in Hadoop, Parquet, log4j, slf4j, lz4, zstd and snappy jars that pyspark already carries, and
# an object store's connector the whole of its vendor's kit (half a gigabyte, of which it needs four parts).
DELTA_PACKAGE = "io.delta:delta-spark_4.2_2.13:4.4.0"
DELTA_EXCLUDES = (
    "org.apache.hadoop:hadoop-client-api,org.apache.hadoop:hadoop-client-runtime,software.amazon.awssdk:bundle,"
    "org.apache.parquet:*,org.apache.logging.log4j:*,org.slf4j:*,com.github.luben:*,org.xerial.snappy:*,at.yawk.lz4:*"
)

# Compiled from lib/scala by bin/build_jar; lies with Delta's.
OWN_JAR = "turbine-health.jar"

# What every session needs, however it was started. conf/spark-defaults.conf says the same to
# spark-submit, where jars must be known before the JVM starts; a test holds the two together.
SESSION_CONF = {
    "spark.jars.packages": DELTA_PACKAGE,
    "spark.jars.excludes": DELTA_EXCLUDES,
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.session.timeZone": "UTC",
    "spark.databricks.delta.snapshotPartitions": "2",
    # Spark looks 33 files or more up in a job of as many tasks as files, each dearer than its look-up.
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "8",
    # The largest, which means no limit: looking whether a batch for Python is full would cost a sixth of writing one, for
    # every row. Ten thousand of our rows, the other limit, are a few megabytes.
    "spark.sql.execution.arrow.maxBytesPerBatch": "2147483647",
    # The JVM leaves methods of over 8,000 bytes uncompiled, and Spark generates such for wide tables; of a stage that
    # would be one it now generates small ones.
    "spark.sql.codegen.hugeMethodLimit": "8000",
    # Of numbers that seldom repeat Spark looks at every value for how well it would compress, and then it does not.
    "spark.sql.inMemoryColumnarStorage.compressed": "false",
    "spark.ui.showConsoleProgress": "false",
}

# For jobs whose work Python workers do: Java's second compiler would take longer than what it compiles, and without it the
# code that Java compiles has too little room by default.
FIRST_COMPILER_ONLY = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m"


@contextmanager
def spark_session(app_name: str, settings: SparkSettings, java_options: str = "") -> Iterator[SparkSession]:
    """A session with Delta, in UTC; stopped on leaving.

    Under `spark-submit` the master, the memory, the jars and the options of Java are the submitter's; otherwise they
    come from `settings` and `java_options`.
    """
    conf = {
        **SESSION_CONF,
        "spark.sql.shuffle.partitions": str(settings.shuffle_partitions),
        # Every commit's history says which run of the jobs made it (DESCRIBE HISTORY: userMetadata).
        "spark.databricks.delta.commitInfo.userMetadata": json.dumps({"run_id": current_run_id(), "job": app_name}),
    }
    builder = SparkSession.builder.appName(f"turbine-health-{app_name}")
    if not started_by_spark_submit():
        _prepare_environment(settings.master)
        builder = builder.master(settings.master)
        conf |= {"spark.driver.memory": settings.driver_memory, "spark.ui.enabled": "false", **_jars(settings.packages)}
        conf |= {"spark.driver.extraJavaOptions": java_options} if java_options else {}
    for key, value in {**conf, **settings.conf}.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    _commit_safely_on_local_disk(spark.sparkContext)
    try:
        yield spark
    finally:
        spark.stop()


def started_by_spark_submit() -> bool:
    """Whether this Python was launched by `spark-submit`, which has made the JVM already."""
    return "PYSPARK_GATEWAY_PORT" in os.environ


def jars_folder() -> Path:
    """Where set-up puts Delta's jars for sessions of this Python, so that a start asks no repository."""
    _, artifact, version = DELTA_PACKAGE.split(":")
    return Path(sys.prefix) / "share" / "turbine-health" / f"{artifact}-{version}"


def _jars(packages: Sequence[str]) -> dict[str, str]:
    """Delta's jars, where set-up has fetched them, else its package; and the further packages."""
    jars = sorted(str(path) for path in (jars_folder() / "jars").glob("*.jar"))
    delta = {"spark.jars": ",".join(jars)} if jars else {}
    return {**delta, "spark.jars.packages": ",".join([*([] if jars else [DELTA_PACKAGE]), *packages])}


def _commit_safely_on_local_disk(context: Any) -> None:
    """Have lib/scala's LocalFiles write what must not replace a file of the same name, where set-up has compiled it."""
    jar = jars_folder() / "jars" / OWN_JAR
    if not jar.exists():
        return
    if started_by_spark_submit():
        # The JVM runs already, with the jars that the submitter named.
        context._jvm.Thread.currentThread().getContextClassLoader().addURL(context._jvm.java.net.URI(jar.as_uri()).toURL())
        context._jsc.addJar(str(jar))
    context._jsc.hadoopConfiguration().set("fs.AbstractFileSystem.file.impl", "turbinehealth.LocalFiles")


def _prepare_environment(master: str) -> None:
    """What Spark reads from the environment before it starts, where the user has not said otherwise."""
    quiet_logs = find_conf_file("log4j2.properties")
    if quiet_logs:
        os.environ.setdefault("SPARK_CONF_DIR", str(quiet_logs.parent))
    if master.startswith("local"):
        # Nothing outside this machine can reach the driver, and its own name need not have an address.
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        # Spark's Python workers are else the first `python3` on PATH, which has none of our packages.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
