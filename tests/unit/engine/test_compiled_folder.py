"""The folder of compiled code: anybody who can write it can have the worker run any code."""

import os
import tempfile
from pathlib import Path

import pytest

from services.blur_worker.engine.compiling import folder
from services.blur_worker.engine.compiling.folder import compiled_folder


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    engine, temporary = tmp_path / "engine", tmp_path / "tmp"
    engine.mkdir()
    temporary.mkdir()
    (engine / "loops.py").write_text("LOOK = 10")
    monkeypatch.setattr(folder, "_ENGINE", engine)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return engine


def test_code_is_kept_beside_the_sources_until_they_change(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = compiled_folder()
    assert first == compiled_folder()
    assert first
    assert first.parent == engine / "__pycache__"
    os.utime(first, (0, 0))
    (engine / "loops.py").write_text("LOOK = 11")
    second = compiled_folder()
    assert second not in {None, first}
    assert not first.exists()
    monkeypatch.setattr(folder, "version", lambda _package: "another")
    third = compiled_folder()
    assert third not in {None, second}
    monkeypatch.setattr(folder, "_processor", lambda: "another")
    assert compiled_folder() not in {None, second, third}


def test_processes_that_start_together_remove_the_same_folders(engine: Path) -> None:
    first = compiled_folder()
    # Listed, but gone before it is looked at.
    (engine / "__pycache__" / "compiled-gone").symlink_to("nowhere")
    assert compiled_folder() == first


def make_unwritable(engine: Path) -> None:
    """Put a file in place of the folder: permissions would not stop root."""
    (engine / "__pycache__").write_text("")


def test_the_temporary_folder_is_private(engine: Path) -> None:
    make_unwritable(engine)
    temporary = compiled_folder()
    assert temporary
    assert temporary.parent == Path(tempfile.gettempdir())
    assert temporary.stat().st_mode & 0o777 == 0o700
    temporary.chmod(0o777)
    assert compiled_folder() is None


def test_a_symbolic_link_is_not_followed(engine: Path, tmp_path: Path) -> None:
    make_unwritable(engine)
    temporary = compiled_folder()
    assert temporary
    temporary.rename(tmp_path / "mine")
    temporary.symlink_to(tmp_path)
    assert compiled_folder() is None


@pytest.mark.usefixtures("engine")
def test_code_compiled_when_a_read_only_container_was_built_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    beside = compiled_folder()
    assert beside
    is_private = folder._is_private
    monkeypatch.setattr(folder, "_is_private", lambda path: path != beside and is_private(path))
    assert compiled_folder() == beside
    beside.chmod(0o777)  # others could have put code there
    temporary = compiled_folder()
    assert temporary
    assert temporary.parent == Path(tempfile.gettempdir())
