"""What happened after each window: the labels, and why some windows have none."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from turbine_health.settings import LabelSettings
from turbine_health.tables import ASSET_LIVES, LABELS
from turbine_health.transforms.label_kernel import (
    LIFE_FIELDS,
    MICROSECONDS_PER_DAY,
    SECONDS_PER_DAY,
    label_columns,
    lives_by_turbine,
)
from turbine_health.transforms.packs import unpacked
from turbine_health.transforms.slicing import MICROSECONDS, Kernel, sorted_codes


def days_between(start: Column, end: Column) -> Column:
    """Days from `start` to `end`, with fractions; null when either is."""
    return (F.unix_micros(end) - F.unix_micros(start)) / MICROSECONDS_PER_DAY


def to_training_examples(
    features: DataFrame, lives: DataFrame, labels: LabelSettings, unrecorded: Collection[str] = ()
) -> DataFrame:
    """Add to each window whether, and when, its life ended in failure.

    Grain: one row per `asset_id` and `window_end`, as `features`.

    Args:
        features: gold.window_features.
        lives: silver.asset_lives: runs between repairs, not overlapping.
        labels: Horizon (days) and recovering time (hours).
        unrecorded: Turbines whose failures nobody writes down: that none is known says nothing.

    Returns:
        `features` plus `life_number` (null while down), `label_status`, and for windows whose status is
        `observed` or `horizon_incomplete`: `is_censored`, `time_to_failure_days` (> 0; null when
        censored), `failure_mode` (null when censored). `failure_within_7d` is 1 or 0 where observed,
        else null.
    """
    own = lives.transform(to_life_rows).groupBy("asset_id").agg(F.collect_list(F.struct("*")).alias("_lives"))
    rows = features.join(F.broadcast(own), on="asset_id", how="left").select(*features.columns, "_lives")

    def label(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            codes, _ = sorted_codes(batch["asset_id"])
            first = pa.array(np.unique(codes, return_index=True)[1])
            known = [life for own in batch["_lives"].take(first).to_pylist() for life in own or []]
            windows = batch.drop_columns("_lives")
            added = label_columns(windows, lives_by_turbine(known), labels, unrecorded)
            yield pa.RecordBatch.from_arrays([*windows.columns, *added.values()], names=[*windows.schema.names, *added])

    return rows.mapInArrow(label, StructType([*features.schema, *LABELS]))


def example_slices(
    packs: DataFrame, pieces: DataFrame, columns: pa.Schema, step_seconds: int, label: Kernel
) -> tuple[DataFrame, Kernel]:
    """Windows slice by slice, and what adds their labels.

    Args:
        packs: By `changed_rows.row_packs`, of gold.window_features.
        pieces: `asset_id`, `chunk`, `first_end`, `last_end` (absolute indices, both included), a row a slice: of other
            windows nothing is made.
        columns: Of gold.window_features.
        step_seconds: Length of a cell.
        label: By `label_kernel.labelling`.

    Returns:
        Rows with `asset_id` and `chunk` for `Slicing.exchanged`, and for what that gives the kernel, which makes columns of
        `gold.training_examples`.
    """
    of_pack, step = ["asset_id", "chunk", "pack", "first_end", "last_end"], step_seconds * MICROSECONDS
    rows = packs.withColumnRenamed("block", "chunk").join(F.broadcast(pieces), on=["asset_id", "chunk"], how="inner")
    packed = columns.remove(columns.get_field_index("asset_id"))

    def build(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        received = [batch.select(of_pack) for batch in batches]
        if received:
            windows = unpacked(received, packed)
            end = windows["window_end"].cast(pa.int64()).to_numpy()
            first, last = (windows[name].to_numpy() for name in ("first_end", "last_end"))
            wanted = windows.filter(pa.array((first * step <= end) & (end <= last * step)))
            yield from label(iter(wanted.select(columns.names).combine_chunks().to_batches()))

    return rows.select(*of_pack), build


def to_life_rows(lives: DataFrame) -> DataFrame:
    """What of lives decides a label, for `label_kernel.lives_by_turbine`.

    Grain: as `lives`.

    Args:
        lives: silver.asset_lives.

    Returns:
        `asset_id` and `label_kernel.LIFE_FIELDS`.
    """
    times = {name: F.unix_micros(name) for name in ("life_start", "life_end")}
    return lives.withColumns(times).select("asset_id", *LIFE_FIELDS)


def to_changed_lives(before: DataFrame, after: DataFrame, labels: LabelSettings) -> DataFrame:
    """Lives that are new or other than before, and from when on that matters.

    Grain: one row per `asset_id` and `life_number` that changed.

    Args:
        before: silver.asset_lives as it was.
        after: silver.asset_lives as it is.
        labels: Horizon (days).

    Returns:
        `asset_id`, `changed_from`: windows that end at or after it may be labelled otherwise;
        `is_recut`: their features may differ too, as the life's start moved.
    """
    columns = [name for name in ASSET_LIVES.schema.names if name not in ASSET_LIVES.keys]
    old = before.select(*ASSET_LIVES.keys, F.struct(*columns).alias("old"))
    new = after.select(*ASSET_LIVES.keys, F.struct(*columns).alias("new"))
    is_recut = ~F.col("old.life_start").eqNullSafe(F.col("new.life_start"))
    only_went_on = ~is_recut & F.col("old.is_running") & F.col("new.is_running")
    horizon = F.make_dt_interval(F.lit(0), F.lit(0), F.lit(0), F.lit(labels.horizon_days * SECONDS_PER_DAY))
    return (
        old.join(new, on=list(ASSET_LIVES.keys), how="full")
        .where(~F.col("old").eqNullSafe(F.col("new")))
        .select(
            "asset_id",
            F.when(only_went_on, F.col("old.life_end") - horizon)
            .otherwise(F.least(F.col("old.life_start"), F.col("new.life_start")))
            .alias("changed_from"),
            is_recut.alias("is_recut"),
        )
    )
