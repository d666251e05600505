"""Two of the same job at once, as real processes: nothing is lost, nothing is there twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from acceptance.plant import OF_THE_RUN, Plant, at_once

FLEET = {
    "simulation": {"turbines": 3, "days": 20, "dirt": 3.0},
    "ingest": {"max_batch_mb": 1},
    "spark": {"shuffle_partitions": 2},
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Plant:
    plant = Plant.in_folder(tmp_path_factory.mktemp("alone"))
    plant.write_settings(FLEET, known_turbines=["T01", "T02", "T03"])
    plant.run_warm("simulate", "ingest")
    return plant


def test_two_ingests_lose_and_double_nothing(undisturbed: Plant, tmp_path: Path):
    plant = undisturbed.with_same_landing(tmp_path)
    ended = at_once(plant, "ingest")
    for code, told in ended:
        assert code in (0, 2), told[-4000:]
        assert code == 0 or "another run is taking in" in told, told[-4000:]
    assert 0 in [code for code, _ in ended], ended
    assert plant.checksums(OF_THE_RUN) == undisturbed.checksums(OF_THE_RUN)
