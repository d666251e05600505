"""Experiments, runs and serving models, as the console summary and the pages show them."""

from __future__ import annotations

import json
from typing import Any

from turbine_health.io.tracking import RunRecord, Tracker
from turbine_health.reporting.console import Contest

MAIN_METRICS = {
    "classifier": ("accuracy", "precision", "recall", "f1_score", "roc_auc", "pr_auc"),
    "regressor": ("mae", "mse", "rmse", "r2_score"),
}
_UNITS = {"mae": " days", "mse": " days²", "rmse": " days"}
_PARAMS = {
    "classifier": ("target", "test_size", "random_state", "stratify"),
    "regressor": ("target", "test_size_reg", "random_state_reg"),
}


def contests(tracker: Tracker) -> tuple[Contest, Contest]:
    """How runs of the two experiments compare. A rare failure makes PR-AUC the honest judge of the classifier."""
    names = tracker.settings
    return (
        Contest(
            names.classifier_experiment, MAIN_METRICS["classifier"], _PARAMS["classifier"], "pr_auc", lower_is_better=False
        ),
        Contest(names.regressor_experiment, MAIN_METRICS["regressor"], _PARAMS["regressor"], "rmse", lower_is_better=True),
    )


def runs_overview(tracker: Tracker) -> dict[str, list[dict[str, Any]]]:
    """Experiment → its runs, newest first, ready for JSON."""
    names = tracker.settings
    overview = {}
    for experiment, model in (
        (names.classifier_experiment, names.classifier_model),
        (names.regressor_experiment, names.regressor_model),
    ):
        versions = {version.run_id: version.version for version in tracker.versions(model)}
        champion = tracker.champion(model)
        overview[experiment] = [
            _run(run, versions.get(run.run_id), is_champion=champion is not None and champion.run_id == run.run_id)
            for run in tracker.runs(experiment)
        ]
    return overview


def serving_models(tracker: Tracker) -> list[dict[str, object]]:
    """One row per model that serves, with its main test metrics; empty where none serves yet."""
    names = tracker.settings
    rows: list[dict[str, object]] = []
    for model in (names.classifier_model, names.regressor_model):
        champion = tracker.champion(model)
        if champion is not None:
            metrics = tracker.metrics(champion.run_id)
            shown = [name for group in MAIN_METRICS.values() for name in group if name in metrics]
            words = ", ".join(f"{name} {metrics[name]:.3g}{_UNITS.get(name, '')}" for name in shown)
            rows.append({"model": model, "version": f"version {champion.version}", "on the test part": words})
    return rows


def _run(run: RunRecord, version: str | None, *, is_champion: bool) -> dict[str, Any]:
    version_words = "" if version is None else f"v{version}" + (" champion" if is_champion else "")
    features = run.params.get("features", "")
    return {
        "run_id": run.run_id,
        "name": run.name,
        "status": run.status,
        "started_at": run.started_at.isoformat(),
        "seconds": run.seconds,
        "model": version_words,
        "feature_count": len(json.loads(features)) if features.startswith("[") and features.endswith("]") else None,
        "params": {name: value for name, value in run.params.items() if name != "features"},
        "metrics": dict(run.metrics),
        "artifacts": run.artifact_uri,
    }
