"""Folds in time within the training part: each block of time is judged by what was known before it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from turbine_health.errors import DataError
from turbine_health.transforms.labels import days_between
from turbine_health.transforms.splits import TRAIN, UNUSED, Border, border_at

JUDGED = "judged"


@dataclass(frozen=True)
class TimeFold:
    """One block of time to be judged, UTC: from `border.test_from` on; what ends by `border.train_until` teaches."""

    border: Border
    judged_before: datetime | None
    """Start of the next block; None: the block reaches to the end of the training part."""


def time_folds(first: datetime, last: datetime, blocks: int, embargo_days: float) -> tuple[TimeFold, ...]:
    """Cut a span into equal blocks; the first only teaches, each later one is judged, earliest first.

    Args:
        first: Earliest window end of the training part, UTC.
        last: Latest one.
        blocks: How many are judged.
        embargo_days: From the last row that teaches to the first that is judged; at least the horizon of the labels.

    Raises:
        DataError: A block would be no longer than the embargo.
    """
    length = (last - first) / (blocks + 1)
    # A day more, as borders are moved back to midnight.
    if length < timedelta(days=embargo_days + 1):
        raise DataError(
            f"training rows from {first:%Y-%m-%d} to {last:%Y-%m-%d} are too short a time to judge {blocks} blocks of it, "
            f"each with an embargo of {embargo_days:g} days before it",
            where="model.tuning.time_blocks",
            hint="give fewer, take in a longer record, or leave model.tuning out",
        )
    borders = [border_at(first + length * number, embargo_days) for number in range(1, blocks + 1)]
    ends = [*(border.test_from for border in borders[1:]), None]
    return tuple(TimeFold(border, end) for border, end in zip(borders, ends, strict=True))


def with_time_fold(rows: DataFrame, fold: TimeFold) -> DataFrame:
    """Say which training rows teach and which are judged when one block of time is held out.

    Grain: as `rows`.

    Args:
        rows: Needs `window_end` (UTC), `part` and `days_known` as known at the border of the test.
        fold: From `time_folds`.

    Returns:
        `rows` with another `part`: `train`; `judged`; `unused` (the embargo, later blocks, and all that was not `train`).
        `days_known` of a row that teaches is null where it was not yet known when the block began.
    """
    is_training, window_end = F.col("part") == TRAIN, F.col("window_end")
    is_learned = is_training & (window_end <= F.lit(fold.border.train_until))
    is_judged = is_training & (window_end >= F.lit(fold.border.test_from))
    if fold.judged_before is not None:
        is_judged &= window_end < F.lit(fold.judged_before)
    # Whatever the days count to, a failure or the cap, it was seen when they had passed.
    was_seen = F.col("days_known") <= days_between(window_end, F.lit(fold.border.test_from))
    return rows.withColumns({
        "part": F.when(is_learned, TRAIN).when(is_judged, JUDGED).otherwise(UNUSED),
        "days_known": F.when(~is_learned | was_seen, F.col("days_known")),
    })  # fmt: skip
