"""One small fleet for all acceptance tests, with names and secrets that must do no harm, walked once."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from acceptance.hostile import HOSTILE_NAMES, SECRET, rename_turbines
from acceptance.plant import Plant, is_progress

JOBS = ("ingest", "build_features", "train", "predict", "monitor", "report")
FOREST = {"trees": 10, "depth": 5}
FLEET = {
    "simulation": {"turbines": len(HOSTILE_NAMES), "days": 150, "seed": 11},
    "features": {"every_hours": 12, "lookback_hours": [24, 168], "statistics": ["mean", "std", "max"]},
    "model": {"classifier": FOREST, "regressor": FOREST},
    "split": {"folds": 2},
    "evaluation": {"resamplings": 20, "random_reference": False},
    "spark": {"shuffle_partitions": 2, "conf": {"spark.hadoop.fs.s3a.secret.key": SECRET}},
}


@dataclass(frozen=True)
class Walk:
    """A plant after the walk through all jobs, and all that they printed."""

    plant: Plant
    printed: str

    def half_of(self, job: str) -> int:
        """Half the steps that the job told, which stand between the last line of the job before and its own."""
        before = re.split(rf"^{job}: ", self.printed, flags=re.MULTILINE)[0]
        own = re.split(r"^[a-z_]+: .*$", before, flags=re.MULTILINE)[-1]
        return max(1, sum(map(is_progress, own.splitlines())) // 2)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory) -> Walk:
    """All jobs in one process, by `python`."""
    plant = Plant.in_folder(tmp_path_factory.mktemp("undisturbed"))
    plant.write_settings(FLEET, known_turbines=list(HOSTILE_NAMES.values()))
    printed = plant.run_warm("simulate")
    rename_turbines(plant.landing)
    return Walk(plant, printed + plant.run_warm(*JOBS[:3], "promote", *JOBS[3:]))
