"""Alerts as people meet them: single windows flicker, an episode opens once and closes once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from turbine_health.settings import AlertSettings
from turbine_health.transforms.labels import days_between

MICROSECONDS_PER_HOUR = 3_600_000_000
_RUN_SCHEMA = (
    "asset_id string, life_number int, opened_us long, first_alert_us long, last_alert_us long, closed_us long, "
    "alerting_windows long, peak_probability double, peak_us long"
)


def lives_known_at(lives: DataFrame, now: Column) -> DataFrame:
    """Lives as the records told them at `now`: what happened later has not happened.

    Grain: one row per `asset_id` and `life_number` that had begun.

    Args:
        lives: silver.asset_lives.
        now: Time, UTC.
    """
    is_over = ~F.col("is_running") & (F.col("life_end") <= now)
    return lives.where(F.col("life_start") <= now).withColumns({
        "ended_in_failure": is_over & F.col("ended_in_failure"),
        "is_running": ~is_over,
        "life_end": F.least("life_end", now),
        "failure_mode": F.when(is_over, F.col("failure_mode")),
        "down_until": F.when(is_over & (F.col("down_until") <= now), F.col("down_until")),
    })  # fmt: skip


def to_episodes(predictions: DataFrame, lives: DataFrame, alerts: AlertSettings) -> DataFrame:
    """Join alerting windows into episodes.

    An episode opens when an alert has stood for `persistence_hours`, and closes when scored windows
    have been quiet for `clear_hours`, or when the turbine fails or is taken down. For `cooldown_hours`
    after it closed none opens. A window without a score says nothing: silence does not clear an alert, and
    after more than `max_gap_hours` of it neither standing nor quiet hours before count on.
    Down windows do not count, and no episode reaches over a repair: one failure ends one episode.

    Grain: one row per `asset_id` and `opened_at`.

    Args:
        predictions: Served failure predictions, one per `asset_id` and `window_end`.
        lives: silver.asset_lives, as known.
        alerts: The hours.

    Returns:
        gold.alert_episodes.
    """
    alive = _with_life(predictions, lives)
    states = alive.select(
        "asset_id", "life_number", F.unix_micros("window_end").alias("at"),
        F.when(F.col("failure_probability").isNotNull(), F.col("is_alert").cast("int")).alias("alert"),
        "failure_probability",
    )  # fmt: skip
    rules = _Rules.of(alerts)

    def episodes_of_life(windows: pd.DataFrame) -> pd.DataFrame:
        return rules.episodes(windows)

    runs = states.groupBy("asset_id", "life_number").applyInPandas(episodes_of_life, _RUN_SCHEMA)
    return _with_endings(runs, lives).join(
        _opening_words(predictions), on=["asset_id", "opened_at"], how="left"
    )  # fmt: skip


def main_reason(reasons: Column) -> Column:
    """Words of the first reason that raises the score; null where there is none."""
    raising = F.filter(reasons, lambda reason: reason["contribution"] > 0)
    return F.try_element_at(raising, F.lit(1))["words"]


def _with_life(predictions: DataFrame, lives: DataFrame) -> DataFrame:
    """Predictions made while the turbine was up, with the number of its life."""
    end = F.col("prediction.window_end")
    is_in_life = (
        (F.col("prediction.asset_id") == F.col("life.asset_id"))
        & (end >= F.col("life.life_start"))
        & (F.col("life.is_running") | (end < F.col("life.life_end")))
    )
    return (
        predictions.alias("prediction")
        .join(F.broadcast(lives.alias("life")), on=is_in_life, how="inner")
        .select("prediction.*", "life.life_number")
    )


def _with_endings(runs: DataFrame, lives: DataFrame) -> DataFrame:
    """Times as times, and how each episode ended: an open one ends with its life."""
    life_ends = lives.select("asset_id", "life_number", "life_end", "is_running", "ended_in_failure", "failure_mode")
    is_open = F.col("closed_us").isNull()
    ends_with_life = is_open & ~F.col("is_running")
    is_failure = ends_with_life & F.col("ended_in_failure")
    opened_at = F.timestamp_micros("opened_us")
    status = (
        F.when(~is_open, "cleared").when(is_failure, "failed").when(ends_with_life, "ended").otherwise("open")
    )  # fmt: skip
    return runs.join(F.broadcast(life_ends), on=["asset_id", "life_number"], how="inner").select(
        "asset_id",
        opened_at.alias("opened_at"),
        status.alias("status"),
        F.timestamp_micros("first_alert_us").alias("first_alert_at"),
        F.timestamp_micros("last_alert_us").alias("last_alert_at"),
        F.when(ends_with_life, F.col("life_end")).otherwise(F.timestamp_micros("closed_us")).alias("closed_at"),
        F.when(is_failure, F.col("life_end")).alias("failed_at"),
        F.when(is_failure, F.col("failure_mode")).alias("failure_mode"),
        F.when(is_failure, days_between(opened_at, F.col("life_end"))).alias("lead_time_days"),
        "alerting_windows",
        "peak_probability",
        F.timestamp_micros("peak_us").alias("peak_at"),
    )


def _opening_words(predictions: DataFrame) -> DataFrame:
    return predictions.select(
        "asset_id", F.col("window_end").alias("opened_at"), main_reason(F.col("reasons")).alias("main_reason"), "model_version"
    )


@dataclass
class _Episode:
    opened_us: int
    first_alert_us: int
    last_alert_us: int
    alerting_windows: int
    peak_probability: float
    peak_us: int
    closed_us: int | None = None

    def see_alert(self, at: int, probability: float) -> None:
        self.last_alert_us = at
        self.alerting_windows += 1
        if probability > self.peak_probability:
            self.peak_probability, self.peak_us = probability, at


@dataclass(frozen=True)
class _Rules:
    """The hours in microseconds, and the walk over one life's windows."""

    persistence: int
    clear: int
    cooldown: int
    max_gap: int

    @classmethod
    def of(cls, alerts: AlertSettings) -> _Rules:
        hours = (alerts.persistence_hours, alerts.clear_hours, alerts.cooldown_hours, alerts.max_gap_hours)
        return cls(*(round(each * MICROSECONDS_PER_HOUR) for each in hours))

    def episodes(self, windows: pd.DataFrame) -> pd.DataFrame:
        """Episodes of one life; its windows in any order."""
        ordered = windows.dropna(subset=["alert"]).sort_values("at")
        walk = self._walk(ordered["at"].to_numpy(), ordered["alert"].to_numpy(), ordered["failure_probability"].to_numpy())
        found = pd.DataFrame([asdict(episode) for episode in walk], columns=list(_Episode.__dataclass_fields__))
        found.insert(0, "asset_id", windows["asset_id"].iloc[0])
        found.insert(1, "life_number", windows["life_number"].iloc[0])
        names = [column.split()[0] for column in _RUN_SCHEMA.split(", ")]
        episodes: pd.DataFrame = found.reindex(columns=names).astype({"closed_us": "Int64"})
        return episodes

    def _walk(
        self, at: npt.NDArray[np.int64], alert: npt.NDArray[np.float64], probability: npt.NDArray[np.float64]
    ) -> Iterator[_Episode]:
        rising: _Episode | None = None  # alerts that have not stood long enough yet
        episode: _Episode | None = None
        quiet_since: int | None = None
        none_before = -1
        previous: int | None = None
        for time, is_alert, score in zip(at.tolist(), alert.tolist(), probability.tolist(), strict=True):
            is_near = previous is not None and time - previous <= self.max_gap
            previous = time
            if is_alert:
                quiet_since = None
                rising = rising if is_near else None
                current = episode or rising
                if current is None:
                    current = rising = _Episode(0, time, time, 1, score, time)
                else:
                    current.see_alert(time, score)
                if episode is None and time - current.first_alert_us >= self.persistence and time >= none_before:
                    current.opened_us, episode, rising = time, current, None
            elif episode is None:
                rising = None
            else:
                quiet_since = quiet_since if is_near and quiet_since is not None else time
                if time - quiet_since >= self.clear:
                    episode.closed_us, none_before = time, time + self.cooldown
                    yield episode
                    episode = quiet_since = None
        if episode is not None:
            yield episode
