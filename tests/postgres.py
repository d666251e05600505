"""A real PostgreSQL, for the tests that keep MLflow's store in one."""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from turbine_health.io.tracking_ui import free_port


def postgres_programs() -> Path | None:
    """Where initdb and pg_ctl are: on the path, or where Debian puts them."""
    on_path = shutil.which("initdb")
    found = [Path(on_path).resolve().parent] if on_path else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return found[-1] if found else None


@contextmanager
def started_postgresql() -> Iterator[str]:
    """The address of an empty database of the test's own, on a free port of this machine."""
    programs = postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL's server programs are not installed")
    # PostgreSQL refuses to run as root, so root's test lends it another user and a folder outside root's own.
    user = "nobody" if os.geteuid() == 0 else getpass.getuser()
    folder = Path(tempfile.mkdtemp(prefix="turbine-postgres-"))
    os.chown(folder, pwd.getpwnam(user).pw_uid, -1)

    def run(program: str, *arguments: str) -> None:
        command = [str(programs / program), *arguments]
        subprocess.run(command, user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    port = free_port("127.0.0.1", 54_320)
    run("initdb", "-D", str(folder / "data"), "-U", "planner", "--auth=trust", "--no-sync")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    run("pg_ctl", "-D", str(folder / "data"), "-w", "-o", options, "-l", str(folder / "log"), "start")
    # Another name each time: MLflow remembers, by address, which databases have its tables, and ports are used again.
    database = folder.name.replace("-", "_")
    run("createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "planner", database)
    try:
        yield f"postgresql://planner:s3cret@127.0.0.1:{port}/{database}"
    finally:
        run("pg_ctl", "-D", str(folder / "data"), "-m", "immediate", "stop")
        shutil.rmtree(folder)
