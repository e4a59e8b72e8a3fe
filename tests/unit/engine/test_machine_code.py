"""Where compiled code is kept: whoever can write there can have the worker run anything."""

import os
import tempfile
from pathlib import Path

import pytest

from services.blur_worker.engine import machine_code


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    package, temporary = tmp_path / "package", tmp_path / "tmp"
    package.mkdir()
    temporary.mkdir()
    (package / "loops.py").write_text("LOOK = 10")
    monkeypatch.setattr(machine_code, "_HERE", package)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return package


def test_code_is_kept_beside_its_sources_until_they_change(package: Path) -> None:
    first = machine_code.folder("1")
    assert first == machine_code.folder("1")
    assert first
    assert first.parent == package / "__pycache__"
    os.utime(first, (0, 0))
    (package / "loops.py").write_text("LOOK = 11")
    second = machine_code.folder("1")
    assert second not in {None, first}
    assert not first.exists()
    assert machine_code.folder("2") not in {None, second}


def without_writing(package: Path) -> None:
    """A file in the place of the folder: root writes whatever the permissions say."""
    (package / "__pycache__").write_text("")


def test_elsewhere_it_is_for_this_user_alone(package: Path) -> None:
    without_writing(package)
    own = machine_code.folder("1")
    assert own
    assert own.parent == Path(tempfile.gettempdir())
    assert own.stat().st_mode & 0o777 == 0o700
    own.chmod(0o777)
    assert machine_code.folder("1") is None


def test_a_link_laid_by_somebody_else_is_not_followed(package: Path, tmp_path: Path) -> None:
    without_writing(package)
    own = machine_code.folder("1")
    assert own
    own.rename(tmp_path / "mine")
    own.symlink_to(tmp_path)
    assert machine_code.folder("1") is None


@pytest.mark.usefixtures("package")
def test_what_was_compiled_with_the_image_is_taken_along(monkeypatch: pytest.MonkeyPatch) -> None:
    beside = machine_code.folder("1")
    assert beside
    (beside / "jpeg").mkdir()
    (beside / "jpeg" / "loops.nbi").write_text("code")
    usable = machine_code._usable
    monkeypatch.setattr(machine_code, "_usable", lambda path: path != beside and usable(path))
    own = machine_code.folder("1")
    assert own
    assert own != beside
    assert (own / "jpeg" / "loops.nbi").read_text() == "code"
    assert own.stat().st_uid == os.getuid()
