"""The folder of the files that child processes read and write; the next worker removes that of a killed one."""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from services.blur_worker import metrics
from services.common.infra.blobs import BlobStore
from services.common.infra.head_starts import FOLDER_PREFIX

_UNLOCKED_PREFIX = "imageblur-new-"
_LOCK = "lock"


class ScratchFolder:
    """A private folder, locked for as long as this process lives."""

    def __init__(self, parent: Path | None = None) -> None:
        parent = parent or Path(tempfile.gettempdir())
        _remove_abandoned(parent)
        # Under another name until it is locked: a worker that starts at this moment would remove it as abandoned.
        unlocked = Path(tempfile.mkdtemp(prefix=_UNLOCKED_PREFIX, dir=parent))
        self._lock = (unlocked / _LOCK).open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._leftovers: set[Path] = set()
        self.path = unlocked.rename(parent / unlocked.name.replace(_UNLOCKED_PREFIX, FOLDER_PREFIX))

    @contextmanager
    def working_files(self, blobs: BlobStore, original_key: str, name: str) -> Iterator[tuple[Path, Path]]:
        """Provide the original's file and a path for the result until the block ends.

        The original is fetched, unless the blob store is a folder. `name`: no other block has it, before or after.

        Raises:
            MissingBlob: There is no original.
            Unavailable: The store cannot be reached.
            OSError: The folder cannot be written.
        """
        # Somebody who cleans temporary folders may have removed it.
        if not self.path.is_dir():
            self.path.mkdir(mode=0o700, exist_ok=True)
        stored, result = blobs.local_path(original_key), self.path / f"{name}.result"
        fetched = self.path / f"{name}.source"
        try:
            if not stored:
                with metrics.stage("fetch"), fetched.open("wb") as writer:
                    for chunk in blobs.stream(original_key):
                        writer.write(chunk)
            yield stored or fetched, result
        finally:
            self._leftovers |= {result} if stored else {result, fetched}
            self._remove_leftovers()

    def _remove_leftovers(self) -> None:
        """Remove the files of attempts that have ended; those of a disk that is read-only for a while, later."""
        for path in tuple(self._leftovers):
            with suppress(OSError):
                path.unlink(missing_ok=True)
                self._leftovers.discard(path)

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.glob(f"{FOLDER_PREFIX}*"):
        try:
            with (folder / _LOCK).open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # used by another worker, another user's, or about to be locked
