"""One small Spark session in UTC for each of the processes that share the tests among them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres import started_postgresql
from pyspark.sql import SparkSession

from turbine_health.io.delta import TableStore
from turbine_health.io.session import spark_session
from turbine_health.settings import SparkSettings, StorageSettings

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED_DATA = REPOSITORY.parent / "shared" / "data"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A module's tests stay in one process, for what its fixtures made; those of the walk through all jobs too."""
    for item in items:
        walks = "undisturbed" in getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("walk" if walks else str(item.path)))


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


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """The address of an empty database; skips where PostgreSQL is not installed."""
    with started_postgresql() as address:
        yield address
