"""Feature builds on a small lake: whole, day by day, late, again, and with other settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from builders import events, lives, settings, source, utc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from turbine_health.errors import DataError
from turbine_health.feature_tables import FEATURE_RUNS, signal_cells
from turbine_health.io.delta import TableStore
from turbine_health.pipelines.feature_updates import FeatureUpdates
from turbine_health.pipelines.features import FeaturesSummary, build_features
from turbine_health.settings import Settings, StorageSettings
from turbine_health.tables import (
    ASSET_EVENTS,
    ASSET_LIVES,
    CHANGED_HOURS,
    Table,
    sensor_readings,
    training_examples,
    window_features,
)
from turbine_health.transforms.features import feature_plan
from turbine_health.transforms.spans import all_windows

SIGNALS = ("active_power_kw", "bearing_temp_c")
START = "2024-01-01"
# The last days lie further from the start of T01's second life than baseline and longest look-back together.
DAYS = 12
LATE_DAY = 4


def plant(**features) -> Settings:
    values = {"lookback_hours": [24, 48], "every_hours": 6, "statistics": ["mean", "std", "slope", "deviation"]}
    return settings(sources=[source()], features={**values, "baseline_hours": 48, "chunk_days": 3, **features})


PLANT = plant()


def rows_of_a_day(asset_id: str, day: int) -> list[tuple]:
    """One turbine's readings of one day; the same numbers whenever it is called."""
    random = np.random.default_rng([day, int(asset_id[1:])])
    first = utc(START) + timedelta(days=day)
    readings = [
        {
            "asset_id": asset_id,
            "event_time": first + timedelta(minutes=10 * step),
            **dict(zip(SIGNALS, map(float, random.normal(50, 5, 2)), strict=True)),
            "quality_flags": [],
            "_source": "tests",
            "_source_file": f"{day}",
            "_source_row": step,
            "_ingested_at": first,
        }
        for step in range(144)
        if random.random() > 0.1
    ]
    return [tuple(row.get(field.name) for field in sensor_readings(SIGNALS).schema) for row in readings]


def take_in(store: TableStore, readings: DataFrame, runs: DataFrame) -> None:
    """What ingest leaves behind: readings, the hours that they touch, and the lives."""
    store.append(readings, sensor_readings(SIGNALS))
    hours = readings.select("asset_id", F.date_trunc("hour", "event_time").alias("hour_start")).distinct()
    store.append(hours.withColumn("run_id", F.lit("a batch")), CHANGED_HOURS)
    store.overwrite(runs, ASSET_LIVES)


def running_until(spark: SparkSession, day: int) -> DataFrame:
    """T01 fails on the fourth day and is repaired within one; T02 never fails. Records end with `day`."""
    end = (utc(START) + timedelta(days=day)).strftime("%Y-%m-%d")
    if day <= 3:
        return lives(spark, ("T01", START, end), ("T02", START, end))
    return lives(spark, ("T01", START, "2024-01-04 06:00", "gearbox"), ("T01", "2024-01-05 03:30", end), ("T02", START, end))


def gold_tables(plant: Settings = PLANT) -> list[Table]:
    names = feature_plan(plant.features, plant.feature_signals).names
    return [signal_cells(SIGNALS), window_features(names), training_examples(names)]


def contents(store: TableStore, plant: Settings = PLANT) -> dict[str, tuple[int, int]]:
    """Rows and an order-free checksum of every gold table."""
    found = {}
    for table in gold_tables(plant):
        frame = store.read(table)
        row = frame.agg(F.count("*"), F.sum(F.xxhash64(*frame.columns).cast("decimal(38,0)"))).head()
        found[table.identifier] = (row[0], int(row[1]))
    return found


def versions(store: TableStore) -> list[int]:
    return [store.version(table) for table in [*gold_tables(), FEATURE_RUNS]]


@pytest.fixture(scope="module")
def readings(spark) -> DataFrame:
    rows = [row for day in range(DAYS) for asset_id in ("T01", "T02") for row in rows_of_a_day(asset_id, day)]
    return spark.createDataFrame(rows, sensor_readings(SIGNALS).schema).cache()


def new_store(spark: SparkSession, folder: Path) -> TableStore:
    return TableStore(spark, StorageSettings(root=str(folder)))


@pytest.fixture(scope="module")
def whole(spark, readings, tmp_path_factory) -> TableStore:
    """All days taken in at once and built at once."""
    store = new_store(spark, tmp_path_factory.mktemp("whole"))
    take_in(store, readings, running_until(spark, DAYS))
    build_features(store, PLANT)
    return store


@dataclass(frozen=True)
class Grown:
    store: TableStore
    after_late_day: FeaturesSummary


@pytest.fixture(scope="module")
def grown(spark, readings, tmp_path_factory) -> Grown:
    """The same days in three batches: the start, the rest (one build killed after its cells), and a late file."""
    store = new_store(spark, tmp_path_factory.mktemp("grown"))
    is_early = F.col("event_time") < utc("2024-01-04")
    is_late_file = (F.col("asset_id") == "T02") & (F.col("_source_file") == str(LATE_DAY))
    take_in(store, readings.where(is_early), running_until(spark, 3))
    build_features(store, PLANT)
    rest = readings.where(~is_early & ~is_late_file)
    take_in(store, rest, running_until(spark, DAYS))
    cell = (F.unix_seconds("event_time") / 3600).cast("long")
    span = F.min(cell).alias("first_cell"), F.max(cell).alias("last_cell")
    FeatureUpdates(store, PLANT).update_cells(rest.where("asset_id = 'T01'").groupBy("asset_id").agg(*span).toPandas())
    build_features(store, PLANT)
    take_in(store, readings.where(is_late_file), running_until(spark, DAYS))
    return Grown(store, after_late_day=build_features(store, PLANT))


def test_a_full_build_has_a_window_every_six_hours_of_every_turbine(whole):
    rows = whole.read(gold_tables()[1]).groupBy("asset_id").count().collect()
    assert {row["asset_id"]: row["count"] for row in rows} == {"T01": DAYS * 4, "T02": DAYS * 4}


def test_building_twice_writes_no_new_version(whole):
    before = versions(whole)
    assert str(build_features(whole, PLANT)) == "nothing new since the last build"
    assert versions(whole) == before


def test_batch_by_batch_leaves_what_all_at_once_does_also_after_a_kill_and_a_late_file(grown, whole):
    assert contents(grown.store) == contents(whole)


class StoreBesideIngest(TableStore):
    """Once, right after a build has asked for the version of the readings, ingest commits a batch."""

    batch: Callable[[], None] | None = None

    def version(self, table: Table) -> int:
        found = super().version(table)
        if table.name == "sensor_readings" and self.batch:
            batch, self.batch = self.batch, None
            batch()
        return found


def test_what_ingest_commits_during_a_build_is_taken_in_by_the_next_one(spark, tmp_path, readings, whole):
    store = StoreBesideIngest(spark, StorageSettings(root=str(tmp_path)))
    is_early = F.col("event_time") < utc("2024-01-07")
    take_in(store, readings.where(is_early), running_until(spark, DAYS))
    store.batch = lambda: take_in(store, readings.where(~is_early), running_until(spark, DAYS))
    build_features(store, PLANT)
    build_features(store, PLANT)
    assert contents(store) == contents(whole)


def test_a_late_day_rebuilds_only_the_windows_that_see_it(grown):
    summary = grown.after_late_day
    assert (summary.kind, summary.cells) == ("incremental", 24)
    # Window ends from six hours into the late day to its end plus the longest look-back, less the one beyond it.
    assert summary.windows == 11


def test_backfilling_a_part_again_leaves_every_table_as_it_is(whole):
    before = versions(whole), contents(whole)
    summary = build_features(whole, PLANT, utc("2024-01-03"), utc("2024-01-04"))
    assert (summary.cells, summary.windows, summary.examples) == (0, 0, 0)
    assert (versions(whole), contents(whole)) == before


def test_backfilling_part_by_part_from_nothing_gives_what_one_build_does(spark, store, readings, whole):
    take_in(store, readings, running_until(spark, DAYS))
    build_features(store, PLANT, utc("2024-01-01"), utc("2024-01-05 06:00"))
    build_features(store, PLANT, utc("2024-01-05 06:00"), utc("2024-02-01"))
    assert contents(store) == contents(whole)


def test_other_partitions_another_order_and_other_chunks_give_the_same_bytes(spark, store, readings, whole):
    take_in(store, readings.orderBy(F.rand(1)).repartition(3), running_until(spark, DAYS))
    build_features(store, plant(chunk_days=1))
    assert contents(store) == contents(whole)


def test_without_compiled_classes_spark_leaves_the_same_tables(spark, store, readings, whole, monkeypatch):
    for place in ("delta.fits_decoded_files", "delta.fits_encoded_files", "merges.fits_merged_files"):
        monkeypatch.setattr(f"turbine_health.io.{place}", lambda *_: False)
    is_early = F.col("event_time") < utc("2024-01-10")
    take_in(store, readings.where(is_early), running_until(spark, 9))
    build_features(store, PLANT)
    take_in(store, readings.where(~is_early), running_until(spark, DAYS))
    build_features(store, PLANT)
    assert contents(store) == contents(whole)


def test_a_changed_event_log_counts_anew_from_the_change_on_as_one_build_would(spark, store, readings):
    counting = plant(event_counts={"events": ["failures", "stops"], "lookback_hours": [48, 480]})
    take_in(store, readings.where(F.col("event_time") < utc("2024-01-05")), running_until(spark, 3))
    failure = ("T01", "failure", "2024-01-03 06:00", None, None)
    store.overwrite(events(spark, failure, ("T02", "maintenance", "2024-01-02", None, None)), ASSET_EVENTS)
    build_features(store, counting)
    store.overwrite(events(spark, failure, ("T02", "stop", "2024-01-04 13:00", None, None)), ASSET_EVENTS)
    summary = build_features(store, counting)
    # T02's windows that end at 18:00 and at midnight; nobody counts maintenance.
    assert (summary.kind, summary.cells, summary.windows) == ("incremental", 0, 2)
    grown = contents(store, counting)
    updates = FeatureUpdates(store, counting)
    updates.replace_windows(all_windows(updates.known_cells()))
    assert contents(store, counting) == grown
    windows = store.read(gold_tables(counting)[1]).where("asset_id = 'T01'").orderBy("window_end").collect()
    assert [row["failures__count_48h"] for row in windows] == [0.0] * 9 + [1.0] * 7
    assert str(build_features(store, counting)) == "nothing new since the last build"


def test_a_pause_over_a_build_and_beyond_every_look_back_leaves_what_one_build_does(spark, store, readings, tmp_path):
    time = F.col("event_time")
    is_paused = (F.col("asset_id") == "T02") & time.between(utc("2024-01-05"), utc("2024-01-09"))
    heard = readings.where(~is_paused)

    def runs(day: int, paused_until: str) -> DataFrame:
        return running_until(spark, day).where("asset_id = 'T01'").unionByName(lives(spark, ("T02", START, paused_until)))

    take_in(store, heard.where(time < utc("2024-01-05")), runs(4, "2024-01-05"))
    build_features(store, PLANT)
    take_in(store, heard.where(time.between(utc("2024-01-05"), utc("2024-01-06 23:59"))), runs(6, "2024-01-05"))
    build_features(store, PLANT)
    take_in(store, heard.where(time > utc("2024-01-06 23:59")), runs(DAYS, "2024-01-13"))
    build_features(store, PLANT)
    at_once = new_store(spark, tmp_path / "at_once")
    take_in(at_once, heard, runs(DAYS, "2024-01-13"))
    build_features(at_once, PLANT)
    assert contents(store) == contents(at_once)


def test_a_part_cannot_be_built_with_other_settings_than_the_whole(whole):
    with pytest.raises(DataError, match="other settings"):
        build_features(whole, plant(statistics=["max"]), utc("2024-01-01"), utc("2024-01-02"))


def test_other_settings_build_all_anew(grown):
    other = plant(statistics=["max"])
    assert build_features(grown.store, other).kind == "full"
    assert grown.store.read(gold_tables(other)[1]).count() == 2 * DAYS * 4


def test_an_empty_silver_is_told_in_words(spark, store, readings):
    take_in(store, readings.where("false"), lives(spark))
    with pytest.raises(DataError, match="not one reading"):
        build_features(store, PLANT)
