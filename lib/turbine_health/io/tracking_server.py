"""Whether an MLflow store answers, said within seconds instead of minutes.

MLflow itself tries an unreachable HTTP server for four minutes and an unreachable database for
two; a job that is going to fail should say so before it has trained a forest.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from turbine_health.errors import TrackingError
from turbine_health.redaction import masked

_SQL_SCHEMES = ("sqlite", "postgresql", "mysql", "mssql")


def is_sql(uri: str) -> bool:
    """Whether the store is a database that we reach ourselves, without a server in between."""
    return uri.split("://")[0].split("+")[0] in _SQL_SCHEMES


def is_http(uri: str) -> bool:
    """Whether the store is a tracking server."""
    return uri.startswith(("http://", "https://"))


def with_installed_driver(uri: str) -> str:
    """The address with the PostgreSQL driver named that is installed, where it names none.

    SQLAlchemy takes `postgresql://` for psycopg 3 from version 2.1 on, for psycopg2 before.
    """
    scheme, separator, rest = uri.partition("://")
    if scheme not in ("postgresql", "postgres") or not separator:
        return uri
    driver = next((name for name in ("psycopg", "psycopg2") if find_spec(name)), "psycopg2")
    return f"postgresql+{driver}://{rest}"


def check_database(uri: str, timeout_seconds: int) -> None:
    """Connect once to the database of `uri`; an SQLite file's folder is made.

    Raises:
        TrackingError: Not reachable, refused, or its driver is not installed.
    """
    try:
        url = make_url(uri)
        if url.get_backend_name() == "sqlite":
            _make_folder(url.database)
            return
        engine = create_engine(url, connect_args={"connect_timeout": timeout_seconds})
        with engine.connect():
            pass
        engine.dispose()
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise TrackingError(
            f"the database driver is not installed ({error})",
            where=masked(uri),
            hint="pip install 'turbine-health[postgres]' (PostgreSQL) or pymysql (MySQL) into this environment",
        ) from None
    except (ArgumentError, SQLAlchemyError, OSError) as error:
        raise unreachable(uri, error) from None


def unreachable(uri: str, error: Exception) -> TrackingError:
    """The error for a store that does not answer: its address and the first line of why."""
    why = masked(str(error).strip().splitlines()[0]) if str(error).strip() else type(error).__name__
    return TrackingError(
        f"the MLflow store does not answer: {why}",
        where=masked(uri),
        hint="start it, or set mlflow.tracking_uri (sqlite:///data/mlflow.db needs no server)",
    )


@contextmanager
def short_patience(timeout_seconds: int) -> Iterator[None]:
    """One attempt of at most so many seconds for MLflow's HTTP calls, its own long patience afterwards."""
    wanted = {"MLFLOW_HTTP_REQUEST_TIMEOUT": str(timeout_seconds), "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _make_folder(database: str | None) -> None:
    if database and database != ":memory:":
        Path(database).resolve().parent.mkdir(parents=True, exist_ok=True)
