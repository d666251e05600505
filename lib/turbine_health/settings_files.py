"""The files, flags and environment variables that settings come from, as plain nested mappings.

What the keys mean is in `settings.py`; here they are only found, read, and laid over each other.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from turbine_health.errors import SettingsError

ENVIRONMENT_PREFIX = "TURBINE_HEALTH__"


def find_conf_file(name: str) -> Path | None:
    """`conf/NAME` of the checkout, of `TURBINE_HEALTH_HOME`, or of the working directory; None where absent."""
    homes = [os.environ.get("TURBINE_HEALTH_HOME"), Path(__file__).resolve().parents[2], "."]
    for home in homes:
        if home and (path := Path(home) / "conf" / name).is_file():
            return path
    return None


def existing_file(path: Path) -> Path:
    """The path itself. Raises `SettingsError` where no file is."""
    if not path.is_file():
        raise SettingsError("no such file", where=str(path), hint="give an existing YAML file")
    return path


def read_with_parents(path: Path, below: tuple[Path, ...] = ()) -> dict[str, Any]:
    """A YAML file laid over the files that its `extends` names (relative to itself), `below` being who asked."""
    if path.resolve() in below:
        raise SettingsError("extends itself", where=" -> ".join(str(step) for step in (*below, path)), hint="break the circle")
    values = _read_yaml(path)
    parents = values.pop("extends", [])
    merged: dict[str, Any] = {}
    for parent in [parents] if isinstance(parents, str) else parents:
        merged = merged_over(merged, read_with_parents(existing_file(path.parent / parent), (*below, path.resolve())))
    return merged_over(merged, values)


def merged_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """`below` with the values of `above` laid over it; mappings are merged key by key, all else is replaced."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = merged_over(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """What `TURBINE_HEALTH__SECTION__KEY` variables say."""
    values: dict[str, Any] = {}
    for name in sorted(environ):
        if name.startswith(ENVIRONMENT_PREFIX):
            keys = name.removeprefix(ENVIRONMENT_PREFIX).lower().replace("__", ".")
            values = merged_over(values, from_pair(f"{keys}={environ[name]}"))
    return values


def from_pair(pair: str) -> dict[str, Any]:
    """What one `section.key=value` says; the value is YAML, or text where it is none."""
    keys, separator, text = pair.partition("=")
    if not separator or not keys:
        raise SettingsError(f"{pair!r} is not section.key=value", where="--set", hint="for example storage.root=/tmp/lake")
    try:
        value: Any = yaml.safe_load(text)
    except yaml.YAMLError:
        value = text
    for key in reversed(keys.split(".")):
        value = {key: value}
    return dict(value)


class _NoRepeats(yaml.SafeLoader):
    """YAML that refuses a key given twice, which would silently win."""


def _mapping_without_repeats(loader: _NoRepeats, node: yaml.MappingNode) -> dict[str, Any]:
    seen: set[str] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is given twice", key_node.start_mark)
        seen.add(key)
    return {str(key): value for key, value in loader.construct_mapping(node, deep=True).items()}


_NoRepeats.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_without_repeats)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=_NoRepeats) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(" ".join(str(error).split()), where=str(path), hint="mend the YAML") from None
    if not isinstance(values, dict):
        raise SettingsError("expected a mapping of keys to values", where=str(path))
    return values
