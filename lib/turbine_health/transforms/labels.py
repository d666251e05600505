"""What happened after each window: the labels, and why some windows have none."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from turbine_health.settings import LabelSettings
from turbine_health.tables import LABELS
from turbine_health.transforms.label_kernel import (
    LIFE_FIELDS,
    MICROSECONDS_PER_DAY,
    label_columns,
    lives_by_turbine,
)
from turbine_health.transforms.packs import unpacked
from turbine_health.transforms.slicing import MICROSECONDS, Kernel, sorted_codes
from turbine_health.transforms.spans import ENDLESS


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


def changed_lives(
    before: pd.DataFrame, after: pd.DataFrame, labels: LabelSettings, unrecorded: Collection[str] = ()
) -> pd.DataFrame:
    """Lives of which a window may be labelled otherwise than before, and from when until when.

    Grain: one row per `asset_id` and `life_number` that changed, and one per turbine whose first failure became known, or
    its last one was taken back.

    Args:
        before: Lives as they were, by `to_life_rows`.
        after: As they are.
        labels: Horizon (days).
        unrecorded: Turbines whose failures nobody writes down: that a life went on says nothing new of its windows.

    Returns:
        `asset_id`; `changed_from` and `changed_until`: of windows that end between them, both included, microseconds since
        1970 (`ENDLESS`: of all later ones); `is_recut`: their features may differ too, as the life's start moved.
    """
    differing = pd.concat([before, after]).drop_duplicates(["asset_id", *LIFE_FIELDS], keep=False)
    horizon, silent = round(labels.horizon_days * MICROSECONDS_PER_DAY), frozenset(unrecorded)
    found = []
    for (asset_id, _), versions in _by_life(differing).items():
        starts, ends = ([life[name] for life in versions] for name in ("life_start", "life_end"))
        is_recut = len(versions) == 1 or starts[0] != starts[1]
        if is_recut or not all(life["is_running"] for life in versions):
            found.append((asset_id, min(starts), ENDLESS, is_recut))
        # What was to come is now known, one horizon before the records end; nothing else is new.
        elif asset_id not in silent:
            found.append((asset_id, min(ends) - horizon, max(ends) - horizon, False))
    # Whether a failure is known decides whether anybody writes them down, for all lives of a turbine.
    lives = pd.concat([before, after])
    for asset_id in sorted(_failed(before) ^ _failed(after)):
        found.append((asset_id, int(lives["life_start"][lives["asset_id"] == asset_id].min()), ENDLESS, False))
    types = {"asset_id": str, "changed_from": "int64", "changed_until": "int64", "is_recut": bool}
    changed: pd.DataFrame = pd.DataFrame(found, columns=list(types)).astype(types)
    return changed


def _failed(lives: pd.DataFrame) -> set[str]:
    """Turbines of which a failure is known."""
    return set(lives["asset_id"][lives["ended_in_failure"]])


def _by_life(lives: pd.DataFrame) -> dict[tuple[str, int], list[dict[Any, Any]]]:
    found: dict[tuple[str, int], list[dict[Any, Any]]] = {}
    for life in lives.to_dict("records"):
        found.setdefault((life["asset_id"], life["life_number"]), []).append(life)
    return found
