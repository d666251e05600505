"""No slice of the turbines' series is fuller than a worker may hold, however unevenly they ran."""

from __future__ import annotations

import pandas as pd
from pyspark.sql import functions as F

from turbine_health.io.local_rows import local_table
from turbine_health.transforms.slicing import PIECES, Slicing, fewest_shares, in_chunks, slice_sizes


def test_the_fullest_chunk_decides_and_not_the_average(spark):
    crowd = [(f"T{number:02}", 7, 10, 700, 709) for number in range(60)]
    loner = [("T00", chunk, 10, 100 * chunk, 100 * chunk + 9) for chunk in range(8, 17)]
    pieces = pd.DataFrame(crowd + loner, columns=PIECES.names)
    slicing = Slicing(3_600, chunks=10, turbine_shares=fewest_shares(slice_sizes(pieces), 100))
    assert slicing.turbine_shares >= 6
    partition = slicing.partition_of(F.col("asset_id"), F.col("chunk"))
    rows = local_table(spark, pieces, PIECES).groupBy(partition).agg(F.sum("rows").alias("rows"))
    assert rows.where("rows > 100").isEmpty()


def test_a_span_is_cut_at_the_borders_of_chunks():
    spans = pd.DataFrame({"asset_id": ["T1", "T2"], "first": [-1, 20], "last": [24, 20]})
    cut = in_chunks(spans, "first", "last", 12)
    assert cut.values.tolist() == [
        ["T1", -1, -1, -1],
        ["T1", 0, 11, 0],
        ["T1", 12, 23, 1],
        ["T1", 24, 24, 2],
        ["T2", 20, 20, 1],
    ]
    assert in_chunks(spans.iloc[:0], "first", "last", 12).empty


def test_a_turbine_that_fills_a_slice_alone_does_not_split_the_others_forever():
    assert fewest_shares({1: 900, 2: 700, 4: 500, 8: 500}, rows_per_slice=100) == 4
    assert fewest_shares({1: 900, 2: 700, 4: 500, 8: 500}, rows_per_slice=750) == 2
