import pytest
from builders import frame
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DoubleType, StringType, StructField, StructType

from turbine_health.errors import TrackingError
from turbine_health.models.calibration import fit_calibration, fit_interval
from turbine_health.models.scoring import (
    agreed_days,
    calibrated,
    interval_band,
    is_moved,
    lower_days,
    quality_status,
    upper_days,
)
from turbine_health.models.serving import Calibration, ClassifierServing, Interval, RegressorServing

LINE = Calibration(raw=(0.2, 0.4, 0.8), probability=(0.0, 0.1, 0.5))
SPAN = Interval(bands=(10.0, 30.0), lower_offset=(-4.0, -8.0), upper_offset=(5.0, None), coverage=0.8)


def values(spark, column, **columns):
    """`column` evaluated for lists of numbers, flags or texts by name."""
    kinds = {bool: BooleanType(), str: StringType(), float: DoubleType(), int: DoubleType()}
    known = {name: next((value for value in each if value is not None), 0.0) for name, each in columns.items()}
    schema = StructType([StructField(name, kinds[type(known[name])]) for name in columns])
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return [row[0] for row in frame(spark, rows, schema).select(column).collect()]


def test_calibration_is_a_line_between_points_and_level_beyond_them(spark):
    scores = [None, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 0.9]
    assert values(spark, calibrated(F.col("x"), LINE), x=scores) == [None, 0.0, 0.0, 0.05, 0.1, 0.3, 0.5, 0.5]


def test_calibration_of_one_point_is_that_probability(spark):
    assert values(spark, calibrated(F.col("x"), Calibration((0.5,), (0.07,))), x=[0.1, 0.9]) == [0.07, 0.07]


def test_fitted_calibration_rises_and_never_says_certain(spark):
    rows = [{"raw_score": score, "failure_within_7d": label} for score, label in
            [(0.1, 0)] * 20 + [(0.5, 0)] * 6 + [(0.5, 1)] * 4 + [(0.4, 1)] * 4 + [(0.4, 0)] * 1 + [(0.9, 1)] * 5]  # fmt: skip
    schema = StructType([StructField("raw_score", DoubleType()), StructField("failure_within_7d", DoubleType())])
    fitted = fit_calibration(frame(spark, rows, schema), failures=3)
    assert list(fitted.probability) == sorted(fitted.probability)
    assert max(fitted.probability) == 4 / 5
    assert 0 < min(fitted.probability) < 0.05


def test_a_window_is_scored_only_when_fresh_and_full_enough(spark):
    status = quality_status(F.col("age"), F.col("coverage"), stale_after_hours=48, min_coverage=0.3)
    found = values(spark, status, age=[1, 48, 49, None, 1, 1], coverage=[1, 0.3, 1, 0, 0.2, None])
    assert found == ["ok", "ok", "stale", "no_data", "sparse", "sparse"]


def test_days_agree_with_the_alert(spark):
    columns = {"days": [3, 20, 3, 20, 7, None], "alert": [True, True, False, False, True, True]}
    agreed = values(spark, agreed_days(F.col("days"), F.col("alert"), 7), **columns)
    assert agreed == [3.0, 7.0, 7 + 1 / 24, 20.0, 7.0, None]
    assert values(spark, is_moved(F.col("days"), F.col("alert"), 7), **columns) == [False, True, True, False, False, None]


def test_a_prediction_on_a_band_edge_belongs_below_it(spark):
    assert values(spark, interval_band(F.col("x"), SPAN), x=[0, 10, 10.1, 99, None]) == [0, 0, 1, 1, None]


def test_the_interval_holds_the_agreed_prediction_and_starts_at_zero(spark):
    raw, agreed = F.col("raw"), F.col("agreed")
    columns = {"raw": [2.0, 9.0, 20.0], "agreed": [2.0, 3.0, 7.0]}
    assert values(spark, lower_days(raw, agreed, SPAN), **columns) == [0.0, 3.0, 7.0]
    assert values(spark, upper_days(raw, agreed, SPAN), **columns) == [7.0, 14.0, None]


def test_the_fitted_interval_holds_its_share_of_the_rows_in_each_band(spark):
    rows = spark.range(2000).select(
        F.when(F.col("id") % 2 == 0, 5.0).otherwise(20.0).alias("raw_time_to_failure_days"),
        (F.col("id") % 100).alias("place"),
        F.col("id").cast("string").alias("asset_id"),
        F.lit(1).alias("life_number"),
    )
    spread = F.when(F.col("raw_time_to_failure_days") == 5, 4.0).otherwise(20.0)
    rows = rows.withColumn("days_known", F.col("raw_time_to_failure_days") + (F.col("place") / 100 - 0.5) * spread)
    interval = fit_interval(rows, 0.8, 2, cap_days=60)
    raw = F.col("raw_time_to_failure_days")
    is_held = F.col("days_known").between(lower_days(raw, raw, interval), upper_days(raw, raw, interval))
    held = rows.groupBy("raw_time_to_failure_days").agg(F.avg(is_held.cast("int")).alias("share")).collect()
    assert [row["share"] for row in held] == pytest.approx([0.8, 0.8], abs=0.03)


def test_an_interval_that_reaches_the_cap_is_open_above(spark):
    rows = spark.range(100).select(
        F.lit(25.0).alias("raw_time_to_failure_days"),
        F.least(F.col("id") * 1.0 + 5, F.lit(30.0)).alias("days_known"),
        F.col("id").cast("string").alias("asset_id"),
        F.lit(1).alias("life_number"),
    )
    interval = fit_interval(rows, 0.8, 1, cap_days=30)
    assert interval.upper_offset == (None,)
    assert rows.where(F.col("days_known") >= 25.0 + interval.lower_offset[0]).count() == pytest.approx(80, abs=1)


def test_an_interval_from_few_lives_is_wider_than_one_from_many(spark):
    rows = spark.range(1000).select(
        F.lit(20.0).alias("raw_time_to_failure_days"),
        (F.col("id") / 100 + 15).alias("days_known"),
        (F.col("id") % 4).cast("string").alias("asset_id"),
        F.lit(1).alias("life_number"),
    )
    many_lives = rows.withColumn("life_number", F.col("days_known"))
    few, many = (fit_interval(frame, 0.8, 1, cap_days=None) for frame in (rows, many_lives))
    assert (*few.lower_offset, *few.upper_offset) == pytest.approx((-5, 4.99))  # 0.8 and a quarter of it: every row
    assert (*many.lower_offset, *many.upper_offset) == pytest.approx((-4, 4), abs=0.02)


def test_bands_part_the_rows_whose_failure_is_in_sight_and_none_is_empty(spark):
    failing = [(str(n), 1, float(n % 2 * 9 + 1), 5.0) for n in range(6)]
    running = [(f"running {n}", 1, 29.0 + n / 10, 30.0) for n in range(9)]
    columns = "asset_id string, life_number int, raw_time_to_failure_days double, days_known double"
    interval = fit_interval(spark.createDataFrame(failing + running, columns), 0.8, 4, cap_days=30)
    assert interval.bands == (1.0, 10.0, 29.8)
    assert interval.upper_offset == (4.0, -5.0, None)


def test_serving_survives_the_way_through_json():
    classifier = ClassifierServing(("a__mean_24h",), 7.0, 0.3, LINE, {"a__mean_24h": 1.5}, 4, 48.0, 0.3)
    assert ClassifierServing.from_json(classifier.to_json()) == classifier
    regressor = RegressorServing(("a__mean_24h",), None, SPAN)
    assert RegressorServing.from_json(regressor.to_json()) == regressor


def test_serving_of_another_version_says_what_is_missing():
    with pytest.raises(TrackingError, match=r"serving\.json of the regressor .*interval"):
        RegressorServing.from_json({"features": []})
