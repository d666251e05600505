from datetime import timedelta

import pytest
from builders import examples, utc
from pyspark.sql import functions as F

from turbine_health.errors import DataError
from turbine_health.transforms.splits import Border, with_days_known
from turbine_health.transforms.time_folds import TimeFold, time_folds, with_time_fold

JANUARY = TimeFold(Border(train_until=utc("2024-01-05"), test_from=utc("2024-01-12")), judged_before=utc("2024-01-14"))


def test_each_block_but_the_first_is_judged_with_an_embargo_before_it():
    folds = time_folds(utc("2024-01-01"), utc("2024-03-31 12:00"), 2, embargo_days=7)
    assert [fold.border.test_from for fold in folds] == [utc("2024-01-31"), utc("2024-03-01")]
    assert [fold.judged_before for fold in folds] == [utc("2024-03-01"), None]
    assert all(fold.border.test_from - fold.border.train_until == timedelta(days=7) for fold in folds)


def test_blocks_no_longer_than_the_embargo_are_refused():
    with pytest.raises(DataError, match="too short a time to judge 2 blocks of it, each with an embargo of 7 days"):
        time_folds(utc("2024-01-01"), utc("2024-01-24"), 2, embargo_days=7)


def test_windows_in_the_embargo_and_of_later_blocks_neither_teach_nor_are_judged(spark):
    training = examples(spark, "T01", "2024-01-04", failure_within_7d=[0] * 12).withColumns(
        {"part": F.lit("train"), "days_known": F.lit(1.0)}
    )
    test = training.withColumn("part", F.lit("test"))
    parts = {row["window_end"].day: row["part"] for row in training.transform(with_time_fold, JANUARY).collect()}
    assert [parts[day] for day in (4, 5, 6, 11, 12, 13, 14)] == [
        "train", "train", "unused", "unused", "judged", "judged", "unused",
    ]  # fmt: skip
    assert {row["part"] for row in test.transform(with_time_fold, JANUARY).collect()} == {"unused"}


def days_by_day(rows):
    return {row["window_end"].day: row["days_known"] for row in rows.collect()}


@pytest.mark.parametrize(
    ("failed_after", "known", "of_training"),
    [(9.0, 9.0, 9.0), (10.0, 10.0, None), (None, None, None)],
)
def test_a_row_that_teaches_knows_only_what_had_happened_when_its_block_began(spark, failed_after, known, of_training):
    """The window of 3 January knows of a failure on the 12th, when the block begins, and not of one a day later."""
    life = examples(spark, "T01", "2024-01-03", every_hours=24 * 9, time_to_failure_days=[failed_after, failed_after])
    rows = life.withColumns({"part": F.lit("train"), "days_known": F.col("time_to_failure_days")})
    assert days_by_day(rows.transform(with_time_fold, JANUARY)) == {3: of_training, 12: known}


@pytest.mark.parametrize("cap_days", [None, 3.0])
def test_that_is_what_was_known_had_the_test_begun_with_the_block(spark, cap_days):
    failed = examples(spark, "T01", "2024-01-01", time_to_failure_days=[14.5 - day for day in range(14)])
    running = examples(spark, "T02", "2024-01-01", time_to_failure_days=[None] * 14, is_censored=[True] * 14)
    rows = failed.unionByName(running).withColumn("part", F.lit("train"))
    later = Border(train_until=utc("2024-01-19"), test_from=utc("2024-01-26"))
    of_test = rows.transform(with_days_known, later, cap_days)
    as_test = rows.transform(with_days_known, JANUARY.border, cap_days)
    learned = of_test.transform(with_time_fold, JANUARY).where("part = 'train'").select("asset_id", "window_end", "days_known")
    expected = as_test.where(F.col("window_end") <= F.lit(JANUARY.border.train_until)).select(*learned.columns)
    assert learned.exceptAll(expected).isEmpty()
    assert learned.count() == 10
