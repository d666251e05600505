"""A folder of generated files that appears whole or not at all."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from turbine_health.errors import DataError

logger = logging.getLogger("turbine_health")

_SECONDS_BETWEEN_MESSAGES = 5


def replace_folder(folder: Path, files: Iterable[tuple[str, bytes]], marker: str) -> int:
    """Write all files beside `folder`, then put them in its place.

    A run that is killed leaves the old folder as it was; the next run clears what it had begun.

    Args:
        folder: Replaced as a whole.
        files: Relative path and content, one after the other.
        marker: A file of this name, the last one written, tells our folders from others.

    Returns:
        Bytes written.

    Raises:
        DataError: `folder` holds files, but not the marker, so somebody else's work would be lost.
    """
    _refuse_foreign(folder, marker)
    draft, old = (folder.with_name(f".{folder.name}.{part}") for part in ("draft", "old"))
    shutil.rmtree(draft, ignore_errors=True)
    written = _write_all(draft, files)
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    draft.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
    return written


def _refuse_foreign(folder: Path, marker: str) -> None:
    is_foreign = not folder.is_dir() if folder.exists() else False
    if is_foreign or (folder.is_dir() and any(folder.iterdir()) and not (folder / marker).is_file()):
        raise DataError(
            f"holds something else than generated files (there is no {marker})",
            where=str(folder),
            hint="give a folder that does not exist yet, for example --set simulation.output=data/landing/another",
        )


def _write_all(draft: Path, files: Iterable[tuple[str, bytes]]) -> int:
    written, count, told = 0, 0, time.monotonic()
    for name, content in files:
        path = draft / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        written, count = written + len(content), count + 1
        if time.monotonic() - told > _SECONDS_BETWEEN_MESSAGES:
            logger.info("written %s files, %s MB; last %s", f"{count:,}", f"{written // 1_000_000:,}", name)
            told = time.monotonic()
    return written
