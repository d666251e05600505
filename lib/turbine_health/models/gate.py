"""Whether a new model may score the fleet: each condition with what was found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from turbine_health.errors import TableError
from turbine_health.tables import parse_feature_name

# A label copied into a feature gives 1.000 and nearly all of the gain; the best forests on run-to-failure data, where
# every failure announces itself, give 0.97 and spread the gain over dozens of features.
LEAK_PR_AUC = 0.99
LEAK_SHARE = 0.3
# A signal that leaks through a dozen statistics leaves each of them little.
LEAK_SIGNAL_SHARE = 0.6
ASSET = "asset"


@dataclass(frozen=True)
class Condition:
    """One thing a model must show."""

    holds: bool
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """All conditions; the model passes when every one holds."""

    conditions: tuple[Condition, ...]
    not_judged: tuple[str, ...] = ()
    """Conditions that could not be looked at, and why."""

    @property
    def passes(self) -> bool:
        """Whether the model becomes champion."""
        return all(condition.holds for condition in self.conditions)

    @property
    def reasons(self) -> list[str]:
        """What the failed conditions found."""
        return [condition.sentence for condition in self.conditions if not condition.holds]


def judge(
    failures: int,
    min_failures: int,
    training_failures: int,
    min_training_failures: int,
    score: str,
    value: float | None,
    baselines: Mapping[str, float | None],
    difference_to_champion: tuple[float, float] | None,
    leak: str | None = None,
    not_judged: str | None = None,
) -> Verdict:
    """Hold a model against the gate.

    Args:
        failures: Distinct failures in the test.
        min_failures: Fewer prove nothing.
        training_failures: Distinct failures that the model has learned from.
        min_training_failures: Fewer teach nothing.
        score: What is compared, in words; lower is better.
        value: The new model's; None: could not be computed.
        baselines: The same of each baseline, by name; None: could not be computed.
        difference_to_champion: Confidence interval of new minus champion on the same test; None: there is no champion.
        leak: Why a feature seems to know the future; None: none does.
        not_judged: Why there is a champion and it was not compared with; None: it was, or there is none.
    """
    learned = f"the training part holds {training_failures} distinct failures; {min_training_failures} are needed"
    conditions = [
        Condition(failures >= min_failures, f"the test holds {failures} distinct failures; {min_failures} are needed"),
        Condition(training_failures >= min_training_failures, learned),
        *(_beats(name, other, score, value) for name, other in baselines.items() if other is not None),
    ]
    if difference_to_champion is not None:
        low, high = difference_to_champion
        conditions.append(
            Condition(high < 0, f"{score} minus the champion's lies between {low:,.2f} and {high:,.2f}; it must be below zero")
        )
    if leak is not None:
        conditions.append(Condition(False, f"{leak}: it seems to know the future"))
    return Verdict(tuple(conditions), (not_judged,) if not_judged else ())


def cannot_be_compared(version: str, missing: Sequence[str]) -> str:
    """Why a champion that can score nothing any more stands in nobody's way.

    >>> cannot_be_compared("3", ["x__mean_24h"])
    'champion version 3 could not score the test: the table no longer has x__mean_24h'
    """
    named = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
    return f"champion version {version} could not score the test: the table no longer has {named}"


def suspected_leak(importance: Mapping[str, float], pr_auc: float | None) -> str | None:
    """One feature or signal that carries most of a forest which is hardly ever wrong; sensors are not that good.

    Args:
        importance: Feature (or `missing:<feature>`, `regime:<feature>`) → share of the forest's gain, 0 to 1.
        pr_auc: On the test.

    >>> suspected_leak({"a": 0.7, "b": 0.3}, 1.0)
    'a alone carries 70 % of the gain at a PR-AUC of 1.000'
    >>> suspected_leak({"x_c__mean_24h": 0.25, "x_c__max_24h": 0.25, "missing:x_c__mean_24h": 0.2, "y_c__max_24h": 0.25}, 1.0)
    'x_c by all its statistics alone carries 70 % of the gain at a PR-AUC of 1.000'
    """
    if pr_auc is None or pr_auc < LEAK_PR_AUC:
        return None
    of_signals: dict[str, float] = defaultdict(float)
    for name, share in importance.items():
        of_signals[_signal_of(name)] += share
    of_signals.pop("", None)
    by_signal = {f"{signal} by all its statistics": share for signal, share in of_signals.items()}
    for shares, limit in ((importance, LEAK_SHARE), (by_signal, LEAK_SIGNAL_SHARE)):
        largest = max(shares, key=lambda name: shares[name], default="")
        if largest and shares[largest] >= limit:
            return f"{largest} alone carries {shares[largest] * 100:.0f} % of the gain at a PR-AUC of {pr_auc:.3f}"
    return None


def _signal_of(name: str) -> str:
    """The signal of a place in the vector; empty for what belongs to the turbine as a whole, or to no signal."""
    try:
        signal = parse_feature_name(name.rpartition(":")[2]).signal
    except TableError:
        return ""
    return "" if signal == ASSET else signal


def _beats(name: str, other: float, score: str, value: float | None) -> Condition:
    if value is None:
        return Condition(False, f"{score} could not be computed, so it does not beat {name}")
    return Condition(value < other, f"{score} is {value:,.2f}; {name} has {other:,.2f}")
