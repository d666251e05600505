"""Jars from Maven's repository by Spark's own resolver, for tests; without them the tests skip."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

SHARE = Path(sys.prefix) / "share" / "turbine-health"


def fetch_jars(packages: Sequence[str], cache: Path, excludes: str = "") -> None:
    """Fill a cache (`spark.jars.ivy`) with packages and all they need, once; skips where they are not to be had."""
    done_before = cache / "fetched"
    names = " ".join(packages)
    if done_before.is_file() and done_before.read_text() == names:
        return
    with tempfile.TemporaryDirectory() as folder:
        nothing = Path(folder) / "nothing.py"
        nothing.write_text("pass\n")
        command = [
            Path(sys.executable).with_name("spark-submit"), "--master", "local[1]", "--packages", ",".join(packages),
            "--conf", f"spark.jars.ivy={cache}", *(["--exclude-packages", excludes] if excludes else []), nothing,
        ]  # fmt: skip
        # Without the project's own list of what to leave out; spark-submit finds Spark by the first python3 on PATH.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "SPARK_CONF_DIR": folder}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        pytest.skip(f"the jars of {names} cannot be had: {done.stderr.strip().splitlines()[-1]}")
    done_before.write_text(names)
