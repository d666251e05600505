"""Print docs/tables.md from the table catalog. Usage: .venv/bin/python bin/document_tables.py > docs/tables.md"""

from __future__ import annotations

from pyspark.sql.types import ArrayType, DataType, StructType

from turbine_health import feature_tables, tables
from turbine_health.monitor_tables import MONITOR_TABLES
from turbine_health.tables import Table

HEAD = """# Tables

Made from the table catalog (`tables.py`, `feature_tables.py`, `monitor_tables.py`) by
`.venv/bin/python bin/document_tables.py > docs/tables.md`; a test holds both together.

Every table is a Delta table in `storage.root/<layer>/<table>`; `make sql` knows each by its name. All times are UTC.
*A window includes its start and excludes its end; a prediction looks at `(window_end, window_end + horizon]`.*
Where columns follow from a plant's signals, the signal `bearing_temp_c` stands for all of them.
"""
EXAMPLE_SIGNAL, EXAMPLE_FEATURE = "bearing_temp_c", "bearing_temp_c__mean_24h"


def catalog() -> list[Table]:
    """Every table, in the order in which the jobs write them."""
    of_signals = [
        tables.bronze("example"),
        tables.sensor_readings([EXAMPLE_SIGNAL]),
        feature_tables.signal_cells([EXAMPLE_SIGNAL]),
        tables.window_features([EXAMPLE_FEATURE]),
        tables.training_examples([EXAMPLE_FEATURE]),
    ]
    order = {"bronze": 0, "quarantine": 1, "silver": 2, "gold": 3, "ops": 4}
    every = [*of_signals, *tables.FIXED_TABLES, feature_tables.FEATURE_RUNS, *MONITOR_TABLES]
    return sorted(every, key=lambda table: order[table.layer])


def section(table: Table) -> str:
    """One table: what it is, its key, and a row a column."""
    key = f"Key: {', '.join(f'`{name}`' for name in table.keys)}." if table.keys else "No key."
    rows = [row for field in table.schema for row in column_rows(field.name, field.dataType, field.nullable, field.metadata)]
    head = ["| column | type | never null | meaning |", "|---|---|---|---|"]
    return "\n".join([f"## `{table.identifier}`", "", " ".join(table.description.split()), key, "", *head, *rows, ""])


def column_rows(name: str, kind: DataType, nullable: bool, metadata: dict[str, str]) -> list[str]:
    """A column's row; a list of structs gives a row for each field of the struct too."""
    element = kind.elementType if isinstance(kind, ArrayType) else kind
    is_struct = isinstance(element, StructType)
    shown = ("array<struct>" if isinstance(kind, ArrayType) else "struct") if is_struct else kind.simpleString()
    rows = [f"| `{name}` | {shown} | {'' if nullable else 'yes'} | {metadata.get('comment', '')} |"]
    if isinstance(element, StructType):
        for field in element:
            rows += column_rows(f"{name}.{field.name}", field.dataType, True, field.metadata)
    return rows


if __name__ == "__main__":
    print("\n".join([HEAD, *map(section, catalog())]).rstrip())
