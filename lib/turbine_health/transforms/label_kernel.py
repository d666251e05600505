"""The labels of windows, in numpy: what came of each in the life that it lies in. What they mean: `labels`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from turbine_health.settings import LabelSettings
from turbine_health.transforms.cells import nullable
from turbine_health.transforms.kernels import Booleans, Floats, Integers
from turbine_health.transforms.slicing import MICROSECONDS, Kernel, sorted_codes

SECONDS_PER_DAY = 86_400
MICROSECONDS_PER_DAY = SECONDS_PER_DAY * MICROSECONDS
# What of silver.asset_lives decides a label; times as microseconds since 1970.
LIFE_FIELDS = ("life_start", "life_end", "life_number", "ended_in_failure", "is_running", "failure_mode")


@dataclass(frozen=True)
class Lives:
    """The lives of some windows, a row a window; whatever where `is_down`."""

    is_down: Booleans
    start: Integers
    end: Integers
    number: Integers
    failed: Booleans
    mode: NDArray[np.object_]


def lives_by_turbine(rows: Iterable[Mapping[Any, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Rows with `asset_id` and `LIFE_FIELDS` → turbine → its lives, in order."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["asset_id"], []).append({name: row[name] for name in LIFE_FIELDS})
    return {asset_id: sorted(lives, key=lambda life: life["life_start"]) for asset_id, lives in found.items()}


def labelling(lives: Mapping[str, list[dict[str, Any]]], labels: LabelSettings, unrecorded: Collection[str] = ()) -> Kernel:
    """What adds the columns of labels to windows: kernel from batches with `asset_id`, `window_end` and `coverage`.

    Args:
        lives: By `lives_by_turbine`, of all turbines.
        labels: Horizon (days) and recovering time (hours).
        unrecorded: Turbines whose failures nobody writes down.
    """

    def label(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for windows in batches:
            if len(windows):
                columns = dict(zip(windows.schema.names, windows.columns, strict=True))
                yield pa.RecordBatch.from_pydict({**columns, **label_columns(windows, lives, labels, unrecorded)})

    return label


def label_columns(
    windows: pa.RecordBatch, lives: Mapping[str, list[dict[str, Any]]], labels: LabelSettings, unrecorded: Collection[str]
) -> dict[str, pa.Array]:
    """The labels of windows, see `labelling`."""
    codes, asset_ids = sorted_codes(windows["asset_id"])
    names = asset_ids.to_pylist()
    ends = windows["window_end"].cast(pa.int64()).to_numpy()
    own = _lives_of(codes, ends, [lives.get(name, []) for name in names])
    is_recorded = ~np.isin(names, list(unrecorded))[codes]
    is_covered = windows["coverage"].fill_null(1.0).to_numpy(zero_copy_only=False) != 0
    days_left: Floats = (own.end - ends) / MICROSECONDS_PER_DAY
    is_recovering = (own.number > 1) & ((ends - own.start) / MICROSECONDS_PER_DAY < labels.recovering_hours / 24)
    is_known = own.failed | (days_left >= labels.horizon_days)
    status = np.select(
        [~is_recorded, own.is_down, is_recovering, ~is_covered, is_known],
        ["no_record", "down", "recovering", "no_data", "observed"],
        "horizon_incomplete",
    )
    is_observed = status == "observed"
    is_labelled = is_observed | (status == "horizon_incomplete")
    comes_soon = own.failed & (days_left <= labels.horizon_days)
    return {
        "failure_within_7d": pa.array(comes_soon.astype(np.int32), mask=~is_observed),
        "time_to_failure_days": nullable(np.where(is_labelled & own.failed, days_left, np.nan)),
        "is_censored": pa.array(~own.failed, mask=~is_labelled),
        "label_status": pa.array(status, pa.string()),
        "life_number": pa.array(own.number.astype(np.int32), mask=own.is_down),
        "failure_mode": pa.array(own.mode, pa.string(), mask=~(is_labelled & own.failed)),
    }


def _lives_of(codes: Integers, ends: Integers, lives: list[list[dict[str, Any]]]) -> Lives:
    """The life that each window lies in; one that still runs is open-ended.

    Args:
        codes: Number of each window's turbine.
        ends: Of the windows, microseconds.
        lives: Of each turbine, in order.
    """
    flat = [life for of_turbine in lives for life in of_turbine]
    place = np.zeros(len(ends), dtype=np.int64)
    is_down = np.ones(len(ends), dtype=bool)
    first = 0
    for code, of_turbine in enumerate(lives):
        rows = np.flatnonzero(codes == code)
        before = np.searchsorted([life["life_start"] for life in of_turbine], ends[rows], side="right")
        place[rows], is_down[rows] = first + np.maximum(before - 1, 0), before == 0
        first += len(of_turbine)
    if not flat:
        empty = np.zeros(len(ends), dtype=np.int64)
        return Lives(is_down, empty, empty, empty, empty.astype(bool), np.full(len(ends), None))
    place = np.minimum(place, len(flat) - 1)
    columns = {name: np.array([life[name] for life in flat])[place] for name in LIFE_FIELDS[:-1]}
    mode = np.array([life["failure_mode"] for life in flat], dtype=np.object_)[place]
    is_down |= ~columns["is_running"] & (ends >= columns["life_end"])
    return Lives(
        is_down, columns["life_start"], columns["life_end"], columns["life_number"],
        columns["ended_in_failure"], mode,
    )  # fmt: skip
