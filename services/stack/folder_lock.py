"""Allow one stack per data folder."""

import fcntl
import os
from pathlib import Path

from services.stack.errors import StackError


class FolderLock:
    """A file lock that the kernel releases when its process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1

    def acquire(self) -> None:
        """Lock the file. Raises: StackError with the pid of the stack that holds it."""
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(file, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(file)
            raise StackError(
                f"{self._path.parent.parent} is already served by pid {holder}: "
                f"stop that stack or set IMAGEBLUR_DATA_DIR to another folder"
            ) from None
        os.ftruncate(file, 0)
        os.write(file, f"{os.getpid()}\n".encode())
        self._file = file

    def release(self) -> bool:
        """Unlock the file; return whether it was locked. The file stays: removing it could let two stacks in."""
        if self._file < 0:
            return False
        os.close(self._file)
        self._file = -1
        return True
