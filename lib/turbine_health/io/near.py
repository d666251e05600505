"""Which part of a table's time a job looks at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Near:
    """Rows whose `column` lies in a span of time, both ends included; files without such a row need not be opened."""

    column: str
    spans: Sequence[tuple[datetime, datetime]]

    @classmethod
    def at(cls, column: str, *moments: datetime) -> Near:
        """Rows of these very moments."""
        return cls(column, [(moment, moment) for moment in moments])

    def sql(self, table: str = "") -> str:
        """As a condition on the columns of `table`, an alias with its dot."""
        column = f"{table}`{self.column}`"
        of_each = (
            f"({column} >= TIMESTAMP '{first.isoformat()}' AND {column} <= TIMESTAMP '{last.isoformat()}')"
            for first, last in self.spans
        )
        return " OR ".join(of_each)
