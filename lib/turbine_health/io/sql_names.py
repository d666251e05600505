"""Table names for SQL: statements that let `spark-sql` find every Delta table of a lake as `layer.name`.

The tables stay where they are; only their names are registered, in a catalog that lives in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pyarrow import fs

from turbine_health.errors import TableError

LAYERS = ("bronze", "silver", "gold", "quarantine", "ops")


@dataclass(frozen=True)
class NamedTable:
    """A Delta table that exists: its layer, its name and where it lies."""

    layer: str
    name: str
    location: str


def tables_of(root: str) -> list[NamedTable]:
    """Every Delta table under `root/<layer>/<table>`, in order of layer and name.

    Args:
        root: A folder, or a URI that pyarrow can list (`s3a://` is read as `s3://`).

    Raises:
        TableError: There is no table at all.
    """
    base = root.rstrip("/") if "://" in root else str(Path(root).resolve())
    file_system, folder = fs.FileSystem.from_uri(base.replace("s3a://", "s3://", 1))
    tables = [
        NamedTable(layer, entry.base_name, f"{base}/{layer}/{entry.base_name}")
        for layer in LAYERS
        for entry in sorted(_folders(file_system, f"{folder}/{layer}"), key=lambda entry: str(entry.base_name))
        if _is_folder(file_system, f"{entry.path}/_delta_log")
    ]
    if not tables:
        raise TableError("no tables are there yet", where=root, hint="run the jobs first (make demo), or give another CONFIG")
    return tables


def naming_statements(tables: list[NamedTable]) -> list[str]:
    """SQL that makes every table known by its name, without copying a row."""
    return [f"CREATE DATABASE IF NOT EXISTS `{layer}`" for layer in LAYERS] + [
        f"CREATE TABLE IF NOT EXISTS `{table.layer}`.`{table.name}` USING delta LOCATION '{_quoted(table.location)}'"
        for table in tables
    ]


def _folders(file_system: fs.FileSystem, folder: str) -> list[fs.FileInfo]:
    entries = file_system.get_file_info(fs.FileSelector(folder, allow_not_found=True))
    return [entry for entry in entries if entry.type == fs.FileType.Directory]


def _is_folder(file_system: fs.FileSystem, path: str) -> bool:
    return bool(file_system.get_file_info(path).type == fs.FileType.Directory)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
