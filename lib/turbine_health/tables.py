"""The table catalog: what every table is called, holds and is keyed by.

Layers: `bronze` is text as received, `silver` is cleaned and keyed, `gold` is for models and people,
`quarantine` is what could not be used with its reasons, `ops` is the account of the runs.
All times are UTC. Metadata columns start with an underscore.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    DataType,
    DoubleType,
    IntegerType,
    LongType,
    MapType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from turbine_health.errors import TableError

TEXT, NUMBER, TIME, FLAG, COUNT, SMALL = (
    StringType(), DoubleType(), TimestampType(), BooleanType(), LongType(), IntegerType(),
)  # fmt: skip

# What a reader needs to ask "which rows were added since version 7?".
CHANGE_FEED = (("delta.enableChangeDataFeed", "true"),)
# What tells a row received from every other one, in whichever table it is now.
PROVENANCE = ("_source", "_source_file", "_source_row", "_ingested_at")


def searched_by(*columns: str) -> tuple[tuple[str, str], ...]:
    """Delta notes the least and greatest of these columns for each file; of all, it would look at every value written."""
    return (("delta.dataSkippingStatsColumns", ",".join(columns)),)


@dataclass(frozen=True)
class Table:
    """One Delta table. A column's comment says what it is, its unit and when it is null."""

    layer: str
    name: str
    schema: StructType
    keys: tuple[str, ...] = ()
    cluster_by: tuple[str, ...] = ()
    description: str = ""
    properties: tuple[tuple[str, str], ...] = ()
    unrepeated: tuple[str, ...] = ()  # columns of which hardly a value comes twice

    @property
    def identifier(self) -> str:
        """`layer.name`, as written in SQL."""
        return f"{self.layer}.{self.name}"


def column(name: str, kind: DataType, comment: str, *, required: bool = False) -> StructField:
    """A column with its comment; `required` means never null."""
    return StructField(name, kind, nullable=not required, metadata={"comment": comment})


def bronze(source_name: str) -> Table:
    """Every line ever received from one source, as text."""
    return Table(
        "bronze", source_name, _BRONZE, cluster_by=("_ingested_at",), description=bronze.__doc__ or "",
        properties=searched_by("_ingested_at", "_source_file"), unrepeated=("value",),
    )  # fmt: skip


def sensor_readings(signals: Sequence[str]) -> Table:
    """Cleaned readings. Grain: one row per `asset_id` and `event_time`."""
    values = [column(name, NUMBER, f"{name}; null: no usable reading") for name in signals]
    schema = StructType([*_READING_KEYS, *values, *_READING_PROVENANCE])
    return Table(
        "silver", "sensor_readings", schema, ("asset_id", "event_time"), ("asset_id", "event_time"),
        sensor_readings.__doc__ or "", searched_by("asset_id", "event_time", "_source", "_ingested_at", "_run_id"),
    )  # fmt: skip


def window_features(features: Sequence[str]) -> Table:
    """Trailing statistics. Grain: one row per `asset_id` and `window_end`."""
    schema = StructType([*_WINDOW_KEYS, *_features(features)])
    return Table(
        "gold", "window_features", schema, ("asset_id", "window_end"), ("asset_id", "window_end"),
        window_features.__doc__ or "", searched_by("asset_id", "window_end"), tuple(features),
    )  # fmt: skip


def training_examples(features: Sequence[str]) -> Table:
    """Features with what happened after. Grain: one row per `asset_id` and `window_end`."""
    schema = StructType([*_WINDOW_KEYS, *LABELS, *_features(features)])
    return Table(
        "gold", "training_examples", schema, ("asset_id", "window_end"), ("asset_id", "window_end"),
        training_examples.__doc__ or "", searched_by("asset_id", "window_end"), tuple(features),
    )  # fmt: skip


# --- naming ---------------------------------------------------------------------------------------

_FEATURE = re.compile(r"^(?P<signal>[a-z0-9]+(?:_[a-z0-9]+)*)__(?P<stat>[a-z0-9]+(?:_[a-z0-9]+)*?)(?:_(?P<hours>\d+)h)?$")


@dataclass(frozen=True)
class FeatureName:
    """The parts of a feature column. `signal` is `asset` for what belongs to the turbine as a whole."""

    signal: str
    statistic: str
    lookback_hours: int | None = None

    def __str__(self) -> str:
        return feature_name(self.signal, self.statistic, self.lookback_hours)


def feature_name(signal: str, statistic: str, lookback_hours: int | None = None) -> str:
    """`bearing_temp_c__mean_24h`, or `asset__age_days` for what has no look-back."""
    return f"{signal}__{statistic}" + (f"_{lookback_hours}h" if lookback_hours is not None else "")


def parse_feature_name(name: str) -> FeatureName:
    """The parts of a feature column's name. Raises `TableError` for any other name."""
    match = _FEATURE.match(name)
    if not match:
        raise TableError(f"{name!r} is not a feature column", hint="features are named <signal>__<stat>_<hours>h")
    return FeatureName(match["signal"], match["stat"], int(match["hours"]) if match["hours"] else None)


def feature_columns(columns: Iterable[str]) -> list[str]:
    """The feature columns among `columns`, in their order."""
    return [name for name in columns if not name.startswith("_") and _FEATURE.match(name)]


def schema_differences(actual: StructType, expected: StructType) -> list[str]:
    """Every way in which `actual` is not `expected` (order and nullability aside), as sentences."""
    have = {field.name: field.dataType for field in actual}
    want = {field.name: field.dataType for field in expected}
    differences = [f"column {name} is missing" for name in want if name not in have]
    differences += [f"column {name} is not known" for name in have if name not in want]
    differences += [
        f"column {name} is {have[name].simpleString()}, expected {want[name].simpleString()}"
        for name in want
        if name in have and have[name] != want[name]
    ]
    return differences


# --- columns that several tables share ------------------------------------------------------------

_SOURCE_ROW = [
    column("_source", TEXT, "name of the source description", required=True),
    column("_source_file", TEXT, "URI of the file received", required=True),
    column("_source_row", LongType(), "order of the row in its file", required=True),
    column("_ingested_at", TIME, "when the file was taken in", required=True),
]
_BRONZE = StructType([column("value", TEXT, "the line as received"), *_SOURCE_ROW])
_READING_KEYS = [
    column("asset_id", TEXT, "turbine", required=True),
    column("event_time", TIME, "time of the reading", required=True),
]
_READING_PROVENANCE = [
    column("quality_flags", ArrayType(TEXT), "`<signal>:<flag>`, e.g. `bearing_temp_c:out_of_range`; empty when fine"),
    *_SOURCE_ROW,
    column("_run_id", TEXT, "ingest batch that last wrote the row"),
]
_WINDOW_KEYS = [
    column("asset_id", TEXT, "turbine", required=True),
    column("window_end", TIME, "end of the window, excluded: features use readings before it", required=True),
    column("coverage", NUMBER, "share of the expected readings present in the shortest look-back, 0 to 1"),
    column("data_age_hours", NUMBER, "from the last reading to window_end, hours"),
]
LABELS = [
    column("failure_within_7d", SMALL, "1: fails in (window_end, window_end + horizon]; 0: does not; null: not known"),
    column("time_to_failure_days", NUMBER, "days from window_end to the failure, > 0; null when censored"),
    column("is_censored", FLAG, "records end, or the part was replaced, before a failure"),
    column("label_status", TEXT, "observed, horizon_incomplete, down, recovering, no_data, no_record", required=True),
    column("life_number", SMALL, "run between repairs, from 1; null when down"),
    column("failure_mode", TEXT, "component that ended this life in failure; null when censored"),
]


def _features(names: Sequence[str]) -> list[StructField]:
    return [column(name, NUMBER, f"{name}; null: no reading in the look-back") for name in names]


# --- tables of fixed shape ------------------------------------------------------------------------

QUARANTINE = Table(
    "quarantine", "sensor_readings",
    StructType([
        column("value", TEXT, "the line as received"),
        column("reasons", ArrayType(TEXT), "every reason, `<code>: <sentence>`", required=True),
        column("asset_id", TEXT, "turbine, where it could be read"),
        column("event_time", TIME, "time of the reading, where it could be read"),
        *_SOURCE_ROW,
        column("_quarantined_at", TIME, "when the row was set aside", required=True),
        column("_run_id", TEXT, "ingest batch that set the row aside"),
    ]),
    keys=PROVENANCE,
    description="Rows that silver does not hold, with every reason.",
)  # fmt: skip

QUARANTINED_EVENTS = Table(
    "quarantine", "asset_events",
    StructType([
        column("value", TEXT, "the entry as JSON", required=True),
        column("reasons", ArrayType(TEXT), "every reason, `<code>: <sentence>`", required=True),
        column("_source", TEXT, "name of the source description", required=True),
        column("_source_row", COUNT, "place of the entry in its log", required=True),
    ]),
    keys=("_source", "_source_row"),
    description="Entries of event logs that do not count, or count without their end, with every reason; as the logs are now.",
)  # fmt: skip

ASSET_EVENTS = Table(
    "silver", "asset_events",
    StructType([
        column("asset_id", TEXT, "turbine", required=True),
        column("event_type", TEXT, "failure, repair, maintenance or stop", required=True),
        column("started_at", TIME, "failed, stopped or taken down", required=True),
        column("ended_at", TIME, "repaired or running again; null: not yet, or not known"),
        column("component", TEXT, "part or failure mode; null: not known"),
        column("_source", TEXT, "name of the source description", required=True),
    ]),
    keys=("asset_id", "event_type", "started_at"),
    description="Failures, maintenance and stops.",
)  # fmt: skip

ASSET_LIVES = Table(
    "silver", "asset_lives",
    StructType([
        column("asset_id", TEXT, "turbine", required=True),
        column("life_number", SMALL, "from 1", required=True),
        column("life_start", TIME, "first reading, or end of the last repair", required=True),
        column("life_end", TIME, "failure; or for a running life the end of the records", required=True),
        column("ended_in_failure", FLAG, "false: right-censored", required=True),
        column("is_running", FLAG, "the turbine's last life, not ended yet", required=True),
        column("failure_mode", TEXT, "component of the failure that ended it; null when censored"),
        column("down_until", TIME, "end of the repair after it; null while running or not known"),
    ]),
    keys=("asset_id", "life_number"),
    description="Runs between repairs. They do not overlap; the end is excluded.",
)  # fmt: skip

# Delta holds no NOT NULL inside an array, so that a reason is whole is held by a test instead.
REASON = StructType([
    column("feature", TEXT, "of one signal, the feature column that moved raw_score most"),
    column("value", NUMBER, "its value in this window; null: missing"),
    column("normal", NUMBER, "its median over healthy windows of the training part"),
    column("contribution", NUMBER, "how far all features of this signal moved raw_score, signed"),
    column("words", TEXT, "value and normal for people"),
])  # fmt: skip

_PREDICTION_KEYS = [
    column("asset_id", TEXT, "turbine", required=True),
    column("window_end", TIME, "the prediction uses readings before this", required=True),
    column("scored_at", TIME, "when the row was written", required=True),
]
_PROVENANCE = [
    column("data_age_hours", NUMBER, "from the last reading to window_end, hours; null: no reading ever"),
    column("coverage", NUMBER, "share of the expected readings present in the shortest look-back, 0 to 1"),
    column("quality_status", TEXT, "ok, stale, sparse or no_data; not ok: no prediction", required=True),
    column("model_name", TEXT, "registered model", required=True),
    column("model_version", TEXT, "registered version", required=True),
    column("model_role", TEXT, "champion: served to people when written; what_if: scored on request", required=True),
    column("run_id", TEXT, "MLflow run that trained it", required=True),
    column("features_version", LongType(), "Delta version of gold.window_features that was scored", required=True),
]

FAILURE_PREDICTIONS = Table(
    "gold", "failure_predictions",
    StructType([
        *_PREDICTION_KEYS,
        column("horizon_days", NUMBER, "length of the look ahead, days", required=True),
        column("failure_probability", NUMBER, "of a failure in (window_end, window_end + horizon], calibrated, 0 to 1"),
        column("raw_score", NUMBER, "the forest's own share of votes, 0 to 1"),
        column("alert_threshold", NUMBER, "probability from which the model alerts, 0 to 1", required=True),
        column("is_alert", FLAG, "failure_probability >= alert_threshold"),
        column("reasons", ArrayType(REASON), "up to five signals that moved raw_score most, largest first; null: no score"),
        column("base_score", NUMBER, "raw_score of a window of which nothing is known"),
        column("other_contribution", NUMBER, "raw_score - base_score - the contributions in reasons"),
        *_PROVENANCE,
    ]),
    keys=("asset_id", "window_end", "model_version"),
    cluster_by=("window_end", "asset_id"),
    description="How likely each turbine is to fail within the horizon.",
)  # fmt: skip

TIME_TO_FAILURE_PREDICTIONS = Table(
    "gold", "time_to_failure_predictions",
    StructType([
        *_PREDICTION_KEYS,
        column("predicted_time_to_failure_days", NUMBER, "days from window_end, >= 0"),
        column("lower_days", NUMBER, "lower end of the interval, days"),
        column("upper_days", NUMBER, "upper end of the interval, days"),
        column("raw_time_to_failure_days", NUMBER, "the forest's own answer, days"),
        column("predicted_failure_date", TIME, "window_end plus the predicted days"),
        *_PROVENANCE,
        column("classifier_version", TEXT, "version of the classifier whose alert the days agree with", required=True),
    ]),
    keys=("asset_id", "window_end", "model_version", "classifier_version"),
    cluster_by=("window_end", "asset_id"),
    description="How many days each turbine has left, with an interval.",
)  # fmt: skip

INGEST_RUNS = Table(
    "ops", "ingest_runs",
    StructType([
        column("run_id", TEXT, "one batch of one source", required=True),
        column("_source", TEXT, "name of the source description", required=True),
        column("started_at", TIME, "start of the batch", required=True),
        column("finished_at", TIME, "end of the batch", required=True),
        column("files", COUNT, "files read", required=True),
        column("rows_in", COUNT, "lines received, header lines aside", required=True),
        column("rows_to_silver", COUNT, "rows now in silver", required=True),
        column("rows_to_quarantine", COUNT, "rows set aside, superseded ones aside", required=True),
        column("rows_superseded", COUNT, "rows replaced by a later one of the same key", required=True),
        column("reasons", MapType(TEXT, COUNT), "rows set aside by this batch, by code of their reasons"),
        column("rejected_files", ArrayType(TEXT), "files set aside whole, with the reason"),
        column("new_columns", ArrayType(TEXT), "columns that the description does not name; kept in bronze"),
        column("versions", MapType(TEXT, COUNT), "newest version of each table that the batch wrote"),
        column("seconds", NUMBER, "from start to end of the batch"),
    ]),
    keys=("run_id",),
    description="The account of every ingest batch; the sums always match.",
)  # fmt: skip

CHANGED_HOURS = Table(
    "ops", "changed_hours",
    StructType([
        column("asset_id", TEXT, "turbine", required=True),
        column("hour_start", TIME, "hour in which some reading was added or replaced", required=True),
        column("run_id", TEXT, "ingest batch that did it", required=True),
    ]),
    cluster_by=("hour_start",),
    description="Which hours of silver.sensor_readings each ingest batch touched, so that features rebuild only those.",
    properties=CHANGE_FEED,
)  # fmt: skip

FIXED_TABLES = (
    QUARANTINE, QUARANTINED_EVENTS, ASSET_EVENTS, ASSET_LIVES, FAILURE_PREDICTIONS, TIME_TO_FAILURE_PREDICTIONS,
    INGEST_RUNS, CHANGED_HOURS,
)  # fmt: skip
