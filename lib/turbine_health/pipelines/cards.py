"""The model cards of both heads."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from turbine_health.models.card import model_card
from turbine_health.models.gate import Verdict
from turbine_health.models.views import TEST_VIEW
from turbine_health.pipelines.failure_head import FailureHead
from turbine_health.pipelines.run_log import failure_view_table, time_view_table
from turbine_health.pipelines.time_head import TimeHead
from turbine_health.pipelines.training_set import TrainingSet
from turbine_health.transforms.splits import TEST, TRAIN

COMMON_LIMITS = (
    "Learns nothing from weeks after the border in time: the test stays a test.",
    "Failures without any announcement in the signals (sudden electrical faults, say) cannot be foreseen from them.",
    "Intervals draw turbines, not plants: another type of turbine, or another plant, is not covered by them.",
)


def failure_card(head: FailureHead, held: TrainingSet, verdict: Verdict) -> str:
    """Model A's card."""
    baselines = [{"model": "this model", **_baseline_row(head.scores[TEST_VIEW].metrics)}]
    baselines += [{"model": name, **_baseline_row(scores.metrics)} for name, scores in head.baselines.items()]
    tables = {
        "Four views of the same forest's score": failure_view_table(head),
        "Beside the baselines, on the test": pd.DataFrame(baselines),
        "Test failures by mode": _by_mode(head.scores[TEST_VIEW].failures),
        "Reliability on the test": head.scores[TEST_VIEW].reliability,
    }
    facts = {
        **_facts(held),
        "Alert from a probability of": head.judging.threshold,
        "Horizon (days)": head.judging.horizon_days,
    }
    return model_card("Model A: failure within the horizon", facts, tables, verdict, COMMON_LIMITS)


def time_card(head: TimeHead, held: TrainingSet, verdict: Verdict) -> str:
    """Model B's card."""
    baselines = [{"model": "this model", **head.scores[TEST_VIEW]}]
    baselines += [{"model": name, **scores} for name, scores in head.baselines.items()]
    tables = {
        "Four views of the same forest's error (days)": time_view_table(head),
        "Beside the baselines, on the test": pd.DataFrame(baselines),
        f"How often the {held.settings.model.interval_coverage:.0%} interval held the truth": head.coverage,
        "Agreement with the alerts, on the test": pd.DataFrame([dict(head.agreement)]),
    }
    cap = held.settings.model.time_to_failure_cap_days
    facts = {**_facts(held), "Days left are capped at": cap if cap is not None else "nothing"}
    limits = (*COMMON_LIMITS, "Errors count rows whose failure is on record; lives still running at the end do not enter them.")
    return model_card("Model B: days to failure", facts, tables, verdict, limits)


def _facts(held: TrainingSet) -> dict[str, object]:
    return {
        "Data": f"{held.table.identifier} version {held.version}, schema {held.schema_hash}",
        "Span": f"{held.first:%Y-%m-%d} to {held.last:%Y-%m-%d} (UTC)",
        "Split": held.split_in_words,
        "Turbines": held.turbines,
        "Rows by label": ", ".join(f"{rows:,} {status}" for status, rows in held.rows_by_status().items()),
        "Training rows": f"{held.rows_of(TRAIN):,}, {held.rows_of(TRAIN, label=1):,} of them with a failure ahead",
        "Test rows": f"{held.rows_of(TEST):,}, {held.rows_of(TEST, label=1):,} of them with a failure ahead",
        "Features": len(held.preparation.features),
    }


def _baseline_row(metrics: Mapping[str, float | None]) -> dict[str, object]:
    names = ("pr_auc", "roc_auc", "failures", "failures_caught", "false_alarms_per_turbine_month", "cost_per_turbine_month")
    return {name: metrics[name] for name in names}


def _by_mode(failures: pd.DataFrame) -> pd.DataFrame:
    """Failures, caught ones and their median lead time (days) by failure mode."""
    lead = failures.assign(failure_mode=failures["failure_mode"].fillna("not known")).groupby("failure_mode")["lead_time_days"]
    table: pd.DataFrame = pd.DataFrame({"failures": lead.size(), "caught": lead.count(), "median_lead_days": lead.median()})
    by_mode: pd.DataFrame = table.reset_index()
    return by_mode
