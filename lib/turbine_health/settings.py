"""The settings: what every key means, its unit, its range and its default.

Values come from, weakest first: the defaults here, `conf/base.yaml`, the file of `--config`,
environment variables (`TURBINE_HEALTH__STORAGE__ROOT=…`), and `--set storage.root=…`.
Unknown keys, repeated keys and values out of range are refused, all at once, before Spark starts.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator, model_validator

from turbine_health.errors import SettingsError
from turbine_health.feature_settings import EventCounts as EventCounts
from turbine_health.feature_settings import FeatureSet as FeatureSet
from turbine_health.feature_settings import FeatureSettings as FeatureSettings
from turbine_health.model_settings import CostSettings as CostSettings
from turbine_health.model_settings import EvaluationSettings as EvaluationSettings
from turbine_health.model_settings import ForestSettings as ForestSettings
from turbine_health.model_settings import LinearAnswerSettings as LinearAnswerSettings
from turbine_health.model_settings import ModelSettings as ModelSettings
from turbine_health.model_settings import RegimeSettings as RegimeSettings
from turbine_health.model_settings import ScoringSettings as ScoringSettings
from turbine_health.model_settings import SplitSettings as SplitSettings
from turbine_health.model_settings import TuningSettings as TuningSettings
from turbine_health.section import Section
from turbine_health.settings_files import (
    existing_file,
    from_environment,
    from_pair,
    merged_over,
    read_with_parents,
)
from turbine_health.settings_files import find_conf_file as find_conf_file
from turbine_health.simulation_settings import SimulationSettings as SimulationSettings
from turbine_health.sources import Source


class StorageSettings(Section):
    """Where the tables and pages are."""

    root: str = Field("data/lake", validate_default=True, description="Folder or URI; a table lies under root/<layer>/<table>.")
    reports: str = Field("data/reports", description="Folder of the HTML pages.")

    @field_validator("root")
    @classmethod
    def _absolute(cls, root: str) -> str:
        """Delta refuses to create a table at a relative folder, and executors have other working directories."""
        return root if "://" in root else str(Path(root).absolute())

    def checkpoint(self, source_name: str) -> str:
        """Where the stream of a source notes what it has taken."""
        return f"{self.root.rstrip('/')}/_checkpoints/{source_name}"


class MlflowSettings(Section):
    """Which MLflow server, and the names under which runs and models are kept there."""

    tracking_uri: str = "sqlite:///data/mlflow.db"
    artifact_location: str = Field("data/mlartifacts", description="Used when an experiment is first made.")
    classifier_experiment: str = "Turbine_Failure_Prediction_Classification"
    regressor_experiment: str = "Turbine_Time_to_Failure_Prediction_Regression"
    classifier_model: str = "Model_A_Production"
    regressor_model: str = "Model_B_Production"
    connect_timeout_seconds: int = Field(20, ge=1, le=300)
    abandoned_after_hours: float = Field(
        24, gt=0, description="A run still RUNNING that another host started this long ago is marked FAILED."
    )


class SparkSettings(Section):
    """What a session gets when it is not given by `spark-submit`."""

    master: str = "local[*]"
    driver_memory: str = Field("2g", pattern=r"^\d+[mg]$")
    shuffle_partitions: int = Field(4, ge=1, le=10_000)
    packages: tuple[str, ...] = Field(
        (), description="Further Maven packages, e.g. an object store's connector (conf/s3.yaml)."
    )
    conf: dict[str, str] = Field(default_factory=dict, description="Any further Spark property.")


class IngestSettings(Section):
    """How raw logs are taken in."""

    max_future_minutes: float = Field(60, ge=0, description="Later than this after receipt is `time in the future`.")
    frozen_hours: float = Field(6, gt=0, description="The same value for this long while running is frozen.")
    max_gap_steps: float = Field(3, gt=1, description="A step longer than this many samplings is a gap.")
    spike_share: float = Field(0.25, gt=0, le=1, description="Out and back by this share of the valid range is a spike.")
    max_batch_mb: int = Field(512, ge=1, description="Files taken in together, as they lie on disk; bounds memory and spill.")


class LabelSettings(Section):
    """What counts as a failure ahead."""

    horizon_days: float = Field(7, gt=0, le=365)
    recovering_hours: float = Field(24, ge=0, description="After a repair, windows this young carry no label.")


TableIdentifier = Annotated[str, Field(pattern=r"^[a-z]+\.[a-z][a-z0-9_]*$")]


class MaintenanceSettings(Section):
    """How long what a table once held can be read again. What a registered model was trained on is kept longer."""

    retention_hours: int = Field(168, ge=168, description="Older versions lose their files, hours.")
    table_retention_hours: dict[TableIdentifier, Annotated[int, Field(ge=168)]] = Field(
        default_factory=dict, description="The same for single tables: `gold.failure_predictions: 2160`."
    )


class ReportSettings(Section):
    """What the console summary and the pages show."""

    top_turbines: int = Field(10, ge=1, le=1_000, description="Rows of the console's work list.")
    page_turbines: int = Field(50, ge=1, le=300, description="The most urgent turbines; each gets a section of the fleet page.")
    signal_days: int = Field(90, ge=1, le=1_000, description="How far back signals and predictions are drawn.")
    signals: tuple[str, ...] = Field((), description="Drawn for each turbine. Empty: the first 14 that features use.")


class AlertSettings(Section):
    """When alerting windows become an episode that people are told of, and when it is over."""

    persistence_hours: float = Field(12, ge=0, description="An alert must stand this long to open an episode.")
    clear_hours: float = Field(48, ge=0, description="Scored and quiet for this long closes it.")
    cooldown_hours: float = Field(72, ge=0, description="After it closed, no new one for this long.")
    max_gap_hours: float = Field(48, gt=0, description="Scored windows further apart do not follow each other.")


class DriftSettings(Section):
    """What counts as a signal that has moved since training."""

    recent_days: int = Field(14, ge=2, le=180)
    season_days: int = Field(30, ge=7, le=120, description="Same season: this close in the year, either side.")
    min_reference_days: int = Field(30, ge=5, description="With fewer days to compare with, nothing is said.")
    alarm_score: float = Field(4.0, gt=0, description="Shift, in spreads of the reference, from which it is named.")
    retrain_share: float = Field(0.1, gt=0, le=1, description="Share of shifted signals from which to retrain.")
    retrain_recall: float = Field(0.3, ge=0, le=1, description="Fewer failures warned than this share: retrain.")


class Settings(Section):
    """Everything a job can be told."""

    storage: StorageSettings = StorageSettings()
    mlflow: MlflowSettings = MlflowSettings()
    spark: SparkSettings = SparkSettings()
    simulation: SimulationSettings = SimulationSettings()
    sources: tuple[Source, ...] = ()
    ingest: IngestSettings = IngestSettings()
    maintenance: MaintenanceSettings = MaintenanceSettings()
    features: FeatureSettings = FeatureSettings()
    labels: LabelSettings = LabelSettings()
    split: SplitSettings = SplitSettings()
    model: ModelSettings = ModelSettings()
    costs: CostSettings = CostSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    scoring: ScoringSettings = ScoringSettings()
    report: ReportSettings = ReportSettings()
    alerts: AlertSettings = AlertSettings()
    drift: DriftSettings = DriftSettings()

    @model_validator(mode="after")
    def _sections_agree(self) -> Settings:
        problems = []
        if self.split.embargo_days < self.labels.horizon_days:
            problems.append(
                f"split.embargo_days ({self.split.embargo_days:g}) is shorter than labels.horizon_days "
                f"({self.labels.horizon_days:g}), so training would see the test's future"
            )
        if self.alerts.max_gap_hours < self.features.every_hours:
            problems.append(
                f"alerts.max_gap_hours ({self.alerts.max_gap_hours:g}) is shorter than features.every_hours "
                f"({self.features.every_hours:g}), so no two windows would follow each other and no alert could stand"
            )
        known = {signal.name for source in self.sources for signal in source.signals}
        named = {name for each in self.features.sets for name in each.signals}
        unknown = sorted(named - known) if known else []
        if unknown:
            problems.append(f"features.signals names {', '.join(unknown)}, which no source has ({', '.join(sorted(known))})")
        problems += [*self._repeated_sources(), *self._unknown_regimes(known), *self._simulated_strangers()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _repeated_sources(self) -> list[str]:
        """Two sources of one name would share a table and a stream."""
        names = [source.name for source in self.sources]
        return [f"two sources are named {name}" for name in sorted({name for name in names if names.count(name) > 1})]

    def _unknown_regimes(self, known: set[str]) -> list[str]:
        """Signals of `model.regime` whose means no window has."""
        regime = self.model.regime
        with_means = {name for each in self.features.sets if "mean" in each.statistics for name in each.signals or known}
        unknown = sorted({*regime.signals, *regime.of} - with_means) if regime and known else []
        return [f"model.regime names {', '.join(unknown)}, of which features have no mean"] if unknown else []

    def _simulated_strangers(self) -> list[str]:
        """Turbines that would be simulated only to be set aside as unknown."""
        folder = f"{self.simulation.output.rstrip('/')}/"
        return [
            f"simulation.turbines is {self.simulation.turbines}, but source {source.name} knows only "
            f"{len(source.asset_id.known)} of them: name all in its asset_id.known, or give [] to take any"
            for source in self.sources
            if source.files.path.startswith(folder) and 0 < len(source.asset_id.known) < self.simulation.turbines
        ]

    @property
    def signal_names(self) -> tuple[str, ...]:
        """Canonical names of all signals, in the order of the sources, each once."""
        return tuple(dict.fromkeys(signal.name for source in self.sources for signal in source.signals))

    @property
    def feature_signals(self) -> tuple[str, ...]:
        """Signals that features are built from, in the order of the sources."""
        wanted = {name for each in self.features.sets for name in each.signals or self.signal_names}
        return tuple(name for name in self.signal_names if name in wanted)


def load_settings(
    config: str | Path | None = None,
    overrides: Sequence[str] = (),
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """Read, merge and check all settings.

    Args:
        config: A YAML file whose values replace those of `conf/base.yaml`. Its optional
            `extends` names further files, relative to itself.
        overrides: `section.key=value` pairs, values in YAML.
        environ: Where `TURBINE_HEALTH__SECTION__KEY` is looked up.

    Returns:
        Checked settings. `sources` entries given as paths, relative to the working directory or to `config`, are
        read as source descriptions.

    Raises:
        SettingsError: With every problem found, not only the first.
    """
    base = find_conf_file("base.yaml")
    values = read_with_parents(base) if base else {}
    if config is not None:
        values = merged_over(values, read_with_parents(existing_file(Path(config))))
    values = merged_over(values, from_environment(environ))
    for pair in overrides:
        values = merged_over(values, from_pair(pair))
    problems: list[str] = []
    beside = Path(config).parent if config is not None else Path()
    sources = [_source(entry, beside, problems) for entry in _listed_sources(values.get("sources"), problems)]
    try:
        # Without the sources that cannot be read, checks against their signals would only repeat the complaint.
        settings = Settings.model_validate({**values, "sources": () if problems else sources})
    except ValidationError as error:
        problems += _sentences(error)
    if problems:
        raise SettingsError("; ".join(problems), where=str(config or "settings"), hint="see conf/base.yaml")
    return settings


def _listed_sources(entries: Any, problems: list[str]) -> list[str | dict[str, Any]]:
    """The entries of `sources` that can be one; what is wrong with the others is added to `problems`."""
    listed = entries if isinstance(entries, list) else [] if entries is None else [entries]
    if listed is not entries and listed:
        problems.append("sources: expected a list, e.g. [conf/sources/simulated.yaml]")
        return []
    strange = [entry for entry in listed if not isinstance(entry, str | dict)]
    problems += [f"sources: {entry!r} is neither a file nor a description" for entry in strange]
    return [entry for entry in listed if isinstance(entry, str | dict)]


def _source(entry: Any, beside: Path, problems: list[str]) -> Source | None:
    """A source is a path, or a mapping that `extends` one and replaces some of its values.

    What is wrong with it is added to `problems`, and the answer is None. `beside` is the settings file's folder.
    """
    values = {"extends": entry} if isinstance(entry, str) else dict(entry)
    where = str(values.get("extends", values.get("name", "sources")))
    if "extends" in values:
        values = merged_over(read_with_parents(_source_file(values.pop("extends"), beside)), values)
    try:
        return Source.model_validate(values)
    except ValidationError as error:
        problems += [f"{where}: {sentence}" for sentence in _sentences(error)]
        return None


def _source_file(name: str, beside: Path) -> Path:
    """The working directory's file, else the one beside the settings, else the one that comes with the project."""
    packaged = find_conf_file(f"sources/{Path(name).name}") if name.startswith("conf/sources/") else None
    places = (Path(name), beside / name, packaged or Path(name))
    return existing_file(next((place for place in places if place.is_file()), Path(name)))


def _sentences(error: ValidationError) -> list[str]:
    return [f"{'.'.join(str(part) for part in problem['loc']) or 'settings'}: {_words(problem)}" for problem in error.errors()]


def _words(problem: Any) -> str:
    if problem["type"] == "extra_forbidden":
        return "unknown key"
    message: str = problem["msg"].removeprefix("Value error, ")
    return message if problem["type"] == "value_error" else f"{message} (got {problem['input']!r})"
