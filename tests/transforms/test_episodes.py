"""Alert episodes: when they open, when they close, and that a failure ends just one."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from builders import lives, utc
from predictions import reason, risks
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from turbine_health.monitor_tables import ALERT_EPISODES
from turbine_health.settings import AlertSettings
from turbine_health.tables import schema_differences
from turbine_health.transforms.episodes import lives_known_at, main_reason, to_episodes

# Windows end every 12 hours from 2024-01-01; an alert must stand a day and be quiet two.
RULES = AlertSettings(persistence_hours=24, clear_hours=48, cooldown_hours=72)
LOW, HIGH = 0.1, 0.8


@pytest.fixture(scope="module")
def running(spark: SparkSession) -> DataFrame:
    return lives(spark, ("T01", "2023-01-01", "2024-06-01")).cache()


def _episodes(spark: SparkSession, runs: DataFrame, probabilities: Sequence[float | None]) -> list[Row]:
    predictions = risks(spark, "T01", "2024-01-01", probabilities, every_hours=12)
    return predictions.transform(to_episodes, runs, RULES).orderBy("opened_at").collect()


def _day(number: float) -> object:
    return utc("2024-01-01").replace(day=1 + int(number), hour=int(number % 1 * 24)).replace(tzinfo=None)


def test_an_alert_that_does_not_stand_opens_nothing(spark: SparkSession, running: DataFrame) -> None:
    assert _episodes(spark, running, [LOW, HIGH, HIGH, LOW, HIGH, LOW]) == []


def test_an_alert_that_stands_a_day_opens_an_episode_with_its_first_window_kept(
    spark: SparkSession, running: DataFrame
) -> None:
    (episode,) = _episodes(spark, running, [LOW, HIGH, 0.9, HIGH, HIGH])
    assert (episode.first_alert_at, episode.opened_at, episode.closed_at) == (_day(0.5), _day(1.5), None)
    assert (episode.status, episode.alerting_windows) == ("open", 4)
    assert (episode.peak_probability, episode.peak_at) == (0.9, _day(1))


def test_two_quiet_days_close_an_episode_and_less_do_not(spark: SparkSession, running: DataFrame) -> None:
    quiet_then_back = [HIGH] * 3 + [LOW] * 4 + [HIGH]
    assert [episode.closed_at for episode in _episodes(spark, running, quiet_then_back)] == [None]
    (closed,) = _episodes(spark, running, [HIGH] * 3 + [LOW] * 5)
    assert (closed.status, closed.closed_at, closed.last_alert_at) == ("cleared", _day(3.5), _day(1))


def test_windows_without_a_score_do_not_clear_an_alert(spark: SparkSession, running: DataFrame) -> None:
    (episode,) = _episodes(spark, running, [HIGH] * 3 + [None] * 10)
    assert episode.status == "open"


def test_two_alerts_with_twenty_silent_days_between_open_nothing(spark: SparkSession, running: DataFrame) -> None:
    silence = [None] * 39
    assert _episodes(spark, running, [HIGH, *silence, HIGH]) == []
    (episode,) = _episodes(spark, running, [HIGH, *silence, HIGH, HIGH, HIGH])
    assert (episode.first_alert_at, episode.opened_at, episode.alerting_windows) == (_day(20), _day(21), 3)


def test_a_quiet_window_after_twenty_silent_days_closes_nothing(spark: SparkSession, running: DataFrame) -> None:
    silence = [None] * 39
    (open_still,) = _episodes(spark, running, [HIGH] * 3 + [LOW, *silence, LOW])
    assert open_still.status == "open"
    (closed,) = _episodes(spark, running, [HIGH] * 3 + [LOW, *silence] + [LOW] * 5)
    assert (closed.status, closed.closed_at) == ("cleared", _day(23.5))


def test_a_gap_as_long_as_allowed_still_counts(spark: SparkSession, running: DataFrame) -> None:
    (episode,) = _episodes(spark, running, [HIGH, None, None, None, HIGH])
    assert (episode.first_alert_at, episode.opened_at) == (_day(0), _day(2))
    assert _episodes(spark, running, [HIGH, None, None, None, None, HIGH]) == []


def test_no_episode_opens_during_the_cooldown(spark: SparkSession, running: DataFrame) -> None:
    closed_on_day = 3.5
    first, second = _episodes(spark, running, [HIGH] * 3 + [LOW] * 5 + [HIGH] * 10)
    assert first.closed_at == _day(closed_on_day)
    assert (second.first_alert_at, second.opened_at) == (_day(4), _day(closed_on_day + 3))


def test_a_failure_ends_the_episode_and_gives_its_lead_time(spark: SparkSession) -> None:
    runs = lives(spark, ("T01", "2023-01-01", "2024-01-04", "gearbox"), ("T01", "2024-01-06", "2024-06-01"))
    # The alert goes on while the turbine is down; that is no new episode.
    (episode,) = _episodes(spark, runs, [HIGH] * 10)
    assert (episode.status, episode.failed_at, episode.closed_at) == ("failed", _day(3), _day(3))
    assert (episode.failure_mode, episode.lead_time_days) == ("gearbox", 2.0)


def test_a_life_that_ends_without_failure_ends_the_episode(spark: SparkSession) -> None:
    runs = lives(spark, ("T01", "2023-01-01", "2024-01-04"), ("T01", "2024-01-06", "2024-06-01"))
    (episode,) = _episodes(spark, runs, [HIGH] * 8)
    assert (episode.status, episode.failed_at, episode.lead_time_days) == ("ended", None, None)


def test_an_episode_carries_the_words_of_the_window_that_opened_it(spark: SparkSession, running: DataFrame) -> None:
    reasons = [reason("a__mean_24h", -0.3, "cold oil"), reason("b__mean_24h", 0.2, "hot bearing")]
    predictions = risks(spark, "T01", "2024-01-01", [HIGH] * 3, every_hours=12, reasons=reasons)
    (episode,) = predictions.transform(to_episodes, running, RULES).collect()
    assert episode.main_reason == "hot bearing"


def test_no_reason_has_no_words(spark: SparkSession) -> None:
    rows = risks(spark, "T01", "2024-01-01", [HIGH])
    assert rows.select(main_reason(F.col("reasons")).alias("words")).head().words is None


def test_episodes_have_the_catalog_columns(spark: SparkSession, running: DataFrame) -> None:
    episodes = to_episodes(risks(spark, "T01", "2024-01-01", [HIGH]), running, RULES)
    assert schema_differences(episodes.schema, ALERT_EPISODES.schema) == []


def test_a_failure_that_comes_later_is_not_known_yet(spark: SparkSession) -> None:
    runs = lives(spark, ("T01", "2024-01-01", "2024-02-01", "gearbox"), ("T01", "2024-02-03", "2024-06-01"))
    known = runs.transform(lives_known_at, F.lit(utc("2024-01-20"))).collect()
    assert [(life.is_running, life.ended_in_failure, life.failure_mode) for life in known] == [(True, False, None)]
    assert known[0].life_end == utc("2024-01-20").replace(tzinfo=None)
