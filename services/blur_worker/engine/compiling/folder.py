"""The folder where compiled code is kept from one process to the next."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from llvmlite.binding import targets

_ENGINE = Path(__file__).parents[1]
FILE = "loops"
"""What the folder holds when all is compiled."""
_PREFIX = "compiled-"
_DAY = 86_400


def compiled_folder() -> Path | None:
    """Return the folder for this version of numba, of the engine's sources and this processor; None if there is none.

    It is beside the sources if they are writable, or if it is there: of a read-only container the code was compiled
    when its image was built. Otherwise it is a temporary folder of this user.
    """
    name = _PREFIX + code_digest()
    beside = _ENGINE / "__pycache__" / name
    if _is_private(beside):
        _remove_outdated(beside)
        return beside
    if os.access(beside / FILE, os.R_OK) and _is_trusted(beside):
        return beside
    temporary = Path(tempfile.gettempdir()) / f"imageblur-{name}-{os.getuid()}"
    return temporary if _is_private(temporary) else None


@contextmanager
def compile_lock(folder: Path, wait: Callable[[], None]) -> Iterator[int]:
    """Hold the folder's lock: of processes that start together, one has it compiled.

    Args:
        folder: The folder.
        wait: Called if another process has the lock, before this one waits for it.

    Yields:
        The lock's descriptor; who inherits it has the lock too.
    """
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            wait()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()


def code_digest() -> str:
    """Return a digest that differs for other sources, compilers, settings of these and processors."""
    versions = f"{version('numba')} {version('llvmlite')} {sys.version}"
    settings = sorted((name, value) for name, value in os.environ.items() if name.startswith("NUMBA_"))
    digest = hashlib.sha256(f"{versions} {settings} {_processor()}".encode())
    for path in sorted(_ENGINE.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _processor() -> str:
    try:
        return f"{targets.get_host_cpu_name()} {targets.get_host_cpu_features().flatten()}"
    except RuntimeError:  # where LLVM knows no features
        return str(targets.get_host_cpu_name())


def _is_private(folder: Path) -> bool:
    """Create the folder if need be; return whether this user can write it, and nobody else.

    Anybody who can write it can have this process run any code.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return _is_trusted(folder) and folder.lstat().st_uid == os.getuid()
    except OSError:
        return False


def _is_trusted(folder: Path) -> bool:
    status = folder.lstat()
    return not folder.is_symlink() and status.st_uid in (0, os.getuid()) and not status.st_mode & 0o022


def _remove_outdated(current: Path) -> None:
    for other in current.parent.glob(_PREFIX + "*"):
        # Not at once: processes of another version may still run, or be about to start.
        with contextlib.suppress(FileNotFoundError):  # a process that started with this one removes it too
            if other != current and time.time() - other.stat().st_mtime > _DAY:
                shutil.rmtree(other, ignore_errors=True)
