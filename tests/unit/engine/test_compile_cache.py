"""The folder of compiled code: anybody who can write it can have the worker run any code."""

import os
import tempfile
from pathlib import Path

import pytest

from services.blur_worker.engine import compile_cache
from services.blur_worker.engine.compile_cache import cache_folder


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    package, temporary = tmp_path / "package", tmp_path / "tmp"
    package.mkdir()
    temporary.mkdir()
    (package / "loops.py").write_text("LOOK = 10")
    monkeypatch.setattr(compile_cache, "_PACKAGE", package)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return package


def test_code_is_kept_beside_the_sources_until_they_change(package: Path) -> None:
    first = cache_folder("1")
    assert first == cache_folder("1")
    assert first
    assert first.parent == package / "__pycache__"
    os.utime(first, (0, 0))
    (package / "loops.py").write_text("LOOK = 11")
    second = cache_folder("1")
    assert second not in {None, first}
    assert not first.exists()
    assert cache_folder("2") not in {None, second}


def make_unwritable(package: Path) -> None:
    """Put a file in place of the folder: permissions would not stop root."""
    (package / "__pycache__").write_text("")


def test_the_temporary_folder_is_private(package: Path) -> None:
    make_unwritable(package)
    temporary = cache_folder("1")
    assert temporary
    assert temporary.parent == Path(tempfile.gettempdir())
    assert temporary.stat().st_mode & 0o777 == 0o700
    temporary.chmod(0o777)
    assert cache_folder("1") is None


def test_a_symbolic_link_is_not_followed(package: Path, tmp_path: Path) -> None:
    make_unwritable(package)
    temporary = cache_folder("1")
    assert temporary
    temporary.rename(tmp_path / "mine")
    temporary.symlink_to(tmp_path)
    assert cache_folder("1") is None


@pytest.mark.usefixtures("package")
def test_code_compiled_beside_the_sources_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    beside = cache_folder("1")
    assert beside
    (beside / "jpeg").mkdir()
    (beside / "jpeg" / "loops.nbi").write_text("code")
    is_private = compile_cache._is_private
    monkeypatch.setattr(compile_cache, "_is_private", lambda path: path != beside and is_private(path))
    temporary = cache_folder("1")
    assert temporary
    assert temporary != beside
    assert (temporary / "jpeg" / "loops.nbi").read_text() == "code"
    assert temporary.stat().st_uid == os.getuid()
