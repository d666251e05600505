import pandas as pd
import pytest
from builders import frame, utc
from degrading_fleet import fleet_settings
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType, IntegerType, StringType, StructField, StructType, TimestampType

from turbine_health.models.events import (
    cheapest_threshold,
    cost_curve,
    costliest_turbines,
    inspections,
    lead_time_counts,
    to_failures,
    to_visits,
    totals_by_threshold,
    totals_by_view,
)
from turbine_health.settings import CostSettings

DAY = 86_400
SCHEMA = StructType([
    StructField("asset_id", StringType()), StructField("window_end", TimestampType()),
    StructField("life_number", IntegerType()), StructField("failure_mode", StringType()),
    StructField("failure_probability", DoubleType()), StructField("failure_within_7d", IntegerType()),
    StructField("time_to_failure_days", DoubleType()),
])  # fmt: skip


def scored(spark, asset_id, probabilities, failed=True):
    """Daily windows from the first of January; with `failed`, the failure comes one day after the last."""
    length = len(probabilities)
    rows = [
        {
            "asset_id": asset_id, "window_end": utc(f"2024-01-{day + 1:02d}"), "life_number": 1,
            "failure_mode": "generator" if failed else None, "failure_probability": probability,
            "failure_within_7d": int(failed and length - day <= 7), "time_to_failure_days": length - day if failed else None,
        }
        for day, probability in enumerate(probabilities)
    ]  # fmt: skip
    view, is_alert = F.lit("test").alias("view"), (F.col("failure_probability") >= 0.5).alias("is_alert")
    return frame(spark, rows, SCHEMA).select("*", view, is_alert)


def visit_starts(rows):
    return sorted(row["visit_start"].day for row in rows.where("is_alert").transform(to_visits, "view", 7).collect())


def test_alerts_with_a_short_pause_are_one_visit(spark):
    rows = scored(spark, "T01", [0.9, 0.9, 0.1, 0.9, 0.1, 0.1, 0.9], failed=False)
    assert visit_starts(rows) == [1, 4, 7]
    assert visit_starts(rows.where("window_end != TIMESTAMP '2024-01-03'").where("day(window_end) < 3")) == [1]


def test_a_crew_is_sent_again_when_the_alert_still_stands_after_a_horizon(spark):
    rows = scored(spark, "T01", [0.9] * 15, failed=False)
    assert visit_starts(rows) == [1, 8, 15]
    assert totals_by_view(rows, "view", 7, 24).collect()[0]["false_alarms"] == 3


def test_an_alert_that_stands_in_the_horizon_catches_the_failure_and_lead_counts_from_its_start(spark):
    rows = scored(spark, "T01", [0.1] * 5 + [0.9] * 10)
    failure = to_failures(rows, "view", 7).collect()[0]
    assert failure["lead_time_days"] == 10
    assert failure["failure_mode"] == "generator"
    assert failure["failed_at"].timestamp() == utc("2024-01-16").timestamp()


def test_an_alert_that_ended_before_the_horizon_is_a_false_alarm_and_the_failure_missed(spark):
    rows = scored(spark, "T01", [0.9] + [0.1] * 9)
    total = totals_by_view(rows, "view", 7, 24).collect()[0]
    assert (total["failures"], total["caught"], total["false_alarms"], total["days"]) == (1, 0, 1, 10)
    failure = to_failures(rows, "view", 7).collect()[0]
    assert failure["lead_time_days"] is None


def test_the_turbine_where_alerts_cost_most_comes_first_with_what_happened(spark):
    missed = scored(spark, "T01", [0.1] * 10)
    called_for_nothing = scored(spark, "T02", [0.9, 0.1, 0.1, 0.9], failed=False)
    both = missed.unionByName(called_for_nothing)
    table = costliest_turbines(both, "view", 7, 24, CostSettings()).set_index("asset_id")
    costs = CostSettings()
    assert list(table.loc["T01"]) == [10, 1, 0, 0, costs.of_missed_failure]
    assert list(table.loc["T02"]) == [4, 0, 0, 2, 2 * costs.of_false_alarm]
    assert list(table.index) == ["T01", "T02"]


def test_windows_without_a_label_make_no_alarm(spark):
    rows = scored(spark, "T01", [0.9] * 3, failed=False).withColumn("failure_within_7d", F.lit(None).cast("int"))
    assert rows.transform(totals_by_view, "view", 7, 24).isEmpty()
    assert rows.transform(to_failures, "view", 7).isEmpty()


def test_every_turbine_has_totals_at_every_threshold(spark):
    totals = scored(spark, "T01", [0.2] * 3, failed=False).transform(totals_by_threshold, [0.1, 0.5], 7, 24)
    assert {row["threshold"]: row["visits"] for row in totals.collect()} == {0.1: 1, 0.5: 0}


@pytest.fixture(scope="module")
def fleet_totals(spark):
    rows = scored(spark, "T01", [0.1] * 8 + [0.4] * 6).unionByName(scored(spark, "T02", [0.4] * 14, failed=False))
    return totals_by_threshold(rows.unionByName(scored(spark, "T03", [0.1] * 14)), [0.05, 0.3, 0.9], 7, 24).cache()


def threshold_for(totals, **costs):
    return cheapest_threshold(cost_curve(totals, CostSettings(**costs)))


def test_dearer_misses_lower_the_threshold(fleet_totals):
    thresholds = [
        threshold_for(fleet_totals, missed_failure=missed, unplanned_repair=20_000, needless_visit=9_000)
        for missed in (0, 20_000, 200_000)
    ]
    assert thresholds == sorted(thresholds, reverse=True)
    assert thresholds[0] > thresholds[-1]


def test_dearer_visits_raise_the_threshold(fleet_totals):
    assert threshold_for(fleet_totals, needless_visit=500_000) > threshold_for(fleet_totals, needless_visit=0)


def test_of_equally_cheap_thresholds_the_highest_is_taken():
    assert cheapest_threshold(pd.DataFrame({"threshold": [0.1, 0.2, 0.3], "cost": [5.0, 5.0, 9.0]})) == 0.2


def test_looking_at_the_first_turbine_a_day_finds_what_is_ranked_first(spark):
    rows = scored(spark, "T01", [0.8] * 7).unionByName(scored(spark, "T02", [0.4] * 7, failed=False))
    found = inspections(rows, 2).to_dict("records")
    assert found == [
        {"per_day": 1, "precision": 1.0, "caught_share": 1.0},
        {"per_day": 2, "precision": 0.5, "caught_share": 1.0},
    ]


def test_lead_times_are_counted_by_mode_and_misses_stay_unknown(spark):
    rows = scored(spark, "T01", [0.1] * 5 + [0.9] * 10).unionByName(scored(spark, "T02", [0.1] * 10))
    counts = lead_time_counts(to_failures(rows, "view", 7), "view")
    assert counts["failures"].tolist() == [1, 1]
    assert counts["lead_time_days"].isna().tolist() == [True, False]


def test_costs_add_up_standstill_and_repair():
    costs = CostSettings(
        missed_failure=1, unplanned_repair=10, planned_repair=5, needless_visit=2, lost_energy_per_day=100,
        unplanned_standstill_days=3, planned_standstill_days=1, visit_standstill_days=0.5,
    )  # fmt: skip
    assert (costs.of_missed_failure, costs.of_caught_failure, costs.of_false_alarm) == (311, 105, 52)
    assert fleet_settings().costs.of_missed_failure > fleet_settings().costs.of_caught_failure
