"""Forests chosen on later weeks of turbines that they have not seen."""

import json
from pathlib import Path

import pytest
from degrading_fleet import examples_table, fleet_examples, fleet_settings
from pyspark.sql import functions as F

from turbine_health.errors import DataError
from turbine_health.io.delta import TableStore
from turbine_health.io.tracking import Tracker
from turbine_health.models.forests import stages_of
from turbine_health.pipelines.failure_head import rows_with_label
from turbine_health.pipelines.time_head import rows_with_days
from turbine_health.pipelines.train import train
from turbine_health.pipelines.training_set import load_training_set
from turbine_health.pipelines.tuning import blocks_to_judge, judged_later, tuned
from turbine_health.settings import StorageSettings

# A tree whose leaves must hold more rows than there are is one leaf, and says the same of all windows.
GROWN, ONE_LEAF = {"trees": 4, "depth": 4, "min_rows_per_leaf": 2}, {"min_rows_per_leaf": 10_000}
MODEL = {
    "classifier": {**GROWN, **ONE_LEAF},
    "regressor": GROWN,
    "interval_bands": 2,
    "tuning": {"classifier": [{"min_rows_per_leaf": 3}], "regressor": [{"depth": 4}, ONE_LEAF], "time_blocks": 2},
}


class Plant:
    """Eight turbines over 200 days, trained with candidates for both heads."""

    def __init__(self, spark, folder: Path):
        self.settings = fleet_settings(
            mlflow={"tracking_uri": f"sqlite:///{folder}/mlflow.db", "artifact_location": f"{folder}/artifacts"},
            model=MODEL,
            split={"folds": 2},
            evaluation={"resamplings": 20, "random_reference": False},
        )
        self.store = TableStore(spark, StorageSettings(root=f"{folder}/lake"))
        self.store.append(fleet_examples(spark, self.settings, turbines=8, days=200), examples_table(self.settings))
        self.tracker = Tracker(self.settings.mlflow)

    def held(self, version=1, **tuning):
        """The training set, with other settings of the tuning."""
        changed = self.settings.model.tuning.model_copy(update=tuning)
        model = self.settings.model.model_copy(update={"tuning": changed})
        return load_training_set(self.store, self.settings.model_copy(update={"model": model}), version)


@pytest.fixture(scope="module")
def plant(spark, tmp_path_factory):
    return Plant(spark, tmp_path_factory.mktemp("tuning"))


DAY = 86_400


def with_ends(rows):
    return rows.withColumn("ends", F.unix_seconds("window_end"))


class Remembered:
    """In place of a forest: of which turbines it was shown rows, and until when, of window ends and of days known."""

    def fit(self, rows):
        known_at = F.col("ends") + DAY * F.col("days_known")
        return rows.transform(with_ends).agg(F.collect_set("asset_id"), F.max("ends"), F.max(known_at)).head()


def with_memory(rows, learned):
    taught = {name: F.lit(value) for name, value in zip(("taught_by", "taught_until", "known_at"), learned, strict=True)}
    return rows.transform(with_ends).withColumns(taught)


def test_no_row_is_judged_by_its_own_turbine_or_by_what_came_later(plant):
    held = plant.held()
    for rows, is_learned in (rows_with_label(held), rows_with_days(held)):
        scored = judged_later(blocks_to_judge(held, rows, 2), is_learned, Remembered(), 2, with_memory)
        judged = scored.select("asset_id", "ends", "taught_by", "taught_until", "known_at").toPandas()
        assert not [row for row in judged.itertuples() if row.asset_id in row.taught_by]
        assert (judged["taught_until"] + 7 * DAY <= judged["ends"]).all()
        assert (judged["known_at"] <= judged["ends"]).all()
        # Each training row from the first border on is judged once, and no other.
        expected = rows.where("part = 'train'").transform(with_ends).where(F.col("ends") >= int(judged["ends"].min()))
        keys = expected.select("asset_id", "ends").collect()
        assert sorted(zip(judged["asset_id"], judged["ends"], strict=True)) == sorted(map(tuple, keys))
        assert judged["taught_by"].map(tuple).nunique() == 2


@pytest.fixture(scope="module")
def trained(plant):
    return train(plant.store, plant.tracker, plant.settings)


def run_of(plant, version):
    record = plant.tracker.record(version.run_id)
    return record.params, plant.tracker.load_json(version.run_id, "tuning.json")


def test_a_better_candidate_is_grown_and_the_run_says_so(plant, trained):
    params, table = run_of(plant, trained.classifier)
    told = [(row["candidate"], row["is_chosen"], row["min_rows_per_leaf"]) for row in table]
    assert told == [(0, False, 10_000), (1, True, 3)]
    assert table[1]["pr_auc"] > table[0]["pr_auc"] + 0.2
    assert params["forest_choice"].startswith("candidate 1 of 1 becomes the classifier's forest (min_rows_per_leaf 3; pr_auc ")
    assert (params["forest_min_rows_per_leaf"], params["forest_depth"]) == ("3", "4")
    kept = plant.tracker.load_json(trained.classifier.run_id, "settings.json")["model"]
    assert kept["classifier"]["min_rows_per_leaf"] == 3
    steps = stages_of(plant.tracker.load_model(trained.classifier))
    assert [step.getMinInstancesPerNode() for step in steps if hasattr(step, "getMinInstancesPerNode")] == [3]


def test_a_candidate_that_is_worse_or_only_as_good_changes_nothing(plant, trained):
    params, table = run_of(plant, trained.regressor)
    assert table[0]["rmse_known"] == table[1]["rmse_known"] < table[2]["rmse_known"] - 1
    assert [row["is_chosen"] for row in table] == [True, False, False]
    assert params["forest_choice"].startswith("the regressor's own forest stays (rmse_known ")
    assert params["forest_min_rows_per_leaf"] == "2"


def test_the_choice_repeats_whatever_the_test_part_holds(plant, trained, caplog):
    held = plant.held()
    is_test = F.col("window_end") > F.lit(held.border.train_until)
    examples = plant.store.read(examples_table(plant.settings), 1)
    heat = {name: F.when(is_test, 500 * F.rand(1)).otherwise(F.col(name)) for name in held.preparation.features}
    written = plant.store.overwrite(examples.withColumns(heat).localCheckpoint(), examples_table(plant.settings))
    with caplog.at_level("INFO", logger="turbine_health"):
        again, choices = tuned(plant.held(written.version))
    for head, version in (("classifier", trained.classifier), ("regressor", trained.regressor)):
        assert json.loads(choices[head].table.to_json(orient="records")) == run_of(plant, version)[1]
        assert caplog.text.count(str(choices[head])) == 1
    assert again.settings.model.classifier.min_rows_per_leaf == 3


def test_blocks_before_which_nothing_failed_are_refused(plant):
    with pytest.raises(DataError, match="before block 1 of 10, turbines outside fold 0 have no row with a failure ahead"):
        tuned(plant.held(time_blocks=10))
