"""A folder of generated files appears whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from turbine_health.errors import DataError
from turbine_health.io.folders import replace_folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_files_are_written_with_their_folders(tmp_path: Path):
    written = replace_folder(tmp_path / "fleet", [("a/1.csv", b"one"), ("done", b"")], marker="done")
    assert written == 3
    assert contents(tmp_path / "fleet") == {"a/1.csv": b"one", "done": b""}


def test_what_was_there_before_is_replaced_as_a_whole(tmp_path: Path):
    replace_folder(tmp_path / "fleet", [("old.csv", b"old"), ("done", b"")], marker="done")
    replace_folder(tmp_path / "fleet", [("new.csv", b"new"), ("done", b"")], marker="done")
    assert contents(tmp_path / "fleet") == {"new.csv": b"new", "done": b""}
    assert [path.name for path in tmp_path.iterdir()] == ["fleet"]


def test_a_run_that_breaks_off_leaves_the_old_folder_and_the_next_one_succeeds(tmp_path: Path):
    def breaking_off() -> Iterator[tuple[str, bytes]]:
        yield "half.csv", b"half"
        raise KeyboardInterrupt

    replace_folder(tmp_path / "fleet", [("old.csv", b"old"), ("done", b"")], marker="done")
    with pytest.raises(KeyboardInterrupt):
        replace_folder(tmp_path / "fleet", breaking_off(), marker="done")
    assert contents(tmp_path / "fleet") == {"old.csv": b"old", "done": b""}
    replace_folder(tmp_path / "fleet", [("new.csv", b"new"), ("done", b"")], marker="done")
    assert contents(tmp_path / "fleet") == {"new.csv": b"new", "done": b""}


def test_a_folder_of_somebody_elses_files_is_refused_and_kept(tmp_path: Path):
    (tmp_path / "plant").mkdir()
    (tmp_path / "plant" / "real.csv").write_bytes(b"years of readings")
    with pytest.raises(DataError, match="there is no done"):
        replace_folder(tmp_path / "plant", [("done", b"")], marker="done")
    assert contents(tmp_path / "plant") == {"real.csv": b"years of readings"}


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path):
    (tmp_path / "fleet").write_bytes(b"")
    with pytest.raises(DataError, match="something else"):
        replace_folder(tmp_path / "fleet", [("done", b"")], marker="done")
