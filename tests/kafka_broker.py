"""A real Kafka broker, for the tests that take logs from a topic."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyspark
from kafka import KafkaAdminClient
from kafka.errors import KafkaError
from maven_jars import SHARE, fetch_jars

from turbine_health.io.tracking_ui import free_port

BROKER = "org.apache.kafka:kafka_2.13:4.1.0"
JARS = SHARE / BROKER.replace(":", "-")
# Sixteen bytes in base64; one that begins with a dash would be read as an option.
CLUSTER = "dHVyYmluZS1oZWFsdGgtMQ"
SECONDS_TO_START = 60


@contextmanager
def started_broker() -> Iterator[str]:
    """The address of a broker of the test's own, on a free port of this machine."""
    # The broker runs outside Spark and needs all of them.
    fetch_jars([BROKER], JARS)
    with tempfile.TemporaryDirectory(prefix="turbine-kafka-") as folder:
        port = free_port("127.0.0.1", 29_092)
        controller = free_port("127.0.0.1", port + 1)
        settings = Path(folder) / "server.properties"
        settings.write_text(
            "process.roles=broker,controller\nnode.id=1\ncontroller.listener.names=CONTROLLER\n"
            f"controller.quorum.voters=1@127.0.0.1:{controller}\noffsets.topic.replication.factor=1\n"
            f"listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\nlog.dirs={folder}/log\n"
        )
        # Spark's resolver takes it for given that Scala is there.
        (scala,) = (Path(pyspark.__file__).parent / "jars").glob("scala-library-*.jar")
        java = ["java", "-Xmx256m", "-cp", f"{JARS}/jars/*:{scala}"]
        format_log = [*java, "kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", settings]
        subprocess.run(format_log, check=True, capture_output=True)
        server = subprocess.Popen([*java, "kafka.Kafka", settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(f"127.0.0.1:{port}", server)
            yield f"127.0.0.1:{port}"
        finally:
            server.kill()
            server.wait()


def wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    """Until the broker answers."""
    deadline = time.monotonic() + SECONDS_TO_START
    while True:
        try:
            KafkaAdminClient(bootstrap_servers=address).close()
            return
        except KafkaError:
            assert server.poll() is None, "the broker ended"
            assert time.monotonic() < deadline, "the broker does not answer"
            time.sleep(0.5)
