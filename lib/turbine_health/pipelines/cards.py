"""The model cards of both heads."""

from __future__ import annotations

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
    test = head.scores[TEST_VIEW]
    tables = {
        "Views, baselines and champion": failure_view_table(head),
        "Test failures by mode": _by_mode(test.lead_times),
        "If only so many turbines can be inspected a day": head.inspections,
        "Reliability on the test": test.reliability,
    }
    facts = {
        **_facts(held),
        "Alert from a probability of": head.serving.threshold,
        "Horizon (days)": head.judging.horizon_days,
    }
    limit = "The calibration was fitted on the rows of `unseen turbines`: there, its error (ece) is too good to be true."
    return model_card("Model A: failure within the horizon", facts, tables, verdict, (*COMMON_LIMITS, limit))


def time_card(head: TimeHead, held: TrainingSet, verdict: Verdict) -> str:
    """Model B's card."""
    tables = {
        "Views, baselines and champion: errors in days": time_view_table(head),
        f"How often the {held.settings.model.interval_coverage:.0%} interval held the truth": head.coverage,
        "Agreement with the alerts, on the test": pd.DataFrame([dict(head.agreement)]),
    }
    cap = held.settings.model.time_to_failure_cap_days
    facts = {**_facts(held), "Days left are capped at": cap if cap is not None else "nothing"}
    limits = (
        *COMMON_LIMITS,
        "Errors count rows whose failure is on record; lives still running at the end do not enter them.",
        "`covered` is of windows that end at least the cap before the records do. Of later ones only failures are known, not "
        "who survives; `covered_of_known` has them too.",
    )
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


def _by_mode(lead_times: pd.DataFrame) -> pd.DataFrame:
    """Failures, caught ones and their median lead time (days) by failure mode."""
    each = lead_times.loc[lead_times.index.repeat(lead_times["failures"])]
    lead = each.groupby("failure_mode")["lead_time_days"]
    table: pd.DataFrame = pd.DataFrame({"failures": lead.size(), "caught": lead.count(), "median_lead_days": lead.median()})
    by_mode: pd.DataFrame = table.reset_index()
    return by_mode
