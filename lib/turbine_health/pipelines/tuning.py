"""Choose each head's forest among the settings' own and its candidates, on training rows alone.

Each forest is judged on turbines it has not seen, in weeks after those it learned from.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from turbine_health.errors import DataError
from turbine_health.models.calibration import RAW
from turbine_health.models.evaluation import ERROR_SUMS, error_metrics, error_sums, ranking, score_counts
from turbine_health.models.forests import DAYS, LABEL, classifier, regressor
from turbine_health.models.scoring import with_raw_days, with_raw_score
from turbine_health.models.validation import Scorer, Unfitted, out_of_fold
from turbine_health.pipelines.failure_head import rows_with_label
from turbine_health.pipelines.time_head import rows_with_days
from turbine_health.pipelines.training_set import TrainingSet
from turbine_health.settings import ForestSettings
from turbine_health.transforms.splits import TRAIN, UNUSED
from turbine_health.transforms.time_folds import JUDGED, time_folds, with_time_fold

logger = logging.getLogger("turbine_health")

CLASSIFIER, REGRESSOR = "classifier", "regressor"
# Scores that differ by less are a tie, so that the order in which a cluster adds up its sums chooses nothing.
SCORE_DIGITS = 6


@dataclass(frozen=True)
class Choice:
    """How one head's forest was chosen."""

    head: str
    forest: ForestSettings
    """The one with the best score; the settings' own unless a candidate is better."""
    metric: str
    table: pd.DataFrame
    """One row per forest: `candidate` (0: the settings' own), the score under the metric's name, `is_chosen`, the forest's
    settings."""

    def __str__(self) -> str:
        base, best, candidates = self.table.iloc[0], self.table[self.table["is_chosen"]].iloc[0], len(self.table) - 1
        own, where = f"{base[self.metric]:.4f}", "on later weeks of unseen turbines"
        if base["is_chosen"]:
            return f"the {self.head}'s own forest stays ({self.metric} {own}): no candidate of {candidates} is better {where}"
        changed = ", ".join(f"{key} {best[key]}" for key in ForestSettings.model_fields if best[key] != base[key])
        scores = f"{self.metric} {best[self.metric]:.4f} {where}, its own {own}"
        return f"candidate {best['candidate']} of {candidates} becomes the {self.head}'s forest ({changed}; {scores})"


@dataclass(frozen=True)
class _Contest:
    """What one head's forests learn from, and what they are judged by."""

    head: str
    rows: DataFrame
    is_learned: Column
    needed: Mapping[str, Column]
    """Kinds of rows, in words, without which there is nothing to learn or to judge."""
    estimator: Callable[[ForestSettings], Unfitted]
    with_score: Scorer
    metric: str
    score: Callable[[DataFrame], float]
    sign: int
    """1 where a larger score is better, -1 where a smaller one is."""


def tuned(held: TrainingSet) -> tuple[TrainingSet, dict[str, Choice]]:
    """Let `model.tuning` replace both forests of the settings.

    Args:
        held: What is trained on; its test rows are not looked at.

    Returns:
        The same with the chosen forests in its settings; and head → how its forest was chosen, for heads with candidates.

    Raises:
        DataError: A block of time has too little before it to learn from, or the blocks nothing to judge.
    """
    model = held.settings.model
    if model.tuning is None:
        return held, {}
    contests = (_failure_contest(held), model.tuning.classifier), (_time_contest(held), model.tuning.regressor)
    choices = {contest.head: _choice(held, contest, candidates) for contest, candidates in contests if candidates}
    for choice in choices.values():
        logger.info("%s", choice)
    forests = {head: choice.forest for head, choice in choices.items()}
    settings = held.settings.model_copy(update={"model": model.model_copy(update=forests)})
    return replace(held, settings=settings), choices


def blocks_to_judge(held: TrainingSet, rows: DataFrame, blocks: int) -> list[DataFrame]:
    """Training rows once per block of time, marked by whether they teach or are judged. Grain of each: as `rows`."""
    last = held.border.train_until if held.border else held.last
    folds = time_folds(held.first, last, blocks, held.settings.split.embargo_days)
    return [rows.transform(with_time_fold, fold).where(F.col("part") != UNUSED) for fold in folds]


def judged_later(
    blocks: Sequence[DataFrame], is_learned: Column, estimator: Unfitted, folds: int, with_score: Scorer
) -> DataFrame:
    """Score each block of time with forests grown from other turbines' rows before it.

    Grain: one row per judged row.

    Args:
        blocks: From `blocks_to_judge`.
        is_learned: Which rows a forest may learn from; all have the part `train`.
        estimator: Unfitted.
        folds: Groups of turbines.
        with_score: Adds the prediction of a fitted model.
    """
    scored = [out_of_fold(rows, is_learned, estimator, folds, with_score).where(F.col("part") == JUDGED) for rows in blocks]
    return reduce(DataFrame.unionByName, scored)


def _failure_contest(held: TrainingSet) -> _Contest:
    rows, is_learned = rows_with_label(held)
    return _Contest(
        head=CLASSIFIER,
        rows=rows,
        is_learned=is_learned,
        needed={"with a failure ahead": F.col(LABEL) == 1, "without": F.col(LABEL) == 0},
        estimator=_estimator_of(held, CLASSIFIER, classifier),
        with_score=with_raw_score,
        metric="pr_auc",
        score=_pr_auc,
        sign=1,
    )


def _time_contest(held: TrainingSet) -> _Contest:
    rows, is_learned = rows_with_days(held)
    return _Contest(
        head=REGRESSOR,
        rows=rows,
        is_learned=is_learned,
        needed={"whose days left were known by then": F.col(DAYS).isNotNull()},
        estimator=_estimator_of(held, REGRESSOR, regressor),
        with_score=with_raw_days,
        metric="rmse_known",
        score=_rmse_known,
        sign=-1,
    )


def _estimator_of(held: TrainingSet, head: str, unfitted: Callable[..., Unfitted]) -> Callable[[ForestSettings], Unfitted]:
    """How a head's estimator is made for one forest of it, with fewer trees, as in validation."""
    model = held.settings.model
    return lambda forest: unfitted(model.model_copy(update={head: forest}), share_of_trees=model.validation_trees_share)


def _choice(held: TrainingSet, contest: _Contest, candidates: Sequence[ForestSettings]) -> Choice:
    model, folds = held.settings.model, held.settings.split.folds
    base: ForestSettings = getattr(model, contest.head)
    forests = [base, *(base.with_changes(candidate) for candidate in candidates)]
    blocks = blocks_to_judge(held, contest.rows, model.tuning.time_blocks if model.tuning else 1)
    _refuse_without(contest, blocks, folds)
    scores = [
        contest.score(judged_later(blocks, contest.is_learned, contest.estimator(forest), folds, contest.with_score))
        for forest in forests
    ]
    # Of equal scores argmax takes the first: the settings' own forest before any candidate.
    best = int(np.argmax([contest.sign * score for score in scores]))
    rows = [
        {"candidate": number, contest.metric: score, "is_chosen": number == best, **forest.model_dump()}
        for number, (forest, score) in enumerate(zip(forests, scores, strict=True))
    ]
    return Choice(contest.head, forests[best], contest.metric, pd.DataFrame(rows))


def _pr_auc(scored: DataFrame) -> float:
    return round(ranking(score_counts(scored).toPandas()).pr_auc or 0.0, SCORE_DIGITS)


def _rmse_known(scored: DataFrame) -> float:
    """In days, over judged rows whose days are known, capped."""
    sums = error_sums(scored, "part", RAW, DAYS).agg(*(F.sum(name).alias(name) for name in ERROR_SUMS)).toPandas()
    return round(error_metrics(sums.iloc[0])["rmse"] or 0.0, SCORE_DIGITS)


def _refuse_without(contest: _Contest, blocks: Sequence[DataFrame], folds: int) -> None:
    """Each forest must see every kind of row that is needed, and so must the judged rows together."""
    judged = dict.fromkeys(contest.needed, 0)
    for number, rows in enumerate(blocks, start=1):
        counts = _counts(rows.where(contest.is_learned | (F.col("part") == JUDGED)), contest.needed)
        learned = counts[counts["part"] == TRAIN]
        for kind in contest.needed:
            judged[kind] += int(counts.loc[counts["part"] == JUDGED, kind].sum())
            poor = [fold for fold in range(folds) if not learned.loc[learned["fold"] != fold, kind].sum()]
            if poor:
                raise _too_little(contest, f"before block {number} of {len(blocks)}, turbines outside fold {poor[0]}", kind)
    for kind, count in judged.items():
        if not count:
            raise _too_little(contest, "the blocks to be judged", kind)


def _counts(rows: DataFrame, kinds: Mapping[str, Column]) -> pd.DataFrame:
    """Rows of each kind by `part` and `fold`."""
    counts = [F.count_if(is_kind).alias(kind) for kind, is_kind in kinds.items()]
    table: pd.DataFrame = rows.groupBy("part", "fold").agg(*counts).toPandas()
    return table


def _too_little(contest: _Contest, where: str, kind: str) -> DataError:
    return DataError(
        f"{where} have no row {kind}",
        where=f"model.tuning.{contest.head}",
        hint="give fewer model.tuning.time_blocks, take in a longer record, or leave model.tuning out",
    )
