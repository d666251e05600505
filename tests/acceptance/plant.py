"""A small plant of a test's own: its settings, its jobs as real processes, its tables as other engines see them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import yaml
from deltalake import DeltaTable

REPOSITORY = Path(__file__).resolve().parents[2]
CONF = REPOSITORY / "conf"
JOBS_AFTER_SIMULATE = ("ingest", "build_features", "train", "predict", "monitor", "report")

# Columns that say when or by which run a row was written; all others must repeat from run to run.
OF_THE_RUN = {
    "_ingested_at", "_quarantined_at", "scored_at", "started_at", "finished_at", "run_id", "model_version", "features_version",
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

    def write_settings(self, values: Mapping[str, object]) -> None:
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
                    "files": {"path": f"{self.landing}/readings/*.csv"},
                    "failures": {"path": f"{self.landing}/events.csv"},
                }
            ],
        }
        self.settings.write_text(yaml.safe_dump({**places, **values}, sort_keys=False), encoding="utf-8")

    @property
    def settings(self) -> Path:
        return self.folder / "settings.yaml"

    def copy(self, folder: Path) -> Plant:
        """The same plant as it is now, elsewhere: the landing files are shared, the tables and the store are its own."""
        shutil.copytree(self.lake, folder / "lake", copy_function=link_data_copy_logs)
        if (self.folder / "mlflow.db").exists():
            shutil.copy(self.folder / "mlflow.db", folder)
        values = yaml.safe_load(self.settings.read_text(encoding="utf-8"))
        copied = replace(self, folder=folder)
        copied.write_settings({key: values[key] for key in values.keys() - {"extends", "storage", "mlflow", "sources"}})
        return copied

    def command(self, job: str, *more: str, master: str = "local[2]", submit: Sequence[str] = ()) -> list[str]:
        return [
            str(Path(sys.executable).with_name("spark-submit")),
            *("--master", master, "--driver-memory", "1g", "--conf", "spark.ui.enabled=false", *submit),
            *(str(REPOSITORY / "jobs" / f"{job}.py"), "--config", str(self.settings), *more),
        ]

    def run(self, job: str, *more: str, expect: int = 0, **how: object) -> subprocess.CompletedProcess[str]:
        """One job by `spark-submit`, from a folder that is not the repository's."""
        done = subprocess.run(
            self.command(job, *more, **how), cwd=self.folder, env=job_environment(), capture_output=True, text=True, check=False
        )  # fmt: skip
        assert done.returncode == expect, f"{job} exited {done.returncode}\n{done.stdout}\n{done.stderr[-4000:]}"
        return done

    def kill(self, job: str, after_progress_lines: int) -> None:
        """Start a job and end it, JVM and Python workers too, the way a lost machine does.

        It ends as soon as it has told so many steps of progress, however fast the machine is.
        """
        process = subprocess.Popen(
            self.command(job), cwd=self.folder, env=job_environment(), start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stderr is not None
        told = 0
        while told < after_progress_lines:
            line = process.stderr.readline()
            assert line, f"{job} had ended before it could be killed"
            told += is_progress(line)
        os.killpg(process.pid, signal.SIGKILL)
        process.stderr.close()
        assert process.wait() == -signal.SIGKILL

    def tables(self) -> list[str]:
        """`layer/name` of every table."""
        return sorted(str(log.parent.relative_to(self.lake)) for log in self.lake.glob("*/*/_delta_log"))

    def version(self, table: str) -> int:
        return DeltaTable(self.lake / table).version()

    def checksums(self, leaving_out: frozenset[str] | set[str] = frozenset()) -> dict[str, tuple[int, int]]:
        """Rows and a sum of row hashes of every table, whatever the order of rows and files."""
        return {table: self._checksum(table, leaving_out) for table in self.tables()}

    def _checksum(self, table: str, leaving_out: frozenset[str] | set[str]) -> tuple[int, int]:
        rows = DeltaTable(self.lake / table).to_pyarrow_table()
        rows = rows.select(sorted(set(rows.column_names) - leaving_out))
        result = duckdb.sql("SELECT count(*), coalesce(sum(hash(rows) % 9007199254740993), 0) FROM rows").fetchone()
        assert result is not None
        return int(result[0]), int(result[1])


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
    """What a shell has in which the environment is active: no more than that."""
    scripts = Path(sys.executable).parent
    kept = {name: os.environ[name] for name in ("HOME", "JAVA_HOME", "LANG", "TMPDIR") if name in os.environ}
    return {
        **kept,
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "SPARK_CONF_DIR": str(CONF),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
