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
    temporary = compiled_folder()
    assert temporary
    assert temporary.parent == Path(tempfile.gettempdir()), "nothing has been compiled there"
    (beside / folder.FILE).write_bytes(b"code")
    assert compiled_folder() == beside
    beside.chmod(0o777)  # others could have put code there
    assert compiled_folder() == temporary


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make what another user cannot read")
@pytest.mark.parametrize("mode", [0o700, 0o755])
def test_code_that_another_user_cannot_read_is_not_used(mode: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's folders are closed to others
        engine, temporary = Path(name) / "engine", Path(name) / "tmp"
        Path(name).chmod(0o755)
        engine.mkdir()
        temporary.mkdir()
        temporary.chmod(0o777)
        monkeypatch.setattr(folder, "_ENGINE", engine)
        monkeypatch.setattr(tempfile, "tempdir", str(temporary))
        beside = compiled_folder()  # as root, once
        assert beside
        beside.chmod(mode)
        if mode == 0o700:
            (beside / folder.FILE).write_bytes(b"code")
        if (child := os.fork()) == 0:
            try:
                os.setuid(65534)
                found = compiled_folder()
                os._exit(0 if found and found.parent == temporary else 1)
            except BaseException:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
