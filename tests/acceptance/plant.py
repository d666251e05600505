"""A small plant of a test's own: its settings, its jobs as real processes, its tables as other engines see them."""

from __future__ import annotations

import atexit
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import yaml
from acceptance.hostile import SECRET_ENVIRONMENT
from acceptance.warm_process import END
from deltalake import DeltaTable
from mlflow import MlflowClient

from turbine_health.settings import load_settings
from turbine_health.simulation.history import asset_name

REPOSITORY = Path(__file__).resolve().parents[2]
CONF = REPOSITORY / "conf"
PROMOTE = REPOSITORY / "tests" / "acceptance" / "promote.py"

# Columns that say when or by which run a row was written; all others must repeat from run to run.
OF_THE_RUN = {
    "_ingested_at", "_quarantined_at", "scored_at", "finished_at", "run_id", "_run_id", "seconds", "versions",
    "model_version", "classifier_version", "features_version", "started_at",
}  # fmt: skip


@dataclass(frozen=True)
class Plant:
    """A folder with landing files, a lake, an MLflow store and the settings that name them."""

    folder: Path
    landing: Path

    @classmethod
    def in_folder(cls, folder: Path) -> Plant:
        return cls(folder, folder / "landing")

    @property
    def lake(self) -> Path:
        return self.folder / "lake"

    def write_settings(self, values: Mapping[str, Any], known_turbines: Sequence[str] = ()) -> None:
        """`conf/simulated.yaml` with every place moved into this plant's folder, and `values` laid over it."""
        places = {
            "extends": str(CONF / "simulated.yaml"),
            "storage": {"root": str(self.lake), "reports": str(self.folder / "reports")},
            "mlflow": {
                "tracking_uri": f"sqlite:///{self.folder}/mlflow.db",
                "artifact_location": str(self.folder / "mlartifacts"),
            },
            "sources": [
                {
                    "extends": str(CONF / "sources" / "simulated.yaml"),
                    **({"asset_id": {"known": list(known_turbines)}} if known_turbines else {}),
                    "files": {"path": f"{self.landing}/readings/*.csv"},
                    "failures": {"path": f"{self.landing}/events.csv"},
                }
            ],
        }
        values = {**values, "simulation": {**values.get("simulation", {}), "output": str(self.landing)}}
        self.settings.write_text(yaml.safe_dump({**places, **values}, sort_keys=False), encoding="utf-8")

    @property
    def settings(self) -> Path:
        return self.folder / "settings.yaml"

    def with_same_landing(self, folder: Path) -> Plant:
        """A plant with the same logs and settings, and no tables or models yet."""
        other = replace(self, folder=folder)
        text = self.settings.read_text(encoding="utf-8")
        elsewhere = text.replace(f"{self.folder}/", f"{folder}/").replace(f"{folder}/landing", str(self.landing))
        other.settings.write_text(elsewhere, encoding="utf-8")
        return other

    def copy(self, folder: Path) -> Plant:
        """The plant as it is now, elsewhere: the logs are shared, the tables and the MLflow store are its own."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.lake.exists():
            shutil.copytree(self.lake, folder / "lake", copy_function=link_data_copy_logs)
        if (self.folder / "mlflow.db").exists():
            shutil.copy(self.folder / "mlflow.db", folder)
        return self.with_same_landing(folder)

    def command(self, job: str, *more: str, master: str = "local[2]", submit: Sequence[str] = ()) -> list[str]:
        return [
            str(Path(sys.executable).with_name("spark-submit")),
            *("--master", master, "--driver-memory", "1g", "--conf", "spark.ui.enabled=false", *submit),
            *(str(REPOSITORY / "jobs" / f"{job}.py"), "--config", str(self.settings), *more),
        ]

    def by_python(self, job: str, *more: str) -> list[str]:
        """A job without `spark-submit`, which asks a repository for jars when its cache is cold, and two at once break it."""
        return [sys.executable, str(REPOSITORY / "jobs" / f"{job}.py"), "--config", str(self.settings), *more]

    def run(self, job: str, *more: str, expect: int = 0, **how: Any) -> subprocess.CompletedProcess[str]:
        """One job by `spark-submit`, from a folder that is not the repository's."""
        done = subprocess.run(
            self.command(job, *more, **how), cwd=self.folder, env=job_environment(), capture_output=True, text=True, check=False
        )  # fmt: skip
        assert done.returncode == expect, f"{job} exited {done.returncode}\n{done.stdout}\n{done.stderr[-4000:]}"
        return done

    def run_by_python(self, job: str, *more: str) -> None:
        """One job as a process of its own, the way a schedule calls it on one machine."""
        done = subprocess.run(self.by_python(job, *more), env=job_environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{job} exited {done.returncode}\n{done.stderr[-4000:]}"

    def run_in_one_process(self, *jobs: str) -> str:
        """Jobs one after the other by `python`, in one JVM of their own; returns what they printed, in order.

        `promote` among them makes the newest models champions.
        """
        environment = {**job_environment(), "PYTHONPATH": str(REPOSITORY / "tests")}
        done = subprocess.run(
            [sys.executable, REPOSITORY / "bin" / "walk.py", self.settings, *scripts_of(jobs)],
            cwd=self.folder, env=environment, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-4000:]
        return done.stdout

    def run_warm(self, *jobs: str) -> str:
        """The same in the process that all plants of a test run share, whose JVM has run jobs before.

        Not for settings with jars of their own, nor for tables that were put in the place of others that it has read.
        """
        return warm_process().run(self, scripts_of(jobs))

    def kill(self, job: str, after_progress_lines: int) -> None:
        """Start a job and end it, JVM and Python workers too, the way a lost machine does."""
        process = self._started(job)
        wait_for_progress(process, after_progress_lines)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL

    def interrupt(self, job: str, after_progress_lines: int, by: Callable[[], None], **how: Any) -> None:
        """Run a job to its end while something happens on its way."""
        process = self._started(job, **how)
        wait_for_progress(process, after_progress_lines)
        by()
        told, _ = process.communicate()
        assert process.returncode == 0, told[-4000:]

    def _started(self, job: str, **how: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(job, **how), cwd=self.folder, env=job_environment(), start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def tables(self) -> list[str]:
        """`layer/name` of every table."""
        return sorted(str(log.parent.relative_to(self.lake)) for log in self.lake.glob("*/*/_delta_log"))

    def versions(self) -> dict[str, int]:
        return {table: DeltaTable(self.lake / table).version() for table in self.tables()}

    def checksums(self, leaving_out: frozenset[str] | set[str] = frozenset()) -> dict[str, tuple[int, int]]:
        """Rows and a sum of row hashes of every table, whatever the order of rows and files."""
        return {table: checksum(DeltaTable(self.lake / table), leaving_out) for table in self.tables()}


def checksum(table: DeltaTable, leaving_out: frozenset[str] | set[str] = frozenset()) -> tuple[int, int]:
    """Rows of a table and a sum of their hashes, whatever the order of rows and files."""
    rows = table.to_pyarrow_table()
    rows = rows.select(sorted(set(rows.column_names) - leaving_out))
    ((count, total),) = duckdb.sql("SELECT count(*), coalesce(sum(hash(rows) % 9007199254740993), 0) FROM rows").fetchall()
    return int(count), int(total)


def simulated_names(turbines: int) -> list[str]:
    """Of a built-in fleet of so many turbines."""
    return [asset_name(turbine) for turbine in range(1, turbines + 1)]


def scripts_of(jobs: Sequence[str]) -> list[str]:
    """As bin/walk.py takes them."""
    return [str(PROMOTE) if job == "promote" else job for job in jobs]


class WarmProcess:
    """A process that keeps its JVM between jobs; ends with this one."""

    def __init__(self) -> None:
        # It lives for minutes: there the optimising compiler pays.
        java = "-XX:+UseSerialGC -XX:ReservedCodeCacheSize=512m -XX:MetaspaceSize=256m"
        environment = {**job_environment(), "PYTHONPATH": str(REPOSITORY / "tests"), "JDK_JAVA_OPTIONS": java}
        # A folder that no test removes: the JVM and Spark's Python workers stay in it.
        self._folder = TemporaryDirectory()
        self._process = subprocess.Popen(
            [sys.executable, REPOSITORY / "tests" / "acceptance" / "warm_process.py"],
            cwd=self._folder.name, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        atexit.register(self._process.kill)

    def run(self, plant: Plant, jobs: Sequence[str]) -> str:
        """What the jobs printed; fails where one of them does."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([str(plant.settings), *jobs]) + "\n")
        self._process.stdin.flush()
        printed: list[str] = []
        for line in self._process.stdout:
            if line.startswith(END):
                assert int(line.removeprefix(END)) == 0, "".join(printed)[-4000:]
                return "".join(printed)
            printed.append(line)
        raise AssertionError(f"the process ended\n{''.join(printed)[-4000:]}")


@cache
def warm_process() -> WarmProcess:
    """The one of this test run, started when it is first needed."""
    return WarmProcess()


def at_once(plant: Plant, job: str, runs: int = 2) -> list[tuple[int, str]]:
    """Exit code and output of each of several runs that are started together."""
    started = [
        subprocess.Popen(
            plant.by_python(job), cwd=plant.folder, env=job_environment(), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for _ in range(runs)
    ]  # fmt: skip
    return [(process.returncode, told) for process in started for told in [process.communicate()[0]]]


def promote(settings: Path | str) -> None:
    """Make the newest versions champions: so small a fleet proves too little for the gate to do it."""
    client = MlflowClient(tracking_uri=load_settings(settings).mlflow.tracking_uri)
    for model in client.search_registered_models():
        client.set_registered_model_alias(model.name, "champion", model.latest_versions[0].version)


def wait_for_progress(process: subprocess.Popen[str], lines: int) -> None:
    """Until the job has told so many steps, however fast the machine is.

    `spark-submit` sends what Python says on standard error to standard output.
    """
    assert process.stdout is not None
    told = 0
    while told < lines:
        line = process.stdout.readline()
        assert line, f"{process.args} ended after {told} steps"
        told += is_progress(line)


def is_progress(line: str) -> bool:
    """Whether a line of a job's standard error is the job's own, as in `08:15:02 reading 84 files`."""
    return re.match(r"\d\d:\d\d:\d\d [a-z]", line) is not None


def link_data_copy_logs(source: str, target: str) -> None:
    """Data files never change once written; Delta's logs have a pointer that is written in place."""
    if source.endswith(".parquet") and "_delta_log" not in source:
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def job_environment() -> dict[str, str]:
    """What a shell has in which the environment is active, and credentials; no more than that."""
    scripts = Path(sys.executable).parent
    kept = {name: os.environ[name] for name in ("HOME", "JAVA_HOME", "LANG", "TMPDIR") if name in os.environ}
    return {
        **kept,
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "SPARK_CONF_DIR": str(CONF),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYTHONUNBUFFERED": "1",
        # On so little data neither the optimising compiler nor parallel collectors earn back what they take. Without that
        # compiler Java keeps 48 MB of compiled code, less than Spark has, and compiles again what it dropped.
        "JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:ReservedCodeCacheSize=256m -XX:MetaspaceSize=256m",
        # Who is who in a bucket; the other half of the pair is a secret. Spark looks up this host when it finds the whole pair.
        **({"AWS_ACCESS_KEY_ID": "turbine-health-tests"} if host_has_address() else {}),
        **SECRET_ENVIRONMENT,
    }


@cache
def host_has_address() -> bool:
    """Whether this host's own name can be looked up, which a bare root's cannot."""
    try:
        socket.gethostbyname(socket.gethostname())
    except OSError:
        return False
    return True
