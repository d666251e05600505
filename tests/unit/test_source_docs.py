"""docs/sources.md says what every key of a source description means, no more and no less; what README shows is valid."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from turbine_health.settings import load_settings
from turbine_health.sources import (
    AssetId,
    Counter,
    Description,
    EventLog,
    Files,
    FlagColumn,
    LastReading,
    NoFailures,
    Signal,
    Source,
    Timestamps,
)

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "sources.md").read_text(encoding="utf-8")
SECTIONS: dict[str, type[Description]] = {
    "The plant": Source,
    "files": Files,
    "asset_id": AssetId,
    "time.timestamp": Timestamps,
    "time.counter": Counter,
    "signals": Signal,
    "failures, kind event_log": EventLog,
    "failures, kind last_reading": LastReading,
    "failures, kind flag_column": FlagColumn,
    "failures, kind none": NoFailures,
}
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)


def rows(heading: str) -> dict[str, str]:
    """Key -> what happens if it is left out, from the table under a heading."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `(\w+)` \|.*\| ([^|]+) \|$", section, flags=re.MULTILINE))


@pytest.mark.parametrize(("heading", "model"), SECTIONS.items())
def test_every_key_is_explained_and_no_other(heading: str, model: type[Description]):
    assert list(rows(heading)) == list(model.model_fields)


@pytest.mark.parametrize(("heading", "model"), SECTIONS.items())
def test_keys_without_a_default_are_called_needed(heading: str, model: type[Description]):
    needed = {name for name, field in model.model_fields.items() if field.is_required()}
    assert {key for key, default in rows(heading).items() if default == "needed"} == needed


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_pages_examples_are_valid_descriptions(example: str):
    assert Source.model_validate(yaml.safe_load(example)).signals


def test_the_two_files_that_readme_shows_are_valid_as_they_stand(tmp_path: Path):
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    for text in re.findall(r"```yaml\n(.*?)```", readme, flags=re.DOTALL):
        (tmp_path / re.findall(r"^# (\w+\.yaml)", text)[0]).write_text(text, encoding="utf-8")
    (source,) = load_settings(tmp_path / "settings.yaml", environ={}).sources
    assert source.name == "north_ridge"


def test_there_is_an_example_of_every_kind_of_key():
    assert len(EXAMPLES) >= 3
    shown = "\n".join(EXAMPLES)
    untold = {"description", "quote", "component_column", "started_column", "ended_column", "asset_column", "type_column"}
    keys = {key for model in SECTIONS.values() for key in model.model_fields} - untold - {"time_format"}
    assert {key for key in keys if f"{key}:" not in shown} == set()
