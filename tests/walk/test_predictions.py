"""The prediction tables of the walked fleet: as the catalog says, with reasons that add up, and as good as said."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from acceptance.plant import Plant
from deltalake import DeltaTable
from pyspark.sql.types import StructType

from turbine_health.models.evaluation import confusion, error_metrics
from turbine_health.monitor_tables import MONITOR_TABLES
from turbine_health.tables import FAILURE_PREDICTIONS, FIXED_TABLES, TIME_TO_FAILURE_PREDICTIONS, Table, schema_differences

# The first test waits for the walk through all jobs.
pytestmark = pytest.mark.timeout(1_800)

WRITTEN_BY_THE_WALK = (*FIXED_TABLES, *MONITOR_TABLES)
KEYS = ["asset_id", "window_end"]


@pytest.fixture(scope="module")
def replayed(undisturbed, tmp_path_factory) -> Plant:
    """Two months of predictions, followed up until all is known."""
    plant = undisturbed.plant.copy(tmp_path_factory.mktemp("replayed"))
    plant.run_warm("predict --from 2023-04-01", "monitor")
    return plant


def rows_of(plant: Plant, table: Table, columns: Sequence[str] | None = None) -> pd.DataFrame:
    return DeltaTable(plant.lake / table.layer / table.name).to_pandas(columns=columns)


@pytest.mark.parametrize("table", WRITTEN_BY_THE_WALK, ids=lambda table: table.identifier)
def test_the_schema_is_the_catalogs(replayed, table):
    found = StructType.fromJson(json.loads(DeltaTable(replayed.lake / table.layer / table.name).schema().to_json()))
    assert schema_differences(found, table.schema) == []
    assert [field.name for field in found if not field.nullable] == [field.name for field in table.schema if not field.nullable]


def test_the_reasons_of_every_row_add_up_to_its_raw_score(replayed):
    risks = rows_of(replayed, FAILURE_PREDICTIONS)
    scored = risks[risks["raw_score"].notna()]
    assert len(scored) > 500
    reasons = scored["reasons"].map(lambda each: sum(reason["contribution"] for reason in each))
    off = scored["base_score"] + scored["other_contribution"] + reasons - scored["raw_score"]
    assert off.abs().max() <= 1e-6


def test_a_row_has_a_prediction_exactly_where_its_data_is_good_enough(replayed):
    for table, value in (
        (FAILURE_PREDICTIONS, "failure_probability"),
        (TIME_TO_FAILURE_PREDICTIONS, "raw_time_to_failure_days"),
    ):
        rows = rows_of(replayed, table)
        assert (rows[value].notna() == (rows["quality_status"] == "ok")).all()
        assert not rows.duplicated(subset=list(table.keys)).any()


@pytest.fixture(scope="module")
def judged(replayed) -> pd.DataFrame:
    """What was predicted beside what the labels of the training say happened, where both are known."""
    risks = rows_of(replayed, FAILURE_PREDICTIONS, [*KEYS, "failure_probability", "is_alert"])
    days = rows_of(replayed, TIME_TO_FAILURE_PREDICTIONS, [*KEYS, "predicted_time_to_failure_days"])
    labels = DeltaTable(replayed.lake / "gold/training_examples").to_pandas(
        columns=[*KEYS, "failure_within_7d", "time_to_failure_days"]
    )
    both = risks.merge(days, on=KEYS).merge(labels, on=KEYS)
    known = both[both["failure_probability"].notna() & both["failure_within_7d"].notna()]
    return known.assign(month=known["window_end"].dt.strftime("%Y-%m"))


@pytest.fixture(scope="module")
def realised(replayed) -> pd.DataFrame:
    """gold.realised_metrics of the whole fleet by month."""
    metrics = rows_of(replayed, next(table for table in MONITOR_TABLES if table.name == "realised_metrics"))
    fleet = metrics[metrics["asset_id"] == "all"]
    return fleet.set_index(fleet["month"].dt.strftime("%Y-%m"))


def test_realised_alerts_are_those_that_the_evaluation_counts_on_the_same_rows(judged, realised):
    assert judged["failure_within_7d"].sum() > 0
    for month, rows in judged.groupby("month"):
        counts = rows.assign(rows=1, positives=rows["failure_within_7d"])
        expected, found = confusion(counts[["is_alert", "rows", "positives"]]), realised.loc[month]
        assert (found["quiet"], found["false_alarms"], found["missed"], found["caught"]) == (
            expected.tn, expected.fp, expected.fn, expected.tp,
        )  # fmt: skip
        brier = np.mean((rows["failure_probability"] - rows["failure_within_7d"]) ** 2)
        assert found["brier_score"] == pytest.approx(brier, abs=1e-9)


def test_realised_errors_of_the_days_left_are_those_of_the_evaluation(judged, realised):
    failing = judged[judged["time_to_failure_days"].notna()]
    assert len(failing) > 10
    for month, rows in failing.groupby("month"):
        truth = rows["time_to_failure_days"]
        error = rows["predicted_time_to_failure_days"] - truth
        sums = {
            "rows": len(rows), "absolute": error.abs().sum(), "squared": (error**2).sum(),
            "truth": truth.sum(), "truth_squared": (truth**2).sum(),
        }  # fmt: skip
        assert realised.loc[month]["mae_days"] == pytest.approx(error_metrics(sums)["mae"], abs=1e-9)
