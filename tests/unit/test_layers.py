"""The rules of docs/architecture.md, held by reading the imports of every module.

The layers are read from the page itself, so the page and the code cannot drift apart.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "lib" / "turbine_health"
ARCHITECTURE = REPOSITORY / "docs" / "architecture.md"

DOOR_LINES = 40
FUNCTION_LINES = 40
FILE_LINES = 350
VAGUE_NAMES = {"utils", "util", "helpers", "common", "misc"}

# Where each third party lives: a prefix of the import, and the files or folders it may stand in.
HOMES = {
    "delta": ("io/delta.py", "io/conflicts.py", "io/session.py"),
    "mlflow": ("io/tracking.py",),
    "plotly": ("reporting/",),
    "pyspark.ml.PipelineModel": ("models/", "io/tracking.py"),
    "pyspark.ml": ("models/",),
}


def source_files() -> list[Path]:
    return sorted([*PACKAGE.rglob("*.py"), *(REPOSITORY / "jobs").glob("*.py")])


def place(path: Path) -> str:
    """`io/delta.py` for the package's modules, `jobs/train.py` for the doors."""
    return str(path.relative_to(PACKAGE if path.is_relative_to(PACKAGE) else REPOSITORY))


def layer_of(place_in_package: str) -> str:
    return place_in_package.split("/")[0].removesuffix(".py")


def imported_modules(path: Path) -> Iterator[str]:
    """Absolute names of everything imported, `from a import b` as `a.b`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{place(path)}: write imports in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def documented_layers() -> dict[str, set[str]]:
    """Layer -> layers it may import, from the page's block of arrows."""
    block = next(block for block in ARCHITECTURE.read_text(encoding="utf-8").split("```") if "jobs →" in block)
    rules: dict[str, set[str]] = {}
    for names, targets in re.findall(r"(\w+(?:, \w+)*) → ([^;\n]+?)(?=;|\s{2,}|\n)", block):
        for name in names.split(", "):
            rules[name] = set(targets.split(", "))
    return rules


def layer_breaks(place_in_package: str, imports: list[str], rules: dict[str, set[str]]) -> list[str]:
    layer = layer_of(place_in_package)
    if layer in {"__init__", "py"}:
        return []
    if layer not in rules:
        return [f"{place_in_package}: layer {layer!r} is not in docs/architecture.md"]
    used = {name.split(".")[1] for name in imports if name.startswith("turbine_health.")} - {"__version__"}
    return [f"{place_in_package} imports {other}" for other in sorted(used - rules[layer] - {layer})]


def home_breaks(place_in_package: str, imports: list[str]) -> list[str]:
    return [f"{place_in_package} imports {name}" for name in imports if not place_in_package.startswith(homes_of(name))]


def homes_of(name: str) -> tuple[str, ...]:
    """Where an import may stand; the first rule that names it decides, and `""` is everywhere."""
    matching = (homes for third_party, homes in HOMES.items() if f"{name}.".startswith(f"{third_party}."))
    return next(matching, ("",))


def test_modules_import_only_the_layers_that_the_architecture_page_allows():
    rules = documented_layers()
    assert [line for path in source_files() for line in layer_breaks(place(path), list(imported_modules(path)), rules)] == []


def test_every_layer_of_the_page_names_only_layers_that_exist():
    names = {layer_of(place(path)) for path in source_files()}
    assert {"jobs", "pipelines", "io", "transforms", "models", "reporting"} <= set(documented_layers())
    assert set(documented_layers()) <= names | {"monitor_tables"}


def test_a_forbidden_import_would_be_found():
    rules = documented_layers()
    assert layer_breaks("transforms/labels.py", ["turbine_health.io.delta.TableStore"], rules) == [
        "transforms/labels.py imports io"
    ]
    assert layer_breaks("utils.py", [], rules) == ["utils.py: layer 'utils' is not in docs/architecture.md"]
    assert home_breaks("pipelines/train.py", ["pyspark.ml.Pipeline"]) == ["pipelines/train.py imports pyspark.ml.Pipeline"]
    assert home_breaks("pipelines/train.py", ["pyspark.mllib"]) == []


def test_third_parties_stay_in_their_one_home():
    assert [line for path in source_files() for line in home_breaks(place(path), list(imported_modules(path)))] == []


def test_charts_and_pages_know_nothing_of_spark():
    found = [
        (place(path), name)
        for path in source_files()
        if place(path).startswith("reporting/")
        for name in imported_modules(path)
        if name.startswith("pyspark")
    ]
    assert found == []


def test_a_session_is_built_in_one_place_and_those_of_sql_clients_in_another():
    builders = [place(path) for path in source_files() if "SparkSession.builder" in path.read_text(encoding="utf-8")]
    assert builders == ["io/session.py", "io/sql_server.py"]


@pytest.mark.parametrize("path", sorted((REPOSITORY / "jobs").glob("*.py")), ids=lambda path: path.stem)
def test_a_job_is_a_door_with_usage_reads_and_writes(path):
    text = path.read_text(encoding="utf-8")
    lines = len(text.splitlines())
    assert lines <= DOOR_LINES, f"{lines} lines"
    docstring = ast.get_docstring(ast.parse(text)) or ""
    assert all(word in docstring for word in ("Usage:", "Reads:", "Writes:"))


def test_no_file_is_named_for_nothing():
    assert [place(path) for path in source_files() if path.stem in VAGUE_NAMES] == []


def test_files_and_functions_stay_short():
    too_long = []
    for path in source_files():
        text = path.read_text(encoding="utf-8")
        if len(text.splitlines()) > FILE_LINES:
            too_long.append(place(path))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and code_lines(node) > FUNCTION_LINES:
                too_long.append(f"{place(path)}:{node.name}")
    assert too_long == []


def code_lines(function: ast.FunctionDef) -> int:
    """Lines of the body; a long docstring makes no function long."""
    first = function.body[1] if ast.get_docstring(function) and len(function.body) > 1 else function.body[0]
    return (function.end_lineno or 0) - first.lineno + 1


def test_columns_are_added_under_the_verbs_that_the_conventions_name():
    """A public transform in `transforms/` that only adds columns is `with_…`; `add_…` and `get_…` say less."""
    vague = re.compile(r"^(add|get|do|process|handle|make|compute|calc)_")
    found = [
        f"{place(path)}:{node.name}"
        for path in source_files()
        if place(path).startswith("transforms/")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and vague.match(node.name)
    ]
    assert found == []
