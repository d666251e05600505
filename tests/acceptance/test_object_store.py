"""Lakes in a bucket of a server that speaks S3, by settings alone: real jobs, and several drivers at once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from acceptance.plant import CONF, OF_THE_RUN, REPOSITORY, Plant, at_once, checksum, host_has_address, job_environment
from acceptance.s3_writer import ROUNDS
from deltalake import DeltaTable
from s3_server import BUCKET, FAR_BUCKET, IVY, started_s3

FLEET = {
    "simulation": {"turbines": 2, "days": 8, "dirt": 3.0},
    "features": {"lookback_hours": [24]},
    "spark": {"shuffle_partitions": 2},
}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    if not host_has_address():
        pytest.skip("this host's own name has no address, which Spark looks up when it is given credentials for S3")
    with started_s3() as address:
        yield address


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Plant:
    """The same logs in a local lake."""
    plant = Plant.in_folder(tmp_path_factory.mktemp("local"))
    plant.write_settings(FLEET)
    plant.run_warm("simulate", "ingest", "build_features")
    return plant


def in_bucket(folder: Path, landing: Path, server: str, lake: str, conf: str) -> Plant:
    """A plant whose lake is in a bucket (`bucket/lake`); `conf` is the settings file that makes it so."""
    connection = {
        "spark.hadoop.fs.s3a.endpoint": server, "spark.hadoop.fs.s3a.endpoint.region": "us-east-1",
        "spark.hadoop.fs.s3a.path.style.access": "true", "spark.jars.ivy": str(IVY),
    }  # fmt: skip
    plant = Plant(folder, landing)
    plant.write_settings({
        **FLEET, "extends": [str(CONF / "simulated.yaml"), str(CONF / conf)],
        "storage": {"root": f"s3a://{lake}", "reports": str(folder / "reports")},
        "spark": {**FLEET["spark"], "conf": connection},
    })  # fmt: skip
    return plant


def table(server: str, lake: str, name: str) -> DeltaTable:
    """As another engine reads it."""
    options = {
        "AWS_ENDPOINT_URL": server, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any",
    }  # fmt: skip
    return DeltaTable(f"s3://{lake}/{name}", storage_options=options)


def checksums(server: str, lake: str, names: list[str]) -> dict[str, tuple[int, int]]:
    return {name: checksum(table(server, lake, name), OF_THE_RUN) for name in names}


def test_jobs_leave_the_same_rows_in_a_bucket_as_in_a_folder(server, local, tmp_path):
    plant = in_bucket(tmp_path, local.landing, server, f"{BUCKET}/lake", "s3.yaml")
    printed = plant.run_in_one_process("ingest", "ingest", "build_features")
    assert "ingest: nothing new" in printed
    assert checksums(server, f"{BUCKET}/lake", local.tables()) == local.checksums(OF_THE_RUN)


def test_two_ingests_at_once_lose_and_double_nothing(server, local, tmp_path):
    plant = in_bucket(tmp_path, local.landing, server, f"{FAR_BUCKET}/lake", "s3_many_drivers.yaml")
    ended = at_once(plant, "ingest")
    for code, told in ended:
        assert code in (0, 2), told[-4000:]
        assert code == 0 or "another run is taking in" in told, told[-4000:]
    assert 0 in [code for code, _ in ended], ended
    of_ingest = [name for name in local.tables() if not name.startswith(("gold/", "ops/feature"))]
    expected = local.checksums(OF_THE_RUN)
    assert checksums(server, f"{FAR_BUCKET}/lake", of_ingest) == {name: expected[name] for name in of_ingest}


def test_two_drivers_that_write_the_same_tables_lose_and_double_no_row(server, tmp_path):
    lake, names = f"{FAR_BUCKET}/shared", ["T01", "T02"]
    plant = in_bucket(tmp_path, tmp_path / "landing", server, lake, "s3_many_drivers.yaml")
    told = write_at_once(plant, names)
    assert [(each["appended"], each["merged"]) for each in told] == [(ROUNDS, ROUNDS)] * 2

    hours = table(server, lake, "ops/changed_hours").to_pyarrow_table().to_pylist()
    written = [(row["asset_id"], int(row["run_id"])) for row in hours]
    scores = table(server, lake, "gold/failure_predictions").to_pyarrow_table().to_pylist()
    scored = [(row["asset_id"], row["window_end"].day - 1) for row in scores]
    each_once = [(name, turn) for name in names for turn in range(ROUNDS)]
    planned = sum(each["planned"] for each in told)
    assert (sorted(written), sorted(scored), planned) == (each_once, each_once, ROUNDS)


def write_at_once(plant: Plant, names: list[str]) -> list[dict[str, int]]:
    """What each of several processes that write the plant's lake at once has done."""
    script = REPOSITORY / "tests" / "acceptance" / "s3_writer.py"
    environment = {**job_environment(), "PYTHONPATH": str(REPOSITORY / "tests")}
    writers = [
        subprocess.Popen(
            [sys.executable, script, plant.settings, name, str(len(names))], cwd=plant.folder, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for name in names
    ]  # fmt: skip
    ended = [(writer, *writer.communicate()) for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * len(names), [errors[-4000:] for _, _, errors in ended]
    return [json.loads(output.splitlines()[-1]) for _, output, _ in ended]
