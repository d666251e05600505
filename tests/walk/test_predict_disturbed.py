"""Scoring that is not alone: two at once, and a champion that changes while windows are being scored."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest
from acceptance.plant import OF_THE_RUN, Plant, at_once, promote
from deltalake import DeltaTable
from mlflow import MlflowClient

# The first test waits for the walk through all jobs.
pytestmark = pytest.mark.timeout(1_800)

PREDICTIONS = ("gold/failure_predictions", "gold/time_to_failure_predictions")


@pytest.fixture
def unscored(undisturbed, tmp_path: Path) -> Plant:
    """A plant with champions and no predictions."""
    plant = undisturbed.plant.copy(tmp_path)
    for table in PREDICTIONS:
        shutil.rmtree(plant.lake / table)
    return plant


def versions_by_window(plant: Plant, table: str) -> Counter[tuple[object, ...]]:
    """How often each window was scored by each version."""
    rows = DeltaTable(plant.lake / table).to_pyarrow_table(columns=["asset_id", "window_end", "model_version"]).to_pylist()
    return Counter(tuple(row.values()) for row in rows)


def test_two_at_once_write_each_prediction_once(undisturbed, unscored: Plant):
    for code, told in at_once(unscored, "predict"):
        assert code == 0, told[-4000:]
    expected, actual = (plant.checksums(OF_THE_RUN) for plant in (undisturbed.plant, unscored))
    assert {table: actual[table] for table in PREDICTIONS} == {table: expected[table] for table in PREDICTIONS}


def test_a_champion_that_changes_on_the_way_scores_from_the_next_run_on(unscored: Plant):
    client = MlflowClient(f"sqlite:///{unscored.folder}/mlflow.db")

    def change_champions() -> None:
        for model in client.search_registered_models():
            (champion,) = model.latest_versions
            client.create_model_version(model.name, source=champion.source, run_id=champion.run_id)
        promote(unscored.settings)

    unscored.interrupt("predict", after_progress_lines=1, by=change_champions)
    first = {table: versions_by_window(unscored, table) for table in PREDICTIONS}
    unscored.run_warm("predict")
    for table, by_version in first.items():
        again = Counter({(asset_id, end, "2"): 1 for asset_id, end, _ in by_version})
        assert by_version == {(asset_id, end, "1"): 1 for asset_id, end, _ in by_version}
        assert versions_by_window(unscored, table) == by_version + again
