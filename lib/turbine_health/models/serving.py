"""What scoring needs beside the fitted pipeline, as kept in `serving.json` of each run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from turbine_health.errors import TrackingError


@dataclass(frozen=True)
class Calibration:
    """A rising line through points: forest's raw score → probability, both 0 to 1."""

    raw: tuple[float, ...]
    probability: tuple[float, ...]


@dataclass(frozen=True)
class Interval:
    """How far the truth lay from the prediction, by band of predicted days.

    Band `i` holds predictions up to `bands[i]`; the last band holds all above the others.
    `upper_offset` is null where the interval is open above: the cap is within reach.
    """

    bands: tuple[float, ...]
    lower_offset: tuple[float, ...]
    upper_offset: tuple[float | None, ...]
    coverage: float


@dataclass(frozen=True)
class ClassifierServing:
    """Of the head that says how likely a failure is."""

    features: tuple[str, ...]
    horizon_days: float
    threshold: float
    calibration: Calibration
    healthy_medians: Mapping[str, float]
    features_table_version: int
    stale_after_hours: float
    min_coverage: float

    def to_json(self) -> dict[str, Any]:
        """As written to `serving.json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ClassifierServing:
        """As read from `serving.json`."""
        try:
            points = values["calibration"]
            calibration = Calibration(tuple(points["raw"]), tuple(points["probability"]))
            return cls(**{**values, "features": tuple(values["features"]), "calibration": calibration})
        except (KeyError, TypeError) as error:
            raise _unreadable("classifier", error) from None


@dataclass(frozen=True)
class RegressorServing:
    """Of the head that says how many days are left."""

    features: tuple[str, ...]
    cap_days: float | None
    interval: Interval

    def to_json(self) -> dict[str, Any]:
        """As written to `serving.json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> RegressorServing:
        """As read from `serving.json`."""
        try:
            kept = values["interval"]
            interval = Interval(
                bands=tuple(kept["bands"]),
                lower_offset=tuple(kept["lower_offset"]),
                upper_offset=tuple(kept["upper_offset"]),
                coverage=float(kept["coverage"]),
            )
            return cls(tuple(values["features"]), values["cap_days"], interval)
        except (KeyError, TypeError) as error:
            raise _unreadable("regressor", error) from None


def _unreadable(head: str, error: Exception) -> TrackingError:
    return TrackingError(
        f"serving.json of the {head} does not say what this version needs ({error})", hint="train a new model: jobs/train.py"
    )
