"""Why a forest gave a score: one reason a signal, so that the parts add up to the whole.

raw_score = base_score + other_contribution + sum of the reasons' contributions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.ml import PipelineModel
from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DoubleType, StructField, StructType

from turbine_health.errors import DataError
from turbine_health.models.forest_paths import Floats, ForestPaths
from turbine_health.models.forests import FEATURES
from turbine_health.models.wording import words_of
from turbine_health.tables import REASON, parse_feature_name

Positions = npt.NDArray[np.int64]
_VECTOR = "_vector"


def with_reasons(
    scored: DataFrame,
    model: PipelineModel,
    paths: ForestPaths,
    *,
    features: Sequence[str],
    normal: Mapping[str, float],
    most: int = 5,
) -> DataFrame:
    """Add why each row got its score, one reason a signal.

    Grain: as `scored`.

    Args:
        scored: Rows with a score. Needs `features` (raw, null where missing) and `raw_score`.
        model: The fitted pipeline that scored them, for what it does to the features first.
        paths: Its forest, by `forest_paths(model)`.
        features: Feature columns that the pipeline takes.
        normal: Feature → its median over healthy windows.
        most: Reasons a row has at most.

    Returns:
        `scored` plus `reasons` (largest contribution first; `feature` is the one of its signal that
        moved the score most, `contribution` the sum over the signal), `base_score` and
        `other_contribution` (of the signals not named, and of rounding the score), so that
        raw_score = base_score + other_contribution + sum of the contributions.
        All three are null where `raw_score` is.
    """
    prepared = model.transform(scored)
    explainer = _Explainer(paths, tuple(_features_of_slots(prepared.schema[FEATURES], features)), dict(normal), most)
    vector = F.when(F.col("raw_score").isNotNull(), vector_to_array(F.col(FEATURES)))
    schema = (
        StructType(list(scored.schema.fields))
        .add("reasons", ArrayType(REASON))
        .add("base_score", DoubleType())
        .add("other_contribution", DoubleType())
    )
    return prepared.select(*scored.columns, vector.alias(_VECTOR)).mapInArrow(explainer.explain, schema)


@dataclass(frozen=True)
class _Explainer:
    """What a worker needs to explain batches of rows."""

    paths: ForestPaths
    features_of_slots: tuple[str, ...]
    normal: dict[str, float]
    most: int

    def explain(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            position = batch.schema.get_field_index(_VECTOR)
            vectors = batch.column(position)
            known = np.flatnonzero(vectors.is_valid().to_numpy(zero_copy_only=False))
            width = len(self.features_of_slots)
            values = vectors.drop_null().flatten().to_numpy(zero_copy_only=False).reshape(len(known), width)
            others = batch.drop_columns([_VECTOR])
            added = self._columns(others, known, values)
            yield pa.RecordBatch.from_arrays([*others.columns, *added.values()], names=[*others.schema.names, *added])

    def _columns(self, rows: pa.RecordBatch, known: Positions, vectors: Floats) -> dict[str, pa.Array]:
        features = list(dict.fromkeys(self.features_of_slots))
        feature_of_slot = np.array([features.index(name) for name in self.features_of_slots], dtype=np.int32)
        moved = self.paths.contributions(vectors, feature_of_slot, len(features))
        base, moved = self.paths.as_scores(moved)
        signals = list(dict.fromkeys(_signal(name) for name in features))
        signal_of_feature = np.array([signals.index(_signal(name)) for name in features])
        by_signal = np.stack([moved[:, signal_of_feature == each].sum(axis=1) for each in range(len(signals))], axis=1)
        chosen = np.argsort(-np.abs(by_signal), axis=1, kind="stable")[:, : self.most]
        named = np.take_along_axis(by_signal, chosen, axis=1)
        score = rows.column("raw_score").drop_null().to_numpy(zero_copy_only=False)
        leading = _leading_features(moved, signal_of_feature, chosen)
        count = rows.num_rows
        return {
            "reasons": self._reasons(rows, known, np.array(features)[leading], named),
            "base_score": _sparse(count, known, base),
            "other_contribution": _sparse(count, known, score - base - named.sum(axis=1)),
        }

    def _reasons(self, rows: pa.RecordBatch, known: Positions, leading: npt.NDArray[np.str_], named: Floats) -> pa.Array:
        columns = {name: rows.column(name).to_pylist() for name in np.unique(leading)}
        names = [str(name) for name in leading.ravel()]
        values = [columns[name][row] for name, row in zip(names, known.repeat(leading.shape[1]), strict=True)]
        normal = [self.normal.get(name) for name in names]
        words = [words_of(name, value, usual) for name, value, usual in zip(names, values, normal, strict=True)]
        fields = [
            pa.array(names, pa.string()), pa.array(values, pa.float64()), pa.array(normal, pa.float64()),
            pa.array(named.ravel()), pa.array(words, pa.string()),
        ]  # fmt: skip
        structs = pa.StructArray.from_arrays(fields, names=REASON.names)
        lengths = np.zeros(rows.num_rows, dtype=np.int32)
        lengths[known] = leading.shape[1]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        unknown = np.ones(rows.num_rows, dtype=bool)
        unknown[known] = False
        return pa.ListArray.from_arrays(pa.array(offsets), structs, mask=pa.array(unknown))


def _features_of_slots(vector: StructField, features: Sequence[str]) -> list[str]:
    """The feature that each slot of the vector was made of, from the names that VectorAssembler keeps."""
    groups = vector.metadata.get("ml_attr", {}).get("attrs", {})
    attributes = sorted((attribute for group in groups.values() for attribute in group), key=lambda each: int(each["idx"]))
    made_of = [_feature_of(attribute.get("name", ""), features) for attribute in attributes]
    if not made_of or "" in made_of:
        raise DataError(
            f"the slots of {vector.name} are not named after features",
            hint="assemble the vector from columns named <feature> or <anything>_<feature>",
        )
    return made_of


def _feature_of(slot: str, features: Sequence[str]) -> str:
    """`x__mean_24h` for the slots `x__mean_24h` and `_missing_x__mean_24h`; empty where none fits."""
    return max((name for name in features if slot == name or slot.endswith(f"_{name}")), key=len, default="")


def _leading_features(moved: Floats, signal_of_feature: Positions, chosen: Positions) -> Positions:
    """Of each chosen signal (rows × reasons), the feature that moved the score most."""
    leading = np.empty_like(chosen)
    for reason in range(chosen.shape[1]):
        of_signal = signal_of_feature[np.newaxis, :] == chosen[:, reason, np.newaxis]
        leading[:, reason] = np.where(of_signal, np.abs(moved), -1).argmax(axis=1)
    return leading


def _sparse(count: int, known: Positions, values: Floats) -> pa.Array:
    column = np.zeros(count)
    column[known] = values
    unknown = np.ones(count, dtype=bool)
    unknown[known] = False
    return pa.array(column, mask=unknown)


def _signal(feature: str) -> str:
    return parse_feature_name(feature).signal
