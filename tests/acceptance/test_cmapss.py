"""The C-MAPSS benchmark: its arithmetic, and its walk from raw files on a few made-up engines."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from benchmarks.cmapss import (
    CAP,
    Engines,
    load_engines,
    measure,
    phm08_score,
    read_truth,
    rmse,
    set_settings,
    shares_held,
    to_last_windows,
)
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from turbine_health.errors import DataError
from turbine_health.settings import ForestSettings, ModelSettings, Settings

LIVES = {1: 60, 2: 75, 3: 90, 4: 66, 5: 81, 6: 70}
SEEN_OF_TEST = {1: 30, 2: 50}
LEFT = {1: 35, 2: 12}


def test_the_score_counts_13_cycles_early_like_10_cycles_late():
    truth = np.array([50.0, 50.0, 50.0])
    early, late, exact = np.array([37.0]), np.array([60.0]), np.array([50.0])
    assert phm08_score(early, truth[:1]) == pytest.approx(np.e - 1)
    assert phm08_score(late, truth[:1]) == pytest.approx(np.e - 1)
    assert phm08_score(exact, truth[:1]) == 0
    assert phm08_score(np.array([37.0, 60.0, 50.0]), truth) == pytest.approx(2 * (np.e - 1))


def test_rmse_is_in_cycles():
    assert rmse(np.array([3.0, 0.0]), np.array([0.0, 4.0])) == pytest.approx(12.5**0.5)


def test_the_last_window_is_the_newest_that_a_reading_has_just_fed(spark: SparkSession):
    windows = spark.sql(
        "SELECT 'a' AS asset_id, TIMESTAMP '2000-01-02' AS window_end, 24.0D AS data_age_hours, 1.0D AS x__mean_24h"
        " UNION ALL SELECT 'a', TIMESTAMP '2000-01-03', 24.0D, 2.0D"
        " UNION ALL SELECT 'a', TIMESTAMP '2000-01-04', 48.0D, 3.0D"
        " UNION ALL SELECT 'a', TIMESTAMP '2000-01-05', NULL, NULL"
        " UNION ALL SELECT 'b', TIMESTAMP '2000-01-02', 24.0D, 4.0D"
    )
    last = {row["asset_id"]: row["x__mean_24h"] for row in windows.transform(to_last_windows).collect()}
    assert last == {"a": 2.0, "b": 4.0}


def test_a_missing_truth_file_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"RUL_FD001.*--data"):
        read_truth(tmp_path / "RUL_FD001.txt.gz")


def test_coverage_by_engine_counts_a_short_life_like_a_long_one():
    counts = pd.DataFrame({"rows": [100, 10], "held": [90, 5], "rows_in_reach": [50, 0], "held_in_reach": [40, 0]})
    shares = shares_held(counts)
    assert shares == pytest.approx({"all": 95 / 110, "by_engine": 0.7, "in_reach": 0.8, "in_reach_by_engine": 0.8})


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("cmapss")
    write_engines(folder / "train_FD001.txt.gz", LIVES, LIVES)
    write_engines(folder / "test_FD001.txt.gz", SEEN_OF_TEST, {unit: SEEN_OF_TEST[unit] + LEFT[unit] for unit in SEEN_OF_TEST})
    (folder / "RUL_FD001.txt.gz").write_bytes(gzip.compress("".join(f"{left} \n" for left in LEFT.values()).encode()))
    return set_settings("FD001", folder, folder / "out", ["split.folds=2"])


@pytest.fixture(scope="module")
def engines(spark: SparkSession, settings: Settings) -> Engines:
    folder = Path(settings.sources[0].files.path).parent
    return load_engines(spark, settings, folder / "RUL_FD001.txt.gz")


def test_the_days_left_are_the_last_cycle_minus_the_cycle(engines: Engines):
    rows = engines.learning.where(F.col("asset_id") == "FD001-train-1").orderBy("window_end").collect()
    assert [row["time_to_failure_days"] for row in rows] == [float(60 - cycle) for cycle in range(1, 61)]


def test_no_row_of_a_test_engine_is_learned_from(engines: Engines):
    learned = {row["asset_id"] for row in engines.learning.select("asset_id").distinct().collect()}
    assert learned == {f"FD001-train-{unit}" for unit in LIVES}


def test_a_run_gives_both_errors_of_every_model(engines: Engines, settings: Settings):
    few = ForestSettings(trees=5, depth=4, min_rows_per_leaf=2, features_per_split="all")
    models = {
        "random forest": ModelSettings(classifier=few, regressor=few, time_to_failure_cap_days=CAP),
        "boosted trees": ModelSettings(kind="gradient_boosted", regressor=few, time_to_failure_cap_days=CAP),
    }
    found = measure(engines, settings.model_copy(update={"model": models["random forest"]}), models, seeds=[0])
    assert {"rmse", "score", "rmse_capped", "score_capped", "pr_auc_7d"} <= set(found)
    assert found["rmse"] == found["rmse_capped"]  # both engines have fewer than 125 cycles left
    assert 0 < found["rmse"] < 25
    assert set(found["models"]) == set(models)


def write_engines(path: Path, seen: dict[int, int], lives: dict[int, int]) -> None:
    """A file in the layout of C-MAPSS: every sensor drifts away as the end comes near."""
    generator = np.random.default_rng(3)
    lines = []
    for unit, cycles in seen.items():
        for cycle in range(1, cycles + 1):
            drift = np.exp(-(lives[unit] - cycle) / 20)
            sensors = 100 * np.arange(1, 22) + 5 * drift + generator.normal(0, 0.3, 21)
            lines.append(f"{unit} {cycle} 0.0 0.0 100.0 " + " ".join(f"{value:.4f}" for value in sensors) + "  \n")
    path.write_bytes(gzip.compress("".join(lines).encode()))
