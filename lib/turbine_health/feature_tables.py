"""Tables that only the feature stage writes and reads: the cells, and the account of its runs."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql.types import LongType, StructType

from turbine_health.tables import COUNT, NUMBER, TEXT, TIME, Table, column, searched_by

# Where a row of a table lies while it is being merged: its file's number among those that were read, and its own in that file.
PLACE = ("_file", "_row")
CELL_PARTS = (
    ("count", COUNT), ("mean", NUMBER), ("m2", NUMBER), ("min", NUMBER), ("max", NUMBER), ("first", NUMBER), ("last", NUMBER),
)  # fmt: skip


def signal_cells(signals: Sequence[str]) -> Table:
    """Mergeable summary of the readings of one turbine in one cell. Grain: `asset_id`, `cell_start`."""
    values = [column(cell_column(name, part), kind, f"{part} of {name}") for name in signals for part, kind in CELL_PARTS]
    return Table(
        "gold", "signal_cells", StructType([*_CELL_KEYS, *values]), ("asset_id", "cell_start"), ("asset_id", "cell_start"),
        signal_cells.__doc__ or "", searched_by("asset_id", "cell_start"),
        tuple(cell_column(name, part) for name in signals for part, kind in CELL_PARTS if kind == NUMBER),
    )  # fmt: skip


def cell_column(signal: str, part: str) -> str:
    """Column of `gold.signal_cells`: `bearing_temp_c__m2`."""
    return f"{signal}__{part}"


_CELL_KEYS = [
    column("asset_id", TEXT, "turbine", required=True),
    column("cell_start", TIME, "start of the cell, included", required=True),
    column("readings", COUNT, "rows of silver.sensor_readings in the cell", required=True),
    column("usable_readings", COUNT, "of them, rows with a value for at least one signal", required=True),
    column(
        "flagged_readings",
        COUNT,
        "of them, rows with a quality flag other than a spike, which a later reading decides",
        required=True,
    ),
    column("expected_readings", NUMBER, "readings of a full cell at the source's sampling", required=True),
    column("last_usable_at", TIME, "time of the last usable reading; null: none"),
]

FEATURE_RUNS = Table(
    "ops", "feature_runs",
    StructType([
        column("run_id", TEXT, "one build", required=True),
        column("started_at", TIME, "start of the build", required=True),
        column("finished_at", TIME, "end of the build", required=True),
        column("kind", TEXT, "full or incremental", required=True),
        column("settings_hash", TEXT, "of the settings that decide what a feature or label is", required=True),
        column("readings_version", LongType(), "Delta version of silver.sensor_readings that was read", required=True),
        column("changes_version", LongType(), "Delta version of ops.changed_hours, taken in up to here", required=True),
        column("lives_version", LongType(), "Delta version of silver.asset_lives that was read", required=True),
        column("events_version", LongType(), "the same of silver.asset_events; null: no feature needed it"),
        column("cells_written", COUNT, "rows of gold.signal_cells inserted or updated", required=True),
        column("windows_written", COUNT, "rows of gold.window_features inserted or updated", required=True),
        column("examples_written", COUNT, "rows of gold.training_examples inserted or updated", required=True),
    ]),
    keys=("run_id",),
    description="Which readings, changes and lives each build of the features has taken in.",
)  # fmt: skip
