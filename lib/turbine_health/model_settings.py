"""The settings of training and scoring: split, forests, costs, what counts as proof, which data is fresh enough."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_serializer, model_validator

from turbine_health.section import Section


class SplitSettings(Section):
    """Which rows train and test. The embargo keeps a label from reaching over a border in time.

    Validation is by turbine folds: every training turbine is judged by a forest that has not seen it, so that
    calibration, threshold and intervals rest on every failure of the training part and hold for unseen turbines.
    """

    strategy: Literal["time", "asset", "time_and_asset"] = "time"
    test_share: float = Field(0.25, gt=0, lt=1, description="Of the time covered, of the turbines, or of both.")
    folds: int = Field(3, ge=2, le=20, description="Groups of turbines for validation.")
    embargo_days: float = Field(7, ge=0)
    seed: int = 42


class ForestSettings(Section):
    """One forest. Defaults by measurement, see docs/models.md."""

    trees: int = Field(60, ge=1, le=2_000)
    depth: int = Field(8, ge=1, le=30)
    min_rows_per_leaf: int = Field(10, ge=1)
    features_per_split: str = Field("auto", description="auto, all, onethird, sqrt, log2, a count or a share.")
    rows_per_tree: float = Field(1.0, gt=0, le=1)
    bins: int = Field(32, ge=2, le=512)
    impurity: Literal["gini", "entropy", "variance"] = Field(
        "variance",
        description="The classifier's random forest only; see docs/models.md for what they are and which ranks better.",
    )
    learning_rate: float = Field(0.1, gt=0, le=1, description="Gradient-boosted trees only.")

    def with_changes(self, changes: ForestSettings) -> ForestSettings:
        """This forest with the keys replaced that `changes` was given; its defaults replace nothing."""
        return self.model_copy(update=changes.model_dump(exclude_unset=True))


class TuningSettings(Section):
    """Candidates for each head's forest: the keys in which they differ from it, such as `{depth: 10}`.

    Each is judged on training rows alone, on later weeks of turbines that it has not seen. See docs/models.md.
    """

    classifier: tuple[ForestSettings, ...] = ()
    regressor: tuple[ForestSettings, ...] = ()
    time_blocks: int = Field(
        2, ge=1, le=10, description="Equal spans that are judged, each by what was known before it; one more comes first."
    )

    @model_validator(mode="after")
    def _has_candidates(self) -> TuningSettings:
        if not self.classifier and not self.regressor:
            raise ValueError("no candidates: name some under classifier or regressor, or leave tuning out")
        return self

    @field_serializer("classifier", "regressor")
    def _given_keys(self, candidates: tuple[ForestSettings, ...]) -> list[dict[str, Any]]:
        """Without defaults, which would read as if they had been asked for."""
        return [candidate.model_dump(exclude_unset=True) for candidate in candidates]


class LinearAnswerSettings(Section):
    """Regressions that sum up many noisy signals, which single splits cannot. By measurement, see docs/cmapss.md."""

    caps_days: tuple[float, ...] = Field(
        min_length=1, description="One regression for each: of the days left, but at most so many; near ones see the end alone."
    )
    penalty: float = Field(0.025, gt=0, description="Of the ridge, as a share of the cap: days per spread of a feature.")


class RegimeSettings(Section):
    """Deviation from what the operating regime predicts, fitted on healthy windows of the training part."""

    signals: tuple[str, ...] = Field(min_length=1, max_length=3, description="Their window means tell the regime: power, say.")
    of: tuple[str, ...] = Field(min_length=1, description="Signals whose window means are compared with the regime's.")
    bins: int = Field(5, ge=2, le=20, description="Of each signal that tells the regime, with about equally many windows.")
    min_windows: int = Field(30, ge=2, description="A regime with fewer healthy windows says nothing.")


class ModelSettings(Section):
    """Both heads."""

    kind: Literal["random_forest", "gradient_boosted"] = "random_forest"
    classifier: ForestSettings = ForestSettings()
    regressor: ForestSettings = ForestSettings()
    tuning: TuningSettings | None = Field(None, description="Null: the forests are grown as they stand here.")
    time_to_failure_cap_days: float | None = Field(
        30, gt=0, description="Days left are capped here: no sensor tells failures further off apart. Null: not capped."
    )
    linear_answers: LinearAnswerSettings | None = Field(
        None, description="Gives the trees for days left what linear regressions answer, as further features. Null: not."
    )
    regime: RegimeSettings | None = Field(None, description="Null: no deviations from the operating regime.")
    interval_coverage: float = Field(0.8, gt=0, lt=1)
    interval_bands: int = Field(3, ge=1, le=20, description="Bands of predicted life with an interval of their own.")
    max_healthy_rows_per_failing_row: float | None = Field(
        6, gt=0, description="Thin the healthy rows that the classifier learns from to this ratio. Null: keep all."
    )
    class_balance: float = Field(
        1.0, ge=0, le=1, description="How far the classifier weighs the rarer class up: 1 until both count alike, 0 not at all."
    )
    validation_trees_share: float = Field(
        0.5, gt=0, le=1, description="Trees of the forests that only validate, as a share of the model's own."
    )
    training_partitions: int = Field(
        2, ge=1, le=10_000, description="Partitions that a forest is grown from; another number grows another forest."
    )
    memory_mb: int = Field(512, ge=32, le=16_384, description="For the histograms of one pass over the rows.")
    seed: int = 42


class CostSettings(Section):
    """What errors and actions cost, in one currency."""

    missed_failure: float = Field(20_000, ge=0, description="On top of the unplanned repair: further damage, penalties.")
    unplanned_repair: float = Field(60_000, ge=0)
    planned_repair: float = Field(20_000, ge=0)
    needless_visit: float = Field(4_000, ge=0, description="A crew that finds nothing.")
    lost_energy_per_day: float = Field(2_000, ge=0)
    unplanned_standstill_days: float = Field(10, ge=0, description="From a failure that nobody saw coming.")
    planned_standstill_days: float = Field(3, ge=0)
    visit_standstill_days: float = Field(0.5, ge=0)

    @property
    def of_missed_failure(self) -> float:
        """All that a failure costs which comes without an alert."""
        return self.missed_failure + self.unplanned_repair + self.lost_energy_per_day * self.unplanned_standstill_days

    @property
    def of_caught_failure(self) -> float:
        """All that a failure costs which an alert announced."""
        return self.planned_repair + self.lost_energy_per_day * self.planned_standstill_days

    @property
    def of_false_alarm(self) -> float:
        """All that sending a crew for nothing costs."""
        return self.needless_visit + self.lost_energy_per_day * self.visit_standstill_days


class EvaluationSettings(Section):
    """What the scores are made of, and what a model must prove before it scores the fleet."""

    resamplings: int = Field(200, ge=20, le=10_000, description="Draws of whole turbines behind each confidence interval.")
    confidence: float = Field(0.9, gt=0, lt=1)
    random_reference: bool = Field(True, description="Also score the optimistic split of random rows; one more fit a head.")
    learning_curve: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        (), description="Shares of the training turbines to train on, to see what more would bring; one more fit a head each."
    )
    inspections_per_day: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (1, 3), min_length=1, description="Turbines that can be visited a day, for top-k scores."
    )
    min_test_failures: int = Field(5, ge=1, description="Fewer distinct failures in the test prove nothing.")
    min_training_failures: int = Field(10, ge=1, description="Fewer distinct failures in the training part teach nothing.")


class ScoringSettings(Section):
    """Which windows are fresh and full enough to be scored."""

    stale_after_hours: float = Field(48, gt=0, description="A last reading older than this: stale, no prediction.")
    min_coverage: float = Field(0.3, ge=0, le=1, description="Fewer readings than this share: sparse, no prediction.")
