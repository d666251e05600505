"""The settings of features: which trailing statistics of which signals, over which look-backs, on which grid."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from turbine_health.section import Section

Statistic = Literal["mean", "std", "min", "max", "last", "range", "count", "missing_share", "slope", "change", "deviation"]
AssetStatistic = Literal["age_days", "flagged_share", "data_age_hours"]
Event = Literal["failures", "repairs", "maintenance", "stops"]


class FeatureSet(Section):
    """Every statistic of every signal over every look-back.

    `slope` is per day, by least squares; `change` is the mean over the shortest look-back minus the
    mean over each longer one; `deviation` is the mean minus the turbine's own baseline, that over the first
    `baseline_hours` of its life; `missing_share` counts what the sampling let expect; `std` is of a sample.
    """

    signals: tuple[str, ...] = Field((), description="Empty: every signal of every source.")
    statistics: tuple[Statistic, ...] = Field(("mean", "std", "min", "max"), min_length=1)
    lookback_hours: tuple[int, ...] = Field((24, 168, 720), min_length=1)

    @field_validator("lookback_hours")
    @classmethod
    def _ordered(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        return _ordered_lookbacks(value)


class EventCounts(Section):
    """How many events of a kind began in each look-back: `failures__count_2160h`. A repair does not set them to zero."""

    events: tuple[Event, ...] = Field(min_length=1)
    lookback_hours: tuple[int, ...] = Field((720, 2160), min_length=1)

    @field_validator("lookback_hours")
    @classmethod
    def _ordered(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        return _ordered_lookbacks(value)


def _ordered_lookbacks(value: tuple[int, ...]) -> tuple[int, ...]:
    if min(value) <= 0 or len(set(value)) < len(value):
        raise ValueError("look-backs must be positive and each given once")
    return tuple(sorted(value))


class FeatureSettings(FeatureSet):
    """Which trailing statistics of which signals, on which grid."""

    step_minutes: int = Field(60, ge=1, le=1_440, description="Length of a cell.")
    every_hours: float = Field(6, gt=0, le=168, description="A window ends every so many hours.")
    further_sets: tuple[FeatureSet, ...] = Field((), description="For signals or look-backs with other statistics.")
    asset_statistics: tuple[AssetStatistic, ...] = Field(
        ("age_days",),
        description="Of the turbine as a whole: days since its last repair; share of flagged readings; age of the last one.",
    )
    event_counts: EventCounts | None = Field(None, description="Of silver.asset_events. Null: none.")
    baseline_hours: int = Field(480, ge=1, description="From a life's start; in a younger life, what there is so far.")
    min_coverage: float = Field(0.0, ge=0, le=1, description="A statistic of fewer readings than this share is null.")
    chunk_days: int = Field(120, ge=1, description="A worker holds this many days of one turbine, plus the look-back.")

    @property
    def sets(self) -> tuple[FeatureSet, ...]:
        """All feature sets, this one first."""
        return (self, *self.further_sets)

    @model_validator(mode="after")
    def _whole_cells(self) -> FeatureSettings:
        if 1_440 % self.step_minutes:
            raise ValueError("step_minutes must divide a day (1440)")
        if (self.every_hours * 60) % self.step_minutes:
            raise ValueError("every_hours must be a whole number of cells")
        for hours in sorted({self.baseline_hours, *(hours for each in self.sets for hours in each.lookback_hours)}):
            if (hours * 60) % self.step_minutes:
                raise ValueError(
                    f"look-back or baseline of {hours} hours is not a whole number of {self.step_minutes}-minute cells"
                )
        return self
