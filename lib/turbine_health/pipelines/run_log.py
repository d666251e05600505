"""What a training run leaves in MLflow, under fixed names."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from importlib.metadata import version as installed_version
from typing import Any

import pandas as pd

from turbine_health.io.tracking import RegisteredVersion, TrackedRun
from turbine_health.models.gate import Verdict
from turbine_health.models.views import TEST_VIEW, as_ends
from turbine_health.pipelines.failure_head import FailureHead
from turbine_health.pipelines.run_figures import days_sample, failure_figures, thinned, time_figures
from turbine_health.pipelines.time_head import TimeHead
from turbine_health.pipelines.training_set import TrainingSet
from turbine_health.pipelines.tuning import Choice
from turbine_health.reporting import charts, pages
from turbine_health.transforms.splits import TEST, TRAIN

PACKAGES = ("pyspark", "delta-spark", "mlflow", "numpy", "pandas")


def log_training_data(run: TrackedRun, held: TrainingSet) -> None:
    """Pin what was trained on and with what: table, version, schema, settings, packages."""
    run.log_table_input(held.table.identifier, held.path, held.version, "training")
    border = held.border
    run.log_params({
        "table": held.table.identifier,
        "table_version": held.version,
        "table_rows": held.row_count,
        "table_schema_hash": held.schema_hash,
        "rows_by_label_status": held.rows_by_status(),
        "training_rows": held.rows_of(TRAIN),
        "test_rows": held.rows_of(TEST),
        "train_until": border.train_until.isoformat() if border else "all of time",
        "test_from": border.test_from.isoformat() if border else "all of time",
        "packages": {package: installed_version(package) for package in PACKAGES},
    })  # fmt: skip
    settings = held.settings.model_dump(
        mode="json", include={"features", "labels", "split", "model", "costs", "evaluation", "scoring"}
    )
    run.log_json(settings, "settings.json")
    run.log_tags({
        "data_span": f"{held.first:%Y-%m-%d} to {held.last:%Y-%m-%d}",
        "sources": ", ".join(source.name for source in held.settings.sources),
        "fleet_size": str(held.turbines),
    })  # fmt: skip


def log_tuning(run: TrackedRun, choice: Choice | None) -> None:
    """The forest that was chosen, and every candidate with its score; nothing where there was no choice."""
    if choice is not None:
        forest = {f"forest_{key}": value for key, value in choice.forest.model_dump().items()}
        run.log_params({"forest_choice": str(choice), **forest})
        _log_table(run, choice.table, "tuning.json")


def log_failure_head(run: TrackedRun, head: FailureHead, held: TrainingSet, register_as: str) -> RegisteredVersion:
    """Model A's parameters, metrics, pages and pipeline. Returns the registered version."""
    settings, test = held.settings, head.scores[TEST_VIEW]
    run.log_params({
        "features": list(held.preparation.features),
        "target": "failure_within_7d",
        "test_size": held.test_share,
        "random_state": settings.model.seed,
        "stratify": f"none at random: {held.split_in_words}; turbines dealt to folds by number of failures",
        "model_type": head.model_type,
        "model_source": f"pyspark.ml {installed_version('pyspark')}",
        "threshold": head.serving.threshold,
    })  # fmt: skip
    run.log_metrics({**test.metrics, **view_metrics(failure_view_table(head))})
    run.log_metrics(_inspection_metrics(head, settings.evaluation.inspections_per_day))
    run.log_json(head.serving.to_json(), "serving.json")
    alerts = test.confusion
    matrix = charts.confusion_matrix(alerts.tn, alerts.fp, alerts.fn, alerts.tp, horizon_days=head.judging.horizon_days)
    _log_figure(run, "Model A: what the alerts said", matrix, "confusion_matrix_model_a.html")
    curve = thinned(test.ranking.curve)
    roc = charts.roc_curve(curve, auc=test.ranking.roc_auc)
    _log_figure(run, "Model A: how well it ranks", roc, "roc_curve_model_a.html")
    run.log_text(
        pages.figures_page("Model A: how good the alerts are", failure_figures(head, curve)), "evaluation_model_a.html"
    )
    run.log_json(head.curve.to_dict("records"), "cost_curve.json")
    _log_table(run, head.by_turbine, "by_turbine.json")
    _log_table(run, head.learning, "learning_curve.json")
    example = held.examples.select(*held.preparation.features).limit(3).toPandas()
    return run.log_model(head.model, "classification_model", example, register_as)


def log_time_head(
    run: TrackedRun, head: TimeHead, failure_head: FailureHead, held: TrainingSet, register_as: str
) -> RegisteredVersion:
    """Model B's parameters, metrics, pages and pipeline. Returns the registered version."""
    settings = held.settings
    run.log_params({
        "features": list(held.preparation.features),
        "target": "time_to_failure_days",
        "test_size_reg": held.test_share,
        "random_state_reg": settings.model.seed,
        "split": held.split_in_words,
        "target_cap_days": settings.model.time_to_failure_cap_days,
        "model_type": head.model_type,
        "model_source": f"pyspark.ml {installed_version('pyspark')}",
    })  # fmt: skip
    run.log_metrics({**head.scores.get(TEST_VIEW, {}), **view_metrics(time_view_table(head)), **head.agreement})
    run.log_metrics(_coverage_metrics(head.coverage))
    run.log_json(head.serving.to_json(), "serving.json")
    sample = days_sample(head)
    scatter, errors = charts.predictions_scatter(sample), charts.error_distribution(sample)
    _log_figure(run, "Model B: days left on the test", scatter, "regression_predictions_plot.html")
    _log_figure(run, "Model B: how far off it is on the test", errors, "error_distribution.html")
    figures = {"Predicted against actual": scatter, "Errors": errors, **time_figures(head)}
    run.log_text(pages.figures_page("Model B: how good the days left are", figures), "evaluation_model_b.html")
    _log_table(run, failure_head.by_turbine.merge(head.by_turbine, on="asset_id", how="left"), "by_turbine.json")
    _log_table(run, head.learning, "learning_curve.json")
    example = held.examples.select(*held.preparation.features).limit(3).toPandas()
    return run.log_model(head.model, "regression_model", example, register_as)


def log_verdict(run: TrackedRun, card: str, verdict: Verdict, views: pd.DataFrame) -> None:
    """The card, the views and what the gate decided."""
    run.log_text(card, "model_card.md")
    run.log_json(views.to_dict("records"), "views.json")
    found = verdict.reasons or ["passed"]
    run.log_tags({"gate": "; ".join([*found, *(f"not judged: {reason}" for reason in verdict.not_judged)])})


def failure_view_table(head: FailureHead) -> pd.DataFrame:
    """One row per view of model A, baselines and champion among them, with intervals as `_low` and `_high`."""
    names = ("failures", "base_rate", "pr_auc", "roc_auc", "ece", "ece_uncalibrated", "failures_caught", "caught_share",
             "lead_time_days_median", "false_alarms_per_turbine_month", "cost_per_turbine_month")  # fmt: skip
    rows = [
        {"view": view, **{name: scores.metrics[name] for name in names}, **as_ends(scores.intervals)}
        for view, scores in head.scores.items()
    ]
    table: pd.DataFrame = pd.DataFrame(rows)
    return table


def time_view_table(head: TimeHead) -> pd.DataFrame:
    """One row per view of model B, baselines and champion among them, with intervals as `_low` and `_high`."""
    covered = head.coverage[head.coverage["band"] == "all"].set_index("view")["covered"]
    rows = [{"view": view, **scores, "interval_coverage": covered.get(view)} for view, scores in head.scores.items()]
    table: pd.DataFrame = pd.DataFrame(rows)
    return table


def view_metrics(table: pd.DataFrame) -> dict[str, float | None]:
    """`<view>_<metric>` for every view but the test, and the test's intervals."""
    metrics: dict[str, float | None] = {}
    for row in table.to_dict("records"):
        view = str(row.pop("view"))
        slug = re.sub(r"\W+", "_", view.split(" (")[0])
        known = {str(name): float(value) for name, value in row.items() if pd.notna(value)}
        if view == TEST_VIEW:
            metrics.update({name: value for name, value in known.items() if name.endswith(("_low", "_high", "coverage"))})
        else:
            metrics.update({f"{slug}_{name}": value for name, value in known.items()})
    return metrics


def _log_figure(run: TrackedRun, title: str, figure: Any, path: str) -> None:
    """Keep a figure as a page of its own."""
    run.log_text(pages.figures_page(title, {title: figure}), path)


def _log_table(run: TrackedRun, table: pd.DataFrame, path: str) -> None:
    """Keep a small table, null where not known; nothing where it is empty."""
    if len(table):
        run.log_json(json.loads(table.to_json(orient="records")), path)


def _inspection_metrics(head: FailureHead, per_day: Sequence[int]) -> dict[str, float | None]:
    wanted = head.inspections[head.inspections["per_day"].isin(per_day)]
    return {
        f"top_{row['per_day']}_{name}": row[name] for row in wanted.to_dict("records") for name in ("precision", "caught_share")
    }


def _coverage_metrics(coverage: pd.DataFrame) -> dict[str, float | None]:
    bands = coverage[(coverage["view"] == TEST_VIEW) & (coverage["band"] != "all") & coverage["covered"].notna()]
    return {f"interval_coverage_band_{row.band}": row.covered for row in bands.itertuples()}
