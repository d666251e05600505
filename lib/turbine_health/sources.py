"""What a source description (`conf/sources/NAME.yaml`) can say about a plant's raw logs.

A description is all it takes to add a plant: no code. Everything it does not name is kept in
bronze as text and ignored after it.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from turbine_health.patterns import group_names, regex_problem, time_format_problem

SIGNAL_NAME = r"^[a-z][a-z0-9]*(_[a-z0-9]+)+$"
SOURCE_NAME = r"^[a-z][a-z0-9_]*$"
# Columns that stand beside the signals in some table or on the way there.
OUR_COLUMNS = frozenset({
    "asset_id", "event_time", "quality_flags", "is_new", "is_settled", "is_flagged", "expected_readings", "hour_start",
    "cell_start", "window_start", "window_end", "data_age_hours", "failure_within_7d", "time_to_failure_days", "is_censored",
    "label_status", "life_number", "failure_mode", "period_start",
})  # fmt: skip


class Description(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _time_zone(zone: str) -> str:
    if zone not in available_timezones():
        raise ValueError(f"{zone!r} is not an IANA time zone")
    ZoneInfo(zone)
    return zone


def _time_format(pattern: str) -> str:
    problem = time_format_problem(pattern)
    if problem:
        raise ValueError(problem)
    return pattern


def _delimiter(text: str) -> str:
    if text != "blanks" and (len(text) != 1 or text in "\r\n"):
        raise ValueError(f"{text!r} is not one character, nor the word `blanks`")
    return text


def _log_delimiter(text: str) -> str:
    if len(text) != 1 or text in "\r\n":
        raise ValueError(f"{text!r} is not one character")
    return text


TimeZone = Annotated[str, AfterValidator(_time_zone)]
TimeFormat = Annotated[str, AfterValidator(_time_format)]


class Files(Description):
    """Where the logs are and how they are cut into rows and fields: files, or the messages of a Kafka topic."""

    path: str = Field(description="File, folder or glob, relative to the working directory; of Kafka, host:port,host:port.")
    format: Literal["csv", "json", "parquet", "kafka"] = "csv"
    delimiter: Annotated[str, AfterValidator(_delimiter)] = Field(
        ",", description="One character, or `blanks` for runs of blanks."
    )
    header: bool = True
    columns: tuple[str, ...] = Field((), description="Column names in order, for rows without a header.")
    quote: str = Field('"', max_length=1, description="Encloses a field that holds the delimiter; empty: nothing does.")
    topic: str | None = Field(None, description="Of Kafka; one message is one row.")
    message_format: Literal["csv", "json"] = Field("json", description="What the messages of a topic are.")
    options: dict[str, str] = Field(default_factory=dict, description="Further options of Spark's Kafka source: `kafka.…`.")

    @property
    def is_delimited(self) -> bool:
        """Whether a row is a line of fields, not a JSON object."""
        return (self.message_format if self.format == "kafka" else self.format) == "csv"

    @property
    def has_header(self) -> bool:
        """Whether each file names its columns."""
        return self.format == "csv" and self.header

    @model_validator(mode="after")
    def _named_columns(self) -> Files:
        if self.is_delimited and not self.has_header and not self.columns:
            raise ValueError("rows without a header need `columns`, the names in order")
        if (self.format == "kafka") != (self.topic is not None):
            raise ValueError("give a `topic` with `format: kafka`, and only with that")
        return self


class AssetId(Description):
    """Which turbine a row belongs to: a column, a part of the file name, or both."""

    column: str | None = None
    file_pattern: str | None = Field(
        None, description="Regular expression on the file name; its named groups can be used in `template`."
    )
    template: str = Field("{column}", description="`{column}` and the groups of `file_pattern`, for example `{set}-{column}`.")
    known: tuple[str, ...] = Field((), description="All turbines of the plant; empty accepts any.")

    @model_validator(mode="after")
    def _has_an_origin(self) -> AssetId:
        if self.column is None and self.file_pattern is None:
            raise ValueError("name a `column`, a `file_pattern`, or both")
        problem = regex_problem(self.file_pattern) if self.file_pattern else None
        problems = [f"file_pattern {problem}"] if problem else self._template_problems()
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _template_problems(self) -> list[str]:
        groups = group_names(self.file_pattern) if self.file_pattern else ()
        there = (*(["column"] if self.column else []), *groups)
        used = re.findall(r"\{(\w+)\}", self.template)
        unknown = [name for name in used if name not in there]
        problems = []
        if unknown or not used:
            named = ", ".join(f"{{{name}}}" for name in unknown) or "nothing"
            known = ", ".join(f"{{{name}}}" for name in there)
            problems.append(f"template {self.template!r} names {named}; there is {known or 'no named group'}")
        if self.file_pattern is not None and not set(used) & set(groups):
            problems.append(f"template {self.template!r} uses no group of file_pattern: a group is written (?P<name>…)")
        return problems


class Timestamps(Description):
    """When a row was measured, as text in a column."""

    column: str
    format: TimeFormat | None = Field(None, description="Spark datetime pattern; empty means ISO 8601.")
    time_zone: TimeZone | None = Field(None, description="IANA zone of times without an offset, e.g. `Europe/Paris`.")
    file_time_zones: dict[str, TimeZone] = Field(
        default_factory=dict, description="Glob on the file name -> IANA zone, for loggers left in local time."
    )


class Counter(Description):
    """When a row was measured, as a count of equal steps since a base date.

    Count `first` covers `[base, base + unit)`, so its reading is stamped with the step's start.
    """

    column: str
    unit: Literal["hours", "days"] = "days"
    base: datetime
    first: int = 1


class Time(Description):
    """Exactly one of a timestamp column and a counter column."""

    timestamp: Timestamps | None = None
    counter: Counter | None = None

    @model_validator(mode="after")
    def _one_of(self) -> Time:
        if (self.timestamp is None) == (self.counter is None):
            raise ValueError("give either `timestamp` or `counter`")
        return self


class Signal(Description):
    """One measured quantity. The canonical value is `raw * scale + offset`, in the name's unit."""

    name: str = Field(pattern=SIGNAL_NAME, description="`<signal>_<unit>`, e.g. `bearing_temp_c`.")
    column: str
    unit: str = Field(description="Canonical unit in words, e.g. `deg C`.")
    scale: float = 1.0
    offset: float = 0.0
    valid_range: tuple[float, float] | None = Field(None, description="Inclusive, in the canonical unit.")
    missing_values: tuple[float, ...] = Field((), description="Raw values that mean `no reading`, e.g. -999.")
    decimal_comma: bool = False
    expected_constant: bool = Field(False, description="A setting, not a sensor: never called frozen.")

    @field_validator("name")
    @classmethod
    def _not_ours(cls, name: str) -> str:
        if name in OUR_COLUMNS:
            raise ValueError(f"{name!r} is a column of our own; name the signal <signal>_<unit>")
        return name

    @field_validator("valid_range")
    @classmethod
    def _ordered(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value and value[0] >= value[1]:
            raise ValueError("the lower end must be below the upper end")
        return value


class EventLog(Description):
    """Failures and repairs written down by people: a file of its own."""

    kind: Literal["event_log"] = "event_log"
    path: str
    delimiter: Annotated[str, AfterValidator(_log_delimiter)] = ","
    asset_column: str = "asset_id"
    type_column: str | None = Field(None, description="failure, repair, maintenance or stop; empty: all failures.")
    component_column: str | None = "component"
    started_column: str = "failed_at"
    ended_column: str | None = "repaired_at"
    time_format: TimeFormat | None = None
    time_zone: TimeZone | None = None


class LastReading(Description):
    """Run to failure: the step after a series' last reading is its failure."""

    kind: Literal["last_reading"] = "last_reading"
    file_glob: str = Field("*", description="Only the series of these files end in failure, e.g. `train_*`.")


class FlagColumn(Description):
    """A column that is 1 while the turbine has failed."""

    kind: Literal["flag_column"] = "flag_column"
    column: str
    failed_value: str = "1"


class NoFailures(Description):
    """The plant records none."""

    kind: Literal["none"] = "none"


Failures = Annotated[EventLog | LastReading | FlagColumn | NoFailures, Field(discriminator="kind")]


class Source(Description):
    """One plant's logs."""

    name: str = Field(pattern=SOURCE_NAME)
    description: str = ""
    files: Files
    asset_id: AssetId
    time: Time
    sampling_minutes: float = Field(gt=0, description="Nominal time between two readings of one turbine.")
    signals: tuple[Signal, ...] = Field(min_length=1)
    power_signal: str | None = Field(None, description="Tells running from standstill, for the health flags.")
    wind_signal: str | None = Field(None, description="Tells calm from trouble, for the health flags.")
    failures: Failures = NoFailures()

    @property
    def step(self) -> timedelta:
        """From one reading to the next: the counter's step, or the sampling."""
        counter = self.time.counter
        return timedelta(**{counter.unit: 1}) if counter else timedelta(minutes=self.sampling_minutes)

    @model_validator(mode="after")
    def _names_fit(self) -> Source:
        names = [signal.name for signal in self.signals]
        repeated = sorted({name for name in names if names.count(name) > 1})
        problems = [f"signals named twice: {', '.join(repeated)}"] if repeated else []
        problems += [
            f"{role!r} is not one of the signals ({', '.join(names)})"
            for role in (self.power_signal, self.wind_signal)
            if role and role not in names
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self
