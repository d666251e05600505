"""Logs from a topic of a real Kafka broker, by the job itself."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import closing

import pytest
from acceptance.plant import CONF, Plant, job_environment
from deltalake import DeltaTable
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic
from kafka_broker import JARS, started_broker

TOPIC = "readings"
SOURCE = {
    "name": "plant",
    "asset_id": {"column": "turbine"},
    "time": {"timestamp": {"column": "time", "time_zone": "UTC"}},
    "sampling_minutes": 10,
    "signals": [{"name": "bearing_temp_c", "column": "temp", "unit": "deg C", "valid_range": [0, 100]}],
}


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    with started_broker() as address:
        with closing(KafkaAdminClient(bootstrap_servers=address)) as client:
            client.create_topics([NewTopic(TOPIC, 2, 1)])
        yield address


def a_plant(folder, address: str, topic: str = TOPIC) -> Plant:
    plant = Plant.in_folder(folder)
    files = {"format": "kafka", "path": address, "topic": topic}
    # Its own cache of jars: another test may be filling the common one.
    spark = {"conf": {"spark.jars.ivy": str(JARS.with_name("kafka-connector"))}}
    plant.write_settings({"extends": str(CONF / "kafka.yaml"), "sources": [{**SOURCE, "files": files}], "spark": spark})
    return plant


def send(address: str, *messages: tuple[int, bytes | None]) -> None:
    """(partition, value) each; None is a message without a value."""
    with closing(KafkaProducer(bootstrap_servers=address)) as producer:
        for partition, value in messages:
            producer.send(TOPIC, value=value, partition=partition, key=b"k")


def reading(minute: int, temp: object, turbine: str = "T07") -> bytes:
    return json.dumps({"turbine": turbine, "time": f"2024-01-01 00:{minute:02}:00", "temp": temp}).encode()


def test_each_message_is_taken_once_and_what_cannot_be_used_is_in_quarantine(broker, tmp_path):
    plant = a_plant(tmp_path, broker)
    send(broker, (0, reading(0, 60)), (0, reading(10, 61)), (1, reading(0, 50, "T08")))
    assert "3 rows of 2 files: 3 in silver" in plant.run_in_one_process("ingest")
    send(broker, (0, reading(10, 62)), (1, b"no object"), (1, None), (1, b"\xff\xfe"), (1, reading(20, 900, "T08")))
    printed = plant.run_in_one_process("ingest", "ingest")
    assert "5 rows of 2 files: 2 in silver, 3 in quarantine, 1 superseded" in printed
    assert "ingest: nothing new" in printed

    rows = DeltaTable(plant.lake / "silver/sensor_readings").to_pyarrow_table().to_pylist()
    told = sorted((row["asset_id"], row["event_time"].minute, row["bearing_temp_c"], row["_source_file"]) for row in rows)
    assert told == [
        ("T07", 0, 60, "kafka:/readings/0"), ("T07", 10, 62, "kafka:/readings/0"),
        ("T08", 0, 50, "kafka:/readings/1"), ("T08", 20, None, "kafka:/readings/1"),
    ]  # fmt: skip
    set_aside = DeltaTable(plant.lake / "quarantine/sensor_readings").to_pyarrow_table(columns=["reasons"]).to_pylist()
    codes = [[reason.partition(":")[0] for reason in row["reasons"]] for row in set_aside]
    assert sorted(map(tuple, codes)) == [
        ("broken_encoding", "unreadable_row", "missing_asset", "unreadable_time"), ("superseded",),
        ("unreadable_row", "missing_asset", "unreadable_time"), ("unreadable_row", "missing_asset", "unreadable_time"),
    ]  # fmt: skip
    assert DeltaTable(plant.lake / "bronze/plant").to_pyarrow_table().num_rows == 8


@pytest.mark.parametrize(("address", "topic", "complaint"), [
    (None, "no_such_topic", "there is no topic no_such_topic"),
    ("127.0.0.1:9", TOPIC, "no Kafka broker answers"),
])  # fmt: skip
def test_a_broker_or_topic_that_is_not_there_is_refused(broker, tmp_path, address, topic, complaint):
    plant = a_plant(tmp_path, address or broker, topic)
    done = subprocess.run(
        plant.by_python("ingest"), cwd=plant.folder, env=job_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, complaint in done.stdout + done.stderr) == (2, True), done.stdout[-3000:] + done.stderr[-3000:]
