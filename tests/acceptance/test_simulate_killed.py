"""The simulator, killed half way and run again, leaves the very files of a run that nobody disturbed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from acceptance.plant import Plant, job_environment

FLEET = {"simulation": {"turbines": 10, "days": 365}}


def a_plant(folder: Path) -> Plant:
    folder.mkdir()
    plant = Plant.in_folder(folder)
    plant.write_settings(FLEET)
    return plant


def simulate(plant: Plant) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        plant.by_python("simulate"), env=job_environment(), start_new_session=True, stderr=subprocess.DEVNULL
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def kill_when_half_is_written(process: subprocess.Popen[bytes], plant: Plant) -> None:
    draft = plant.landing.with_name(f".{plant.landing.name}.draft")
    while len(list(draft.glob("readings/*.csv"))) < 60:
        assert process.poll() is None, "the simulator was done before half of its files were seen"
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_killed_half_way_it_leaves_nothing_and_the_next_run_leaves_all(tmp_path):
    undisturbed, killed = a_plant(tmp_path / "undisturbed"), a_plant(tmp_path / "killed")
    assert simulate(undisturbed).wait() == 0
    kill_when_half_is_written(simulate(killed), killed)
    assert not killed.landing.exists()
    assert simulate(killed).wait() == 0
    assert contents(killed.landing) == contents(undisturbed.landing)
    assert sorted(path.name for path in killed.folder.iterdir()) == ["landing", "settings.yaml"]


def test_killed_over_the_files_of_an_earlier_run_it_leaves_those(tmp_path):
    plant = a_plant(tmp_path / "plant")
    assert simulate(plant).wait() == 0
    before = contents(plant.landing)
    kill_when_half_is_written(simulate(plant), plant)
    assert contents(plant.landing) == before
