"""One of several writers of the same tables: what it writes is its own, the moment is not.

Usage:  python tests/acceptance/s3_writer.py SETTINGS NAME WRITERS

Every turn begins when `WRITERS` of them are ready for it. It prints how often it appended, merged, planned a batch, and
how often another one came first.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from predictions import risks
from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from turbine_health.errors import ConcurrentRunError
from turbine_health.io.delta import TableStore
from turbine_health.io.session import spark_session
from turbine_health.settings import load_settings
from turbine_health.tables import CHANGED_HOURS, FAILURE_PREDICTIONS

ROUNDS = 3
ATTEMPTS = 20
SECONDS_TO_WAIT = 120


def main(settings_file: str, name: str, writers: int) -> None:
    settings = load_settings(settings_file)
    told = {"appended": 0, "merged": 0, "planned": 0, "refused": 0}
    with spark_session("writer", settings.spark) as spark:
        store = TableStore(spark, settings.storage)
        for turn in range(ROUNDS):
            wait_for_all(Path(settings_file).parent, f"{name}.{turn}", writers)
            hour = spark.sql(f"SELECT '{name}' AS asset_id, TIMESTAMP '2024-01-01' AS hour_start, '{turn}' AS run_id")
            store.append(hour, CHANGED_HOURS)
            told["appended"] += 1
            told["planned"] += plan_batch(spark, f"{settings.storage.checkpoint('plant')}/offsets/{turn}", name)
            scored = risks(spark, name, f"2024-01-{turn + 1:02}", [0.5])
            for _ in range(ATTEMPTS):
                try:
                    told["merged"] += store.merge(scored, FAILURE_PREDICTIONS).rows_inserted
                    break
                except ConcurrentRunError:
                    told["refused"] += 1
    print(json.dumps(told))


def plan_batch(spark: SparkSession, path: str, plan: str) -> bool:
    """Write a file as Spark writes the plan of a stream's batch; False where another writer's was first."""
    session: Any = spark
    jvm = session._jvm
    file = jvm.org.apache.hadoop.fs.Path(path)
    managers = jvm.org.apache.spark.sql.execution.streaming.checkpointing.CheckpointFileManager
    manager = managers.create(file.getParent(), session._jsparkSession.sessionState().newHadoopConf())
    manager.mkdirs(file.getParent())
    try:
        stream = manager.createAtomic(file, False)
        stream.write(bytearray(plan.encode()))
        stream.close()
    except Py4JJavaError as failure:
        if "FileAlreadyExistsException" in str(failure.java_exception):
            return False
        raise
    return True


def wait_for_all(folder: Path, name: str, writers: int) -> None:
    (folder / f"{name}.ready").touch()
    deadline = time.monotonic() + SECONDS_TO_WAIT
    while len(list(folder.glob(f"*.{name.rpartition('.')[2]}.ready"))) < writers:
        assert time.monotonic() < deadline, "another writer has ended"
        time.sleep(0.02)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
