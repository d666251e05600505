"""One small Spark session in UTC for each of the processes that share the tests among them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from postgres import started_postgresql
from pyspark.sql import SparkSession
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from turbine_health.io.delta import TableStore
from turbine_health.io.session import spark_session
from turbine_health.settings import SparkSettings, StorageSettings

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED_DATA = REPOSITORY.parent / "shared" / "data"
WALK = "tests/walk/"
# Left to the end, one process would do them while the other waits.
LONGEST = (WALK, "tests/pipelines/test_readmit.py")

# pyspark takes a process whose main module has no file for a run of its own doctests, and ends it.
vars(sys.modules["__main__"]).setdefault("__file__", __file__)


class WholeFilesScheduling(LoadScopeScheduling):
    """A file's tests stay in one process, for what its fixtures made; so do all tests on the walk through all jobs."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        return WALK if file.startswith(WALK) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> WholeFilesScheduling:
    return WholeFilesScheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest starts first."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    # On so little data nothing earns back what it takes: parallel collectors, generated code, plans made anew after each
    # shuffle. A session of minutes compiles more of Spark than Java keeps by default, and would compile it again and again.
    # The walk's jobs run with all of them.
    conf = {
        "spark.default.parallelism": "2",
        "spark.driver.extraJavaOptions": "-XX:+UseSerialGC -Xmn600m -XX:ReservedCodeCacheSize=512m -XX:MetaspaceSize=512m",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.sql.adaptive.enabled": "false",
    }
    settings = SparkSettings(master="local[2]", shuffle_partitions=1, driver_memory="2g", conf=conf)
    with spark_session("tests", settings) as session:
        yield session


@pytest.fixture
def store(spark: SparkSession, tmp_path: Path) -> TableStore:
    """An empty lake of the test's own."""
    return TableStore(spark, StorageSettings(root=str(tmp_path / "lake"), reports=str(tmp_path / "reports")))


@pytest.fixture(scope="module", autouse=True)
def _no_tracking_store_left_over() -> Iterator[None]:
    """MLflow works on one store a process and keeps it in the environment as well: the next file's tests set their own."""
    yield
    mlflow.set_tracking_uri(None)
    mlflow.set_registry_uri(None)
    for variable in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        os.environ.pop(variable, None)


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
