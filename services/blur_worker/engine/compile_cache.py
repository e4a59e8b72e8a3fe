"""The folder where compiled code is kept from one process to the next."""

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

_PACKAGE = Path(__file__).parent
_PREFIX = "compiled-"
_DAY = 86_400


def cache_folder(compiler_version: str) -> Path | None:
    """Return a private folder for this version of the compiler and of this package's sources; None if there is none.

    It is beside the sources if they are writable. Otherwise, as in a read-only container, it is a temporary folder of
    this user, into which the code is copied that was compiled beside the sources when the container's image was built:
    numba reads nothing from a folder that it cannot write. Numba itself checks that code was compiled for this
    processor.
    """
    name = _PREFIX + _digest(compiler_version)
    beside = _PACKAGE / "__pycache__" / name
    if _is_private(beside):
        _remove_outdated(beside)
        return beside
    temporary = Path(tempfile.gettempdir()) / f"imageblur-{name}-{os.getuid()}"
    if not _is_private(temporary):
        return None
    with compile_lock(temporary):
        if beside.is_dir() and not any(path.is_dir() for path in temporary.iterdir()):
            shutil.copytree(beside, temporary, dirs_exist_ok=True)
    return temporary


@contextmanager
def compile_lock(folder: Path | None) -> Iterator[None]:
    """Hold the folder's lock: of child processes that start together, one compiles and the others load its code."""
    if folder is None:
        yield
        return
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _digest(compiler_version: str) -> str:
    digest = hashlib.sha256(f"{compiler_version} {sys.version}".encode())
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _is_private(folder: Path) -> bool:
    """Create the folder if need be; return whether this user, and nobody else, can write it.

    Anybody who can write it can have this process run any code.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
        if folder.is_symlink() or status.st_uid != os.getuid() or status.st_mode & 0o022:
            return False
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _remove_outdated(current: Path) -> None:
    for other in current.parent.glob(_PREFIX + "*"):
        # Not at once: processes of another version may still run, or be about to start.
        if other != current and time.time() - other.stat().st_mtime > _DAY:
            shutil.rmtree(other, ignore_errors=True)
