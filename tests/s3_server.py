"""A server that speaks S3 (moto's), for the tests that keep a lake in a bucket. It forgets all when it ends.

Usage:  python tests/s3_server.py PORT
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError

from maven_jars import SHARE, fetch_jars

from turbine_health.io.session import DELTA_EXCLUDES
from turbine_health.io.tracking_ui import free_port
from turbine_health.settings_files import read_with_parents

BUCKET = "plant"
CONF = Path(__file__).resolve().parents[1] / "conf" / "s3.yaml"
# A cache of jars of its own: another test may be filling the common one.
IVY = SHARE / "s3-connector"
SECONDS_TO_START = 60
# In a bucket far away, what says whose write came first is so long on its way that two writers do meet.
FAR_BUCKET = "far"
DECIDES = re.compile(rf"/{FAR_BUCKET}/.*(/_delta_log/\d+\.json|/_checkpoints/.*(\d|/metadata))$")
SECONDS_ON_ITS_WAY = 1.0


@contextmanager
def started_s3() -> Iterator[str]:
    """The address of a server of the test's own on this machine, with two empty buckets."""
    fetch_jars(read_with_parents(CONF)["spark"]["packages"], IVY, DELTA_EXCLUDES)
    port = free_port("127.0.0.1", 45_000)
    server = subprocess.Popen([sys.executable, __file__, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for bucket in (BUCKET, FAR_BUCKET):
            make_bucket(f"http://127.0.0.1:{port}/{bucket}", server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


def make_bucket(address: str, server: subprocess.Popen[bytes]) -> None:
    """As soon as the server answers."""
    deadline = time.monotonic() + SECONDS_TO_START
    while True:
        try:
            urllib.request.urlopen(urllib.request.Request(address, method="PUT")).close()
            return
        except URLError:
            assert server.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.2)


class OneAtATime:
    """An application that answers one request after the other.

    Moto looks whether an object is there and then keeps the new one; S3 itself does both in one step.
    """

    def __init__(self, application: Any) -> None:
        self._application = application
        self._turn = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "PUT" and DECIDES.search(environ["PATH_INFO"]):
            time.sleep(SECONDS_ON_ITS_WAY)
        with self._turn:
            return [b"".join(self._application(environ, start_response))]


def serve(port: int) -> None:
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import run_simple

    application = OneAtATime(DomainDispatcherApplication(create_backend_app))
    run_simple("127.0.0.1", port, application, threaded=True)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
