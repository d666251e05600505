"""No slice of the turbines' series is fuller than a worker may hold, however unevenly they ran."""

from __future__ import annotations

from pyspark.sql import functions as F

from turbine_health.transforms.slicing import PIECES, Slicing, fewest_shares, to_slice_sizes


def test_the_fullest_chunk_decides_and_not_the_average(spark):
    crowd = [(f"T{number:02}", 7, 10, 700, 709) for number in range(60)]
    loner = [("T00", chunk, 10, 100 * chunk, 100 * chunk + 9) for chunk in range(8, 17)]
    pieces = spark.createDataFrame(crowd + loner, PIECES)
    sizes = pieces.transform(to_slice_sizes).collect()
    assert {(row["first"], row["last"]) for row in sizes} == {(700, 1_609)}
    slicing = Slicing(
        3_600, chunks=10, turbine_shares=fewest_shares({row["turbine_shares"]: row["rows"] for row in sizes}, 100)
    )
    assert slicing.turbine_shares >= 6
    partition = slicing.partition_of(F.col("asset_id"), F.col("chunk"))
    assert pieces.groupBy(partition).agg(F.sum("rows").alias("rows")).where("rows > 100").isEmpty()


def test_without_pieces_there_are_no_sizes(spark):
    assert spark.createDataFrame([], PIECES).transform(to_slice_sizes).isEmpty()


def test_a_turbine_that_fills_a_slice_alone_does_not_split_the_others_forever():
    assert fewest_shares({1: 900, 2: 700, 4: 500, 8: 500}, rows_per_slice=100) == 4
    assert fewest_shares({1: 900, 2: 700, 4: 500, 8: 500}, rows_per_slice=750) == 2
