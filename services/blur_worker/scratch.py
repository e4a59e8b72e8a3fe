"""A folder for files under way, gone when the worker ends; one left by a killed worker is removed by the next."""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

_PREFIX = f"imageblur-scratch-{os.getuid()}-"
_LOCK = "lock"


class Scratch:
    """A private folder, locked for as long as this process lives."""

    def __init__(self, parent: Path | None = None) -> None:
        parent = parent or Path(tempfile.gettempdir())
        _remove_abandoned(parent)
        # Under another name until it is locked: a worker that starts at this moment would take it for abandoned.
        unlocked = Path(tempfile.mkdtemp(prefix="imageblur-new-", dir=parent))
        self._lock = (unlocked / _LOCK).open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.path = unlocked.rename(parent / unlocked.name.replace("imageblur-new-", _PREFIX))

    def ensured(self) -> Path:
        """The folder, made again if somebody who tidies temporary folders has removed it."""
        self.path.mkdir(mode=0o700, exist_ok=True)
        return self.path

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        try:
            with (folder / _LOCK).open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # in use, not ours, or being made this moment
