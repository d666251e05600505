"""What is installed is pinned, satisfies setup.py, and is in no published advisory that we know of."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

REPOSITORY = Path(__file__).resolve().parents[2]


def useful_lines(name: str) -> list[str]:
    return [line for line in (REPOSITORY / name).read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]


def pins() -> dict[str, Version]:
    pairs = [line.split("==") for line in useful_lines("constraints.txt")]
    return {canonicalize_name(name): Version(version) for name, version in pairs}


def asked_for() -> list[Requirement]:
    """All requirements of setup.py, extras too, read without running it."""
    tree = ast.parse((REPOSITORY / "setup.py").read_text(encoding="utf-8"))
    (call,) = (node.value for node in tree.body if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call))
    said = {keyword.arg: keyword.value for keyword in call.keywords}
    extras = ast.literal_eval(said["extras_require"])
    wanted = [ast.literal_eval(said["install_requires"]), *extras.values()]
    return [Requirement(text) for group in wanted for text in group]


def test_everything_asked_for_is_pinned_to_a_version_that_satisfies_it():
    wrong = [str(wanted) for wanted in asked_for() if not wanted.specifier.contains(pins()[canonicalize_name(wanted.name)])]
    assert wrong == []


@pytest.mark.parametrize("line", useful_lines(".ci/advisories.txt"), ids=lambda line: line.split()[2])
def test_no_pin_is_in_a_known_advisory(line):
    name, affected, _ = line.split(maxsplit=2)
    pin = pins().get(canonicalize_name(name))
    assert pin is None or pin not in SpecifierSet(affected)
