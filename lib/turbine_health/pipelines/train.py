"""gold.training_examples at one version → two tracked runs, two registered models, and perhaps new champions."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from turbine_health.io.delta import TableStore
from turbine_health.io.tracking import CHAMPION, RegisteredVersion, Tracker
from turbine_health.models.gate import Verdict
from turbine_health.models.views import TEST_VIEW
from turbine_health.pipelines.cards import failure_card, time_card
from turbine_health.pipelines.failure_head import FailureHead, failure_verdict, train_failure_head
from turbine_health.pipelines.run_log import (
    failure_view_table,
    log_failure_head,
    log_time_head,
    log_training_data,
    log_tuning,
    log_verdict,
    time_view_table,
)
from turbine_health.pipelines.time_head import time_verdict, train_time_head
from turbine_health.pipelines.training_set import TrainingSet, load_training_set
from turbine_health.pipelines.tuning import CLASSIFIER, REGRESSOR, Choice, tuned
from turbine_health.settings import Settings

logger = logging.getLogger("turbine_health")

CHALLENGER = "challenger"


@dataclass(frozen=True)
class TrainSummary:
    """What one training brought."""

    classifier: RegisteredVersion
    regressor: RegisteredVersion
    pr_auc: float | None
    caught: int
    failures: int
    mae_days: float | None
    roles: tuple[str, str]
    seconds: float

    def __str__(self) -> str:
        quality = f"{self.caught} of {self.failures} test failures announced"
        quality += f", PR-AUC {self.pr_auc:.3f}" if self.pr_auc is not None else ""
        error = f"days left off by {self.mae_days:.1f} on average" if self.mae_days is not None else "no failure to test on"
        return (
            f"{self.classifier.name} version {self.classifier.version} is {self.roles[0]} ({quality}); "
            f"{self.regressor.name} version {self.regressor.version} is {self.roles[1]} ({error}); {self.seconds:.0f} s"
        )


def train(store: TableStore, tracker: Tracker, settings: Settings, as_of_version: int | None = None) -> TrainSummary:
    """Train both heads on one version of the examples and let them through the gate.

    Args:
        store: Where `gold.training_examples` is.
        tracker: Where runs and models are kept.
        settings: All settings.
        as_of_version: Delta version to train on; None is the newest.
    """
    began = time.monotonic()
    held, choices = tuned(load_training_set(store, settings, as_of_version))
    name = f"{settings.model.kind} on version {held.version}"
    failure_head, classifier, first_role = _failure_run(held, choices.get(CLASSIFIER), tracker, name)
    with tracker.run(settings.mlflow.regressor_experiment, name) as run:
        log_training_data(run, held)
        log_tuning(run, choices.get(REGRESSOR))
        head = train_time_head(held, failure_head, run, tracker)
        regressor = log_time_head(run, head, failure_head, held, settings.mlflow.regressor_model)
        verdict = time_verdict(head, failure_head, held)
        log_verdict(run, time_card(head, held, verdict), verdict, time_view_table(head))
        second_role = _role(regressor, verdict, tracker)
    store.spark.catalog.clearCache()
    test = failure_head.scores[TEST_VIEW].metrics
    return TrainSummary(
        classifier=classifier,
        regressor=regressor,
        pr_auc=test["pr_auc"],
        caught=int(test["failures_caught"] or 0),
        failures=int(test["failures"] or 0),
        mae_days=head.scores.get(TEST_VIEW, {}).get("mae"),
        roles=(first_role, second_role),
        seconds=time.monotonic() - began,
    )


def _failure_run(
    held: TrainingSet, choice: Choice | None, tracker: Tracker, name: str
) -> tuple[FailureHead, RegisteredVersion, str]:
    mlflow = held.settings.mlflow
    with tracker.run(mlflow.classifier_experiment, name) as run:
        log_training_data(run, held)
        log_tuning(run, choice)
        head = train_failure_head(held, run, tracker)
        version = log_failure_head(run, head, held, mlflow.classifier_model)
        verdict = failure_verdict(head, held)
        log_verdict(run, failure_card(head, held, verdict), verdict, failure_view_table(head))
        return head, version, _role(version, verdict, tracker)


def _role(version: RegisteredVersion, verdict: Verdict, tracker: Tracker) -> str:
    """Give the version the role that the gate allows, and say why not more."""
    role = CHAMPION if verdict.passes else CHALLENGER
    tracker.set_alias(version, role)
    for reason in verdict.not_judged:
        logger.warning("%s version %s was not held against every condition: %s", version.name, version.version, reason)
    for reason in verdict.reasons:
        logger.info("%s version %s is not let through: %s", version.name, version.version, reason)
    return role
