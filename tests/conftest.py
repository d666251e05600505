"""One Spark session for the whole run, small and in UTC."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from turbine_health.io.delta import TableStore
from turbine_health.io.session import spark_session
from turbine_health.settings import SparkSettings, StorageSettings

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED_DATA = REPOSITORY.parent / "shared" / "data"


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    # On so little data the optimising compiler takes half of the processor and never earns it back.
    conf = {"spark.default.parallelism": "2", "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1"}
    settings = SparkSettings(master="local[2]", shuffle_partitions=1, driver_memory="2g", conf=conf)
    with spark_session("tests", settings) as session:
        yield session


@pytest.fixture
def store(spark: SparkSession, tmp_path: Path) -> TableStore:
    """An empty lake of the test's own."""
    return TableStore(spark, StorageSettings(root=str(tmp_path / "lake"), reports=str(tmp_path / "reports")))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real turbine data; skips where it is not on this machine."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"real turbine data is not at {SHARED_DATA}")
    return SHARED_DATA
