"""A fitted forest as flat arrays, and what each feature contributed to its answers.

A tree's answer is its root's average plus, at every split on the way down, the child's average minus
the parent's. Each of those steps belongs to the feature of its split (Saabas, 2014). Averaged over
the trees: answer = base + sum of all contributions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pyspark import SparkContext
from pyspark.ml import PipelineModel
from pyspark.ml.classification import GBTClassificationModel, RandomForestClassificationModel
from pyspark.ml.regression import RandomForestRegressionModel

from turbine_health.errors import DataError
from turbine_health.models.forests import FAILING_SHARE, stages_of

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int32]


@dataclass(frozen=True)
class ForestPaths:
    """A fitted forest as flat arrays, one entry a node, small enough to travel to every worker.

    A leaf's children are the leaf itself, so that all rows can take the same number of steps.
    `value` is the node's answer times the weight of its tree.
    """

    slot: Integers
    threshold: Floats
    left: Integers
    right: Integers
    value: Floats
    roots: Integers
    depth: int
    is_log_odds: bool = False

    @property
    def base(self) -> float:
        """What the forest answers when it knows nothing of the row."""
        return float(self.value[self.roots].sum())

    def contributions(self, vectors: Floats, group_of_slot: Integers, groups: int) -> Floats:
        """How far each group of slots moved the answer from `base`.

        Args:
            vectors: rows × slots, as the forest takes them.
            group_of_slot: Which group each slot belongs to, 0 to `groups` - 1.
            groups: How many there are.

        Returns:
            rows × groups; a row's sum plus `base` is the forest's answer.
        """
        rows = np.arange(len(vectors))
        moved = np.zeros((len(vectors), groups))
        for root in self.roots:
            node = np.full(len(vectors), root, dtype=np.int32)
            for _ in range(self.depth):
                slot = self.slot[node]
                goes_left = vectors[rows, slot] <= self.threshold[node]
                child = np.where(goes_left, self.left[node], self.right[node])
                moved[rows, group_of_slot[slot]] += self.value[child] - self.value[node]
                node = child
        return moved

    def as_scores(self, moved: Floats) -> tuple[Floats, Floats]:
        """Base score and contributions on the scale of `raw_score`, per row and per row × group.

        A boosted forest adds up log odds; its steps are stretched to the distance that they
        cover between the two probabilities, which keeps their shares and makes the sum exact.
        """
        if not self.is_log_odds:
            return np.full(len(moved), self.base), moved
        total = moved.sum(axis=1)
        base = _probability(np.full(len(moved), self.base))
        distance = _probability(self.base + total) - base
        return base, moved * np.divide(distance, total, out=np.zeros_like(total), where=total != 0)[:, np.newaxis]


def forest_paths(model: PipelineModel) -> ForestPaths:
    """The classifier's forest, taken out of a fitted pipeline.

    Raises:
        DataError: The pipeline holds no forest for two classes.
    """
    forests = [stage for stage in stages_of(model) if _tells_classes(stage)]
    if len(forests) != 1:
        raise DataError(f"the pipeline holds {len(forests)} classifying forests, reasons need one")
    (forest,) = forests
    is_boosted = isinstance(forest, GBTClassificationModel)
    weights = list(forest.treeWeights) if is_boosted else [1 / len(forest.trees)] * len(forest.trees)
    votes = isinstance(forest, RandomForestClassificationModel)
    trees = [_tree_arrays(nodes, votes) for nodes in _nodes_of_trees(forest)]
    starts = np.cumsum([0] + [len(tree["value"]) for tree in trees])[:-1]
    return ForestPaths(
        slot=np.concatenate([tree["slot"] for tree in trees]).astype(np.int32),
        threshold=np.concatenate([tree["threshold"] for tree in trees]),
        left=np.concatenate([tree["left"] + start for tree, start in zip(trees, starts, strict=True)]).astype(np.int32),
        right=np.concatenate([tree["right"] + start for tree, start in zip(trees, starts, strict=True)]).astype(np.int32),
        value=np.concatenate([tree["value"] * weight for tree, weight in zip(trees, weights, strict=True)]),
        roots=starts.astype(np.int32),
        depth=max(tree.depth for tree in forest.trees),
        is_log_odds=is_boosted,
    )


def _tells_classes(stage: Any) -> bool:
    """Whether `forests.classifier` grew it; a forest for the days left is none."""
    if isinstance(stage, RandomForestRegressionModel):
        return bool(stage.getPredictionCol() == FAILING_SHARE)
    return isinstance(stage, RandomForestClassificationModel | GBTClassificationModel)


def _nodes_of_trees(forest: Any) -> Iterator[list[dict[str, Any]]]:
    """Each tree's nodes in pre-order, as MLlib writes them when it saves a model.

    Walking the nodes one by one from Python takes minutes for a hundred trees (seven calls a
    node), so the JVM turns a whole tree into text at once.
    """
    jvm: Any = SparkContext._jvm
    jackson = jvm.com.fasterxml.jackson
    visibility = getattr(jackson.annotation, "JsonAutoDetect$Visibility")
    mapper = jackson.databind.ObjectMapper()
    mapper.registerModule(getattr(getattr(jackson.module.scala, "DefaultScalaModule$"), "MODULE$"))
    mapper.setVisibility(jackson.annotation.PropertyAccessor.GETTER, visibility.NONE)
    mapper.setVisibility(jackson.annotation.PropertyAccessor.FIELD, visibility.ANY)
    builder = getattr(getattr(jvm.org.apache.spark.ml.tree, "DecisionTreeModelReadWrite$NodeData$"), "MODULE$")
    for tree in forest.trees:
        yield json.loads(mapper.writeValueAsString(builder.build(tree._java_obj.rootNode(), 0)._1()))


def _tree_arrays(nodes: Sequence[dict[str, Any]], votes: bool) -> dict[str, npt.NDArray[Any]]:
    own = np.arange(len(nodes))
    left = np.array([node["leftChild"] for node in nodes])
    right = np.array([node["rightChild"] for node in nodes])
    is_leaf = left < 0
    return {
        "slot": np.where(is_leaf, 0, [node["split"]["featureIndex"] for node in nodes]),
        "threshold": np.array([(node["split"]["leftCategoriesOrThreshold"] or [0.0])[0] for node in nodes]),
        "left": np.where(is_leaf, own, left),
        "right": np.where(is_leaf, own, right),
        "value": np.array([_share_of_ones(node["impurityStats"]) if votes else node["prediction"] for node in nodes]),
    }


def _share_of_ones(weights: Sequence[float]) -> float:
    return weights[1] / sum(weights)


def _probability(log_odds: Floats) -> Floats:
    # MLlib's boosted trees answer half the log odds.
    return np.asarray(1 / (1 + np.exp(-2 * log_odds)))
