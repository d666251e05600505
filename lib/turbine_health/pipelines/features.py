"""Readings → cells → windowed features → training examples; only what changed since the last build."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import time
import uuid
from dataclasses import dataclass
from datetime import datetime, timezone

import pandas as pd
from pyspark.sql import Row
from pyspark.sql import functions as F

from turbine_health.errors import DataError
from turbine_health.feature_tables import FEATURE_RUNS
from turbine_health.io.delta import TableStore, WriteResult
from turbine_health.io.local_rows import local_rows
from turbine_health.io.short_plans import for_few_rows
from turbine_health.pipelines.failure_records import silent_sources
from turbine_health.pipelines.feature_updates import EVER, NOTHING, FeatureUpdates
from turbine_health.settings import Settings
from turbine_health.tables import CHANGED_HOURS
from turbine_health.transforms.changes import (
    baseline_spans,
    life_spans,
    to_cell_ranges,
    to_changed_cells,
    to_changed_events,
)
from turbine_health.transforms.features import EVENTS
from turbine_health.transforms.labels import changed_lives
from turbine_health.transforms.spans import ENDLESS, ahead, all_windows, seeing, within_known

logger = logging.getLogger("turbine_health")

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# Columns of ops.feature_runs that say what a build has taken in.
VERSIONS = ("readings_version", "changes_version", "lives_version", "events_version")
Written = tuple[WriteResult, WriteResult, WriteResult]


@dataclass(frozen=True)
class FeaturesSummary:
    """What one build wrote."""

    kind: str
    cells: int = 0
    windows: int = 0
    examples: int = 0
    seconds: float = 0

    def __str__(self) -> str:
        if self.kind == "nothing":
            return "nothing new since the last build"
        rows = f"{self.cells:,} cells, {self.windows:,} windows and {self.examples:,} examples written"
        return f"{self.kind} build: {rows} in {self.seconds:.0f} s"


def build_features(
    store: TableStore, settings: Settings, start: datetime | None = None, end: datetime | None = None
) -> FeaturesSummary:
    """Bring `gold.signal_cells`, `gold.window_features` and `gold.training_examples` up to date.

    Args:
        store: Where the tables are.
        settings: All settings.
        start: With this or `end`, build the windows that end in [start, end) again, and nothing else.
        end: See `start`.

    Raises:
        DataError: There is no reading, or a part is asked for while the whole was built with other settings.
    """
    # Workers do the work; what is left to plan is about bytes of files, packs, and a row a turbine.
    with for_few_rows(store.spark):
        return _build(store, settings, start, end)


def _build(store: TableStore, settings: Settings, start: datetime | None, end: datetime | None) -> FeaturesSummary:
    began, started_at = time.monotonic(), datetime.now(timezone.utc)
    # Before the readings: ingest writes those first. The other way round a batch could fall between, taken in by no build.
    changes_version = store.version(CHANGED_HOURS)
    updates = FeatureUpdates(store, settings)
    settings_hash = _settings_hash(settings)
    last = _last_run(store)
    is_same = last is not None and last["settings_hash"] == settings_hash
    if start is not None or end is not None:
        kind, written = "backfill", _build_between(updates, start or EPOCH, end or EVER, last, is_same)
    elif last is None or not is_same:
        if last is not None:
            logger.info("the settings of features or labels are not those of the last build, so all is built anew")
        kind, written = "full", _build_all(updates)
    elif tuple(last[name] for name in VERSIONS[1:]) == (changes_version, updates.lives_version, updates.events_version):
        return FeaturesSummary("nothing")
    else:
        kind, written = "incremental", _build_changes(updates, last)
    cells, windows, examples = (result.rows_inserted + result.rows_updated for result in written)
    if kind != "backfill":
        versions = (updates.readings_version, changes_version, updates.lives_version, updates.events_version)
        run = (
            str(uuid.uuid4()),
            started_at,
            datetime.now(timezone.utc),
            kind,
            settings_hash,
            *versions,
            cells,
            windows,
            examples,
        )
        store.append(local_rows(store.spark, [run], FEATURE_RUNS.schema), FEATURE_RUNS)
    return FeaturesSummary(kind, cells, windows, examples, time.monotonic() - began)


def _build_all(updates: FeatureUpdates) -> Written:
    """All cells, windows and examples, in place of what was there."""
    cells = updates.replace_cells()
    return cells, updates.replace_windows(all_windows(updates.known_cells())), updates.replace_examples()


def _build_changes(updates: FeatureUpdates, last: Row) -> Written:
    """Changed cells, the windows that can see one, and the examples that those or a changed life touch."""
    plan = updates.plan
    hours = updates.store.added_since(CHANGED_HOURS, last["changes_version"])
    ranges = to_cell_ranges(to_changed_cells(hours, plan.step_seconds), plan.longest_lookback).toPandas()
    cells = updates.update_cells(ranges)
    before = updates.lives_at(last["lives_version"])
    changed = changed_lives(before, updates.lives, updates.settings.labels, updates.unrecorded)
    longest_step = max((source.step.total_seconds() for source in updates.settings.sources), default=0.0)
    rebuilt = [
        seeing(ranges, plan.longest_lookback),
        ahead(ranges, before, plan.step_seconds, longest_step),
        baseline_spans(ranges, updates.lives, plan.step_seconds, plan.baseline_cells),
        life_spans(changed[changed["is_recut"]], plan.step_seconds),
    ]
    if updates.events_version is not None:
        counted = [EVENTS[event] for event in plan.events]
        changed_events = to_changed_events(updates.events(last["events_version"]), updates.events(), counted)
        rebuilt.append(life_spans(changed_events.toPandas().assign(changed_until=ENDLESS), plan.step_seconds))
    windows = pd.concat(rebuilt)
    spans = pd.concat([windows.assign(is_rebuilt=True), life_spans(changed, plan.step_seconds).assign(is_rebuilt=False)])
    if spans.empty:
        return cells, NOTHING, NOTHING
    # Where a turbine begins counts only where windows are built anew that see no changed cell.
    is_local = not (windows["last_end"] == ENDLESS).any()
    reached = within_known(spans, updates.known_cells(int(spans["first_end"].min()) - 1 if is_local else None))
    return cells, updates.update_windows(reached[reached["is_rebuilt"]]), updates.update_examples(reached)


def _build_between(updates: FeatureUpdates, start: datetime, end: datetime, last: Row | None, is_same: bool) -> Written:
    """Windows that end in [start, end), from the readings that they can see; all readings up to `end` the first time."""
    if last is not None and not is_same:
        raise DataError(
            "the tables were built with other settings of features or labels",
            where="--from/--to",
            hint="build everything once without --from and --to",
        )
    step = updates.plan.step_seconds
    first_end, last_end = math.ceil(start.timestamp() / step), math.ceil(end.timestamp() / step) - 1
    seen_from = first_end - updates.plan.longest_lookback if last is not None else 0
    cells = updates.update_cells(updates.cells_with_readings(seen_from, last_end - 1))
    known = updates.known_cells()
    spans = within_known(known[["asset_id"]].assign(first_end=first_end, last_end=last_end), known)
    return cells, updates.update_windows(spans), updates.update_examples(spans)


def _last_run(store: TableStore) -> Row | None:
    if not store.exists(FEATURE_RUNS):
        return None
    # Earlier versions of this project kept no account of events.
    store.add_missing(FEATURE_RUNS, ["events_version"])
    return store.read(FEATURE_RUNS).orderBy(F.desc("finished_at")).head()


def _settings_hash(settings: Settings) -> str:
    """Of all that decides a cell, a feature or a label; how a series is cut into chunks does not."""
    silent = silent_sources(settings)
    deciding = {
        "features": settings.features.model_dump(mode="json", exclude={"chunk_days"}),
        "labels": settings.labels.model_dump(mode="json"),
        "signals": settings.signal_names,
        "sampling_minutes": {source.name: source.sampling_minutes for source in settings.sources},
        **({"unrecorded": silent} if silent else {}),
    }
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()[:16]
