"""The examples of one Delta version, split, prepared and held in memory for both heads."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from turbine_health.errors import DataError
from turbine_health.io.delta import TableStore
from turbine_health.models.forests import exact_days, in_training_order
from turbine_health.models.preparation import Preparation, fit_preparation
from turbine_health.models.scoring import quality_status
from turbine_health.settings import Settings
from turbine_health.tables import Table, training_examples
from turbine_health.transforms.features import feature_plan
from turbine_health.transforms.splits import (
    TEST,
    TRAIN,
    UNUSED,
    Border,
    time_border,
    to_turbine_groups,
    with_days_known,
    with_part,
)

logger = logging.getLogger("turbine_health")

KEPT = (
    "asset_id", "window_end", "life_number", "failure_mode", "failure_within_7d", "time_to_failure_days",
    "days_known", "is_followed_up", "part", "fold",
)  # fmt: skip


@dataclass(frozen=True)
class TrainingSet:
    """What both heads train and test on."""

    settings: Settings
    table: Table
    version: int
    path: str
    examples: DataFrame
    """Feature columns with labels, `part`, `fold`, `days_known` and `is_followed_up`; rows that can be scored only."""
    rows: DataFrame
    """Cached, in training order: `KEPT` and `features`, the vector."""
    preparation: Preparation
    border: Border | None
    counts: pd.DataFrame
    """One row per `part`, `fold`, `label_status` and `failure_within_7d`, with `rows`, of all rows of the table."""
    turbines: int
    training_failures: int
    """Distinct failures that training rows have ahead of them."""
    first: datetime
    last: datetime
    """Of the windows with a label, UTC."""

    @property
    def row_count(self) -> int:
        """Rows of the table at this version."""
        return int(self.counts["rows"].sum())

    def rows_of(self, part: str, *, label: int | None = None) -> int:
        """Labelled rows of a part that can be scored, of one class or both."""
        chosen = self.counts[(self.counts["part"] == part) & self.counts["is_ok"] & self.counts["failure_within_7d"].notna()]
        if label is not None:
            chosen = chosen[chosen["failure_within_7d"] == label]
        return int(chosen["rows"].sum())

    def rows_by_status(self) -> dict[str, int]:
        """Rows of the table by label status."""
        return {str(status): int(rows) for status, rows in self.counts.groupby("label_status")["rows"].sum().items()}

    def missing_features(self, features: Sequence[str]) -> list[str]:
        """Those of `features` that the table does not have."""
        return sorted(set(features) - set(self.table.schema.names))

    def importance(self, shares: Sequence[float]) -> pd.DataFrame:
        """`feature` and `importance` (shares of the forest's gain) for each place of the vector that the trees take."""
        answers = self.settings.model.linear_answers
        caps = [] if answers is None else [f"linear answer up to {cap:g} days" for cap in answers.caps_days]
        places = [*self.preparation.slots, *caps][: len(shares)]
        table: pd.DataFrame = pd.DataFrame({"feature": places, "importance": shares})
        return table

    @property
    def test_share(self) -> float:
        """Labelled test rows among labelled training and test rows, 0 to 1."""
        test = self.rows_of(TEST)
        return round(test / max(test + self.rows_of(TRAIN), 1), 4)

    @property
    def split_in_words(self) -> str:
        """What was really done."""
        split = self.settings.split
        if self.border is None:
            return f"{split.test_share:.0%} of the turbines test, all of their time (seed {split.seed})"
        weeks = f"trained until {self.border.train_until:%Y-%m-%d}, tested from {self.border.test_from:%Y-%m-%d}"
        turbines = f" on {split.test_share:.0%} of the turbines (seed {split.seed})" if split.strategy != "time" else ""
        return f"{weeks}{turbines}, embargo {split.embargo_days:g} days"

    @property
    def schema_hash(self) -> str:
        """Of the names and types of the table's columns."""
        return hashlib.sha256(self.table.schema.simpleString().encode()).hexdigest()[:16]


def load_training_set(store: TableStore, settings: Settings, version: int | None) -> TrainingSet:
    """Read, split and prepare the examples.

    Args:
        store: Where `gold.training_examples` is.
        settings: All settings.
        version: Delta version to train on; None is the newest.

    Raises:
        DataError: Too little is labelled to train on.
        SettingsError: The embargo is shorter than the horizon.
    """
    features = feature_plan(settings.features, settings.feature_signals).names
    table = training_examples(features)
    version = store.version(table) if version is None else version
    examples = store.read(table, version)
    first, last = _labelled_span(examples)
    border = time_border(first, last, settings.split, settings.labels.horizon_days)
    groups = to_turbine_groups(examples, settings.split).cache()
    # Held once with all features: everything below, and both heads, would read and mark the table again otherwise.
    marked = in_training_order(_mark(examples, groups, border, settings), settings.model.training_partitions).cache()
    counts = _counts(marked)
    _refuse_without_failures(counts, settings.split.folds)
    _refuse_without_test(counts)
    usable = marked.where(F.col("is_ok")).drop("is_ok")
    training = usable.where((F.col("part") == TRAIN) & F.col("failure_within_7d").isNotNull())
    learned = int(counts.loc[counts["part"] == TRAIN, "rows"].sum())
    preparation = fit_preparation(training, learned, features, settings.model.regime)
    is_used = (F.col("part") != UNUSED) & (F.col("failure_within_7d").isNotNull() | F.col("days_known").isNotNull())
    rows = preparation.vectors(usable.where(is_used), KEPT).cache()
    held = TrainingSet(
        settings, table, version, store.path(table), usable, rows, preparation, border, counts,
        groups.count(), _failures(training), first, last,
    )  # fmt: skip
    logger.info(
        "%s version %d: %s of %s rows train, %s test, %d features",
        table.identifier, version, *(f"{number:,}" for number in (held.rows_of(TRAIN), held.row_count, held.rows_of(TEST))),
        len(preparation.features),
    )  # fmt: skip
    return held


def _mark(examples: DataFrame, groups: DataFrame, border: Border | None, settings: Settings) -> DataFrame:
    """Add `part`, `fold`, `days_known`, and `is_ok`: fresh and full enough to be scored."""
    status = quality_status(F.col("data_age_hours"), F.col("coverage"), **settings.scoring.model_dump())
    return (
        examples.transform(with_part, groups, border)
        .transform(with_days_known, border, settings.model.time_to_failure_cap_days)
        .withColumns({"days_known": exact_days(F.col("days_known")), "is_ok": status == "ok"})
    )


def _counts(marked: DataFrame) -> pd.DataFrame:
    keys = ["part", "fold", "label_status", "failure_within_7d", "is_ok"]
    counts: pd.DataFrame = marked.groupBy(*keys).agg(F.count("*").alias("rows")).orderBy(*keys).toPandas()
    return counts


def _labelled_span(examples: DataFrame) -> tuple[datetime, datetime]:
    labelled = examples.where(F.col("failure_within_7d").isNotNull())
    span = labelled.agg(
        F.unix_seconds(F.min("window_end")).alias("first"), F.unix_seconds(F.max("window_end")).alias("last")
    ).first()
    if span is None or span["first"] is None:
        raise DataError(
            "no row has a label", where="gold.training_examples", hint="take in logs with failures, or a longer record"
        )
    return datetime.fromtimestamp(span["first"], timezone.utc), datetime.fromtimestamp(span["last"], timezone.utc)


def _failures(training: DataFrame) -> int:
    life = F.when(F.col("failure_within_7d") == 1, F.struct("asset_id", "life_number"))
    row = training.agg(F.countDistinct(life).alias("failures")).first()
    return int(row["failures"]) if row else 0


def _refuse_without_failures(counts: pd.DataFrame, folds: int) -> None:
    """A forest, and each forest that leaves one fold out, must see both classes."""
    training = counts[(counts["part"] == TRAIN) & counts["is_ok"]]
    failing = training[training["failure_within_7d"] == 1].groupby("fold")["rows"].sum()
    healthy = training[training["failure_within_7d"] == 0]["rows"].sum()
    if len(failing) < 2 or not healthy:
        raise DataError(
            f"training rows see failures ahead in {len(failing)} of {folds} turbine folds, and {int(healthy):,} are healthy",
            where="gold.training_examples",
            hint="at least two turbines must have failed; take in a longer record or more turbines",
        )


def _refuse_without_test(counts: pd.DataFrame) -> None:
    """Without a row to judge on nothing could be said about the model."""
    test = counts[(counts["part"] == TEST) & counts["failure_within_7d"].notna()]
    if not test["is_ok"].any():
        labelled = int(test["rows"].sum())
        raise DataError(
            f"the test part has {labelled:,} rows with a label, and none that is fresh and full enough to be scored",
            where="gold.training_examples",
            hint="give a larger split.test_share or another split.strategy, or take in a longer record",
        )
