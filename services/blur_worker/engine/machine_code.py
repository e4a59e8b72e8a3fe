"""Where compiled code is kept from one process to the next."""

import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_HERE = Path(__file__).parent
_KIND = "machine-code-"
_DAY = 86_400


def folder(compiler: str) -> Path | None:
    """Gives a private folder for code that this version of the compiler makes of this package, or None.

    Beside the sources where that can be written. Otherwise, as in a container that is read-only, one for temporary
    files that belongs to this user alone, with what was compiled beside the sources when the image was made: numba
    takes nothing from a folder in which it cannot write. What is compiled for a processor is used on no other.
    """
    name = _KIND + _digest(compiler)
    beside = _HERE / "__pycache__" / name
    if _usable(beside):
        _remove_older(beside)
        return beside
    own = Path(tempfile.gettempdir()) / f"imageblur-{name}-{os.getuid()}"
    if not _usable(own):
        return None
    with alone(own):
        if beside.is_dir() and not any(path.is_dir() for path in own.iterdir()):
            shutil.copytree(beside, own, dirs_exist_ok=True)
    return own


@contextmanager
def alone(kept: Path | None) -> Iterator[None]:
    """Waits until no other process compiles for this folder: of many children that start at once, one does the work."""
    if kept is None:
        yield
        return
    with (kept / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _digest(compiler: str) -> str:
    digest = hashlib.sha256(f"{compiler} {sys.version}".encode())
    for path in sorted(_HERE.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _usable(path: Path) -> bool:
    """Whether code may be put there, and only by us: whoever can write it can have us run anything."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = path.lstat()
        if path.is_symlink() or state.st_uid != os.getuid() or state.st_mode & 0o022:
            return False
        with tempfile.TemporaryFile(dir=path):
            return True
    except OSError:
        return False


def _remove_older(current: Path) -> None:
    for other in current.parent.glob(_KIND + "*"):
        # Not at once: processes of another version may be at work, or about to start.
        if other != current and time.time() - other.stat().st_mtime > _DAY:
            shutil.rmtree(other, ignore_errors=True)
