"""MLflow's own web pages, served from this machine."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from turbine_health.errors import TrackingError
from turbine_health.io.tracking_server import check_database, is_http, is_sql, with_installed_driver
from turbine_health.redaction import masked
from turbine_health.settings import MlflowSettings

logger = logging.getLogger("turbine_health")

PORTS_TO_TRY = 50
SECONDS_TO_START = 90


def serve_ui(settings: MlflowSettings, host: str, port: int) -> str:
    """Serve the pages until Ctrl-C or SIGTERM, on `port` or the next free one.

    Args:
        settings: Whose store to show. For a tracking server there is nothing to serve: it has pages of its own.
        host: Address to listen on; only this machine can reach `127.0.0.1`.
        port: First port to try.

    Returns:
        What was done, as a sentence.

    Raises:
        TrackingError: The store does not answer, or no port is free.
    """
    store = with_installed_driver(settings.tracking_uri)
    if is_http(store):
        return f"{masked(store)} is a tracking server: open it in a browser"
    if is_sql(store):
        check_database(store, settings.connect_timeout_seconds)
    found = free_port(host, port)
    address = f"http://{host}:{found}"
    with _server(store, host, found) as server:
        _wait_until_it_answers(server, address)
        why = f" (port {port} is taken)" if found != port else ""
        logger.info("MLflow is at %s%s; Ctrl-C stops it", address, why)
        server.wait()
    return f"stopped serving {address}"


def free_port(host: str, first: int) -> int:
    """The first port from `first` on that nobody listens on.

    Raises:
        TrackingError: None of `PORTS_TO_TRY` is free, or the host is not an address of this machine.
    """
    problem = OSError("no port tried")
    for port in range(first, min(first + PORTS_TO_TRY, 65_536)):
        try:
            with socket.create_server((host, port)):
                return port
        except OSError as error:
            problem = error
    raise TrackingError(
        f"cannot listen on any port from {first} on ({problem.strerror or problem})",
        where=host,
        hint="give another --port or --host",
    )


@contextmanager
def _server(tracking_uri: str, host: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The server with all its workers; none is left when this one is interrupted or terminated."""
    command = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", str(port), "--workers", "1"]
    quiet = ["--uvicorn-opts", "--log-level warning"]
    # The address is handed over in the environment: on a command line every user could read its password.
    environment = {
        **os.environ,
        "MLFLOW_BACKEND_STORE_URI": tracking_uri,
        "MLFLOW_REGISTRY_STORE_URI": tracking_uri,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "PYTHONWARNINGS": "ignore",
    }
    server = subprocess.Popen([*command, *quiet], env=environment, start_new_session=True)
    terminate_before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        yield server
    except KeyboardInterrupt:
        logger.info("stopping")
    finally:
        signal.signal(signal.SIGTERM, terminate_before)
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def _wait_until_it_answers(server: subprocess.Popen[bytes], address: str) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while server.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    raise TrackingError("MLflow's server did not start", where=address, hint="its own words are above")
