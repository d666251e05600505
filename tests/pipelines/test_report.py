"""The fleet report on a small scored fleet, with a real MLflow on SQLite."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from small_fleet import EVIL, fleet_settings, write_small_fleet

from turbine_health.errors import TableError
from turbine_health.io.delta import TableStore
from turbine_health.io.tracking import Tracker
from turbine_health.pipelines.report import ReportSummary, report
from turbine_health.reporting.pages import get_plotlyjs
from turbine_health.settings import Settings


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="module")
def told(place: Path) -> Settings:
    return fleet_settings(
        storage={"root": f"{place}/lake", "reports": f"{place}/reports"},
        mlflow={"tracking_uri": f"sqlite:///{place}/mlflow.db", "artifact_location": f"{place}/artifacts"},
        report={"top_turbines": 2},
    )


@pytest.fixture(scope="module")
def tracker(told: Settings) -> Tracker:
    """Two finished classifier runs, the first better, one failed regressor run."""
    tracker = Tracker(told.mlflow)
    for name, pr_auc in (("better", 0.9), ("worse", 0.2)):
        with tracker.run(told.mlflow.classifier_experiment, name) as run:
            run.log_params({"features": ["a__mean_24h"], "test_size": 0.25})
            run.log_metrics({"pr_auc": pr_auc, "roc_auc": 0.95})
    with pytest.raises(ZeroDivisionError), tracker.run(told.mlflow.regressor_experiment, "broken"):
        _ = 1 / 0
    return tracker


@pytest.fixture(scope="module")
def written(spark: SparkSession, told: Settings, tracker: Tracker) -> ReportSummary:
    store = TableStore(spark, told.storage)
    write_small_fleet(spark, store)
    return report(store, tracker, told)


@pytest.fixture(scope="module")
def page(written: ReportSummary) -> str:
    return Path(written.page).read_text(encoding="utf-8").replace(get_plotlyjs(), "")


def test_the_summary_counts_turbines_and_alerts(written):
    assert (written.turbines, written.alerts) == (3, 1)
    assert str(written).startswith("1 alert among 3 turbines as of 2024-01-21 00:00 UTC; ")


def test_the_work_list_is_ranked_and_says_how_long_each_turbine_has(written):
    rows = [(row["asset_id"], row["is_alert"], row["days_left"]) for row in written.overview["turbines"]]
    assert rows == [("T01", True, "20.0 (10.0 to 30.0)"), ("T02", False, "10 or more")]


def test_the_cost_at_stake_is_what_a_visit_is_expected_to_save(written, told):
    costs = told.costs
    expected = 0.6 * (costs.of_missed_failure - costs.of_caught_failure) - 0.4 * costs.of_false_alarm
    assert written.overview["turbines"][0]["cost_at_stake"] == pytest.approx(expected)


def test_the_json_summary_has_every_run_with_its_numbers(written, capsys):
    written.show(as_json=True)
    overview = json.loads(capsys.readouterr().out)
    runs = {run["name"]: run for experiment in overview["runs"].values() for run in experiment}
    assert runs["better"]["metrics"] == {"pr_auc": 0.9, "roc_auc": 0.95}
    assert runs["broken"]["status"] == "FAILED"
    assert Path(overview["pages"]["fleet"]).is_file()


def test_the_console_summary_marks_the_best_run_and_needs_no_terminal(written, capsys):
    written.show(as_json=False)
    printed = capsys.readouterr().out
    starred = [line for line in printed.splitlines() if "★" in line and "│" in line]
    assert len(starred) == 1
    assert "better" in starred[0]
    assert "\x1b[" not in printed
    assert "ALERT" in printed


def test_a_turbine_named_like_an_attack_is_text_on_the_page(page):
    assert EVIL not in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(&#39;T03&#39;)&lt;/script&gt;" in page


def test_every_row_of_the_work_list_links_to_a_section(page):
    assert page.count('<a href="#turbine-') == 3
    assert [f'id="turbine-{number}"' in page for number in (1, 2, 3)] == [True] * 3


def test_what_happened_to_a_turbine_is_told_in_words(page):
    assert "Failure of gearbox bearing: 05 Jan 2024 00:00, running again 07 Jan 2024 00:00" in page
    assert "Maintenance: 10 Jan 2024 00:00" in page


def test_a_second_report_writes_the_same_page(spark, told, tracker, written):
    before = Path(written.page).read_bytes()
    again = report(TableStore(spark, told.storage), tracker, told)
    assert Path(again.page).read_bytes() == before


def test_a_page_for_fewer_turbines_says_how_many_it_leaves_out_and_counts_them(spark, told, tracker, written, tmp_path):
    short = told.model_copy(
        update={
            "report": told.report.model_copy(update={"page_turbines": 1}),
            "storage": told.storage.model_copy(update={"reports": str(tmp_path)}),
        }
    )
    summary = report(TableStore(spark, told.storage), tracker, short)
    page = Path(summary.page).read_text(encoding="utf-8")
    assert "2 less urgent turbines are not on this page" in page
    assert "<dt>Without fresh data</dt><dd>1</dd>" in page


def test_a_lake_without_predictions_says_which_job_comes_first(store, tracker, told):
    with pytest.raises(TableError, match=r"gold.failure_predictions is not there yet"):
        report(store, tracker, told)
