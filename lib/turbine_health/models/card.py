"""The model card: what a registered version was trained on, how good it is and where it is not, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from turbine_health.models.gate import Verdict

UNKNOWN = "–"


def model_card(
    title: str, facts: Mapping[str, object], tables: Mapping[str, pd.DataFrame], verdict: Verdict, limits: Sequence[str]
) -> str:
    """One Markdown page.

    Args:
        title: Model and run.
        facts: What it was trained on and how, label → value.
        tables: Heading → small table.
        verdict: Of the gate.
        limits: What the numbers do not show.
    """
    lines = [f"# {title}", "", *(f"- **{label}**: {_cell(value)}" for label, value in facts.items()), ""]
    for heading, table in tables.items():
        lines += [f"## {heading}", "", *markdown_table(table), ""]
    decision = "becomes champion" if verdict.passes else "stays challenger"
    lines += ["## Gate", "", f"The model {decision}.", ""]
    lines += [f"- {'holds' if condition.holds else '**fails**'}: {condition.sentence}" for condition in verdict.conditions]
    lines += [f"- **not judged**: {reason}" for reason in verdict.not_judged]
    lines += ["", "## Known limits", "", *(f"- {limit}" for limit in limits), ""]
    return "\n".join(lines)


def markdown_table(table: pd.DataFrame) -> list[str]:
    """Lines of a table; numbers short, unknown as a dash.

    >>> markdown_table(pd.DataFrame({"view": ["test"], "pr_auc": [0.51234], "failures": [17.0]}))
    ['| view | pr_auc | failures |', '|---|---|---|', '| test | 0.512 | 17 |']
    """
    head = f"| {' | '.join(str(name).replace('_', ' ') if ' ' in str(name) else str(name) for name in table.columns)} |"
    rows = [f"| {' | '.join(_cell(value) for value in row)} |" for row in table.itertuples(index=False)]
    return [head, f"|{'---|' * len(table.columns)}", *rows]


def _cell(value: object) -> str:
    if isinstance(value, float):
        if value != value:
            return UNKNOWN
        return (
            f"{value:,.0f}"
            if value == round(value) or abs(value) >= 1000
            else f"{value:,.3g}"
            if abs(value) < 1
            else f"{value:,.2f}"
        )
    return UNKNOWN if value is None else str(value)
