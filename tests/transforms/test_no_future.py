"""From readings as they come, through flags and cells, to windows: nothing at or after `window_end` moves a feature."""

from __future__ import annotations

import numpy as np
from builders import lives, readings, settings, source, utc, with_health_flags
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from turbine_health.feature_tables import signal_cells
from turbine_health.io.local_rows import local_table
from turbine_health.settings import FeatureSettings
from turbine_health.sources import Source
from turbine_health.tables import window_features
from turbine_health.transforms.cells import cell_slices, reading_columns, reading_packs
from turbine_health.transforms.features import feature_plan
from turbine_health.transforms.labels import to_life_rows
from turbine_health.transforms.packs import PACKS
from turbine_health.transforms.quality import as_array
from turbine_health.transforms.slicing import PIECES, Slicing, counting, one_a_chunk
from turbine_health.transforms.spans import all_windows, to_cell_spans
from turbine_health.transforms.windows import (
    NEEDED,
    cell_columns,
    cell_packs,
    life_starts,
    needed_cells,
    piece_columns,
    window_slices,
    with_times,
)

POWER, OIL = SIGNALS = ("active_power_kw", "oil_temp_c")
PLANT = Source.model_validate({
    **source().model_dump(),
    "power_signal": POWER,
    "signals": [
        {"name": POWER, "column": POWER, "unit": "kW", "valid_range": (-100, 2500)},
        {"name": OIL, "column": OIL, "unit": "deg C", "valid_range": (0, 150)},
    ],
})  # fmt: skip
EVERYTHING = FeatureSettings.model_validate({
    "lookback_hours": [3, 12],
    "statistics": ["mean", "std", "min", "max", "last", "range", "count", "missing_share", "slope", "change", "deviation"],
    "asset_statistics": ["age_days", "flagged_share"],
    "every_hours": 1,
    "baseline_hours": 20,
    "chunk_days": 1,
})  # fmt: skip
START, HOURS = "2024-01-01", 24
# Its last reading before the end stands far above the one before it: a spike, if the next one is back where that was.
WINDOW_END = utc("2024-01-01 15:00")
LAST_BEFORE_IT = 15 * 6 - 1


def built(spark: SparkSession, futures: dict[str, tuple[list, list]]) -> DataFrame:
    """All windows of turbines with these values of power and oil, flagged as ingest does it."""
    parts = [readings(spark, asset, START, active_power_kw=power, oil_temp_c=oil) for asset, (power, oil) in futures.items()]
    raw = parts[0]
    for part in parts[1:]:
        raw = raw.unionByName(part)
    flagged = raw.transform(with_health_flags, PLANT, settings().ingest)
    silver = flagged.withColumn("quality_flags", as_array(F.col("_health_flags"))).drop("_health_flags")
    plan = feature_plan(EVERYTHING, SIGNALS)
    slicing = Slicing(chunk_seconds=86_400, chunks=2, turbine_shares=1)
    packed = silver.select(reading_columns(SIGNALS)).mapInArrow(reading_packs(SIGNALS, 60, {"tests": 10.0}, 86_400), PACKS)
    readings_by_slice, summarise = cell_slices(packed, SIGNALS, 60)
    cells = slicing.exchanged(readings_by_slice).mapInArrow(summarise, signal_cells(SIGNALS).schema).cache()
    count = counting("cell_start", plan.step_seconds, plan.chunk_cells)
    known = cells.select("asset_id", "cell_start").mapInArrow(count, PIECES).transform(to_cell_spans)
    spans = all_windows(known.toPandas())
    born = lives(spark, *((asset, START, "2024-02-01") for asset in futures)).transform(to_life_rows).toPandas()
    pieces = with_times(one_a_chunk(spans, "first_end", "last_end", plan.chunk_cells), life_starts(born), {}, plan)
    needed = needed_cells(pieces, plan)
    pack = cell_packs(plan, int(needed["first_cell"].min()), int(needed["last_cell"].max()))
    packs = cells.select(cell_columns(plan)).mapInArrow(pack, PACKS)
    wishes = local_table(spark, pieces, piece_columns(plan))
    seen, build = window_slices(packs, local_table(spark, needed, NEEDED), wishes, plan)
    return slicing.exchanged(seen).mapInArrow(build, window_features(plan.names).schema)


def test_changed_added_and_deleted_readings_from_the_window_end_on_move_no_feature(spark):
    random = np.random.default_rng(0)
    power, oil = (list(map(float, random.normal(mean, 5, HOURS * 6))) for mean in (1_000, 60))
    oil[LAST_BEFORE_IT] = 120.0
    cut = LAST_BEFORE_IT + 1
    futures = {
        "as it was": (power, oil),
        "changed": (power[:cut] + [-50.0] * len(power[cut:]), oil[:cut] + [121.0] * len(oil[cut:])),
        "deleted": (power[:cut], oil[:cut]),
        "some missing": (power, [*oil[:cut], None, None, *oil[cut + 2 :]]),
        "added": (power + [900.0] * 60, oil + [61.0] * 60),
    }
    seen = built(spark, futures).where(F.col("window_end") <= WINDOW_END).toPandas().set_index(["asset_id", "window_end"])
    expected = seen.loc["as it was"]
    assert len(expected) == 15
    for name in futures:
        assert seen.loc[name].equals(expected), seen.loc[name].compare(expected)
