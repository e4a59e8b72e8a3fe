"""What a folder needs and S3 does not: files that survive a power cut, and removal of folders."""

import errno
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_THREADS = 8
_FEW = 16
"""Up to so many files share the same threads; those of a large order would keep small ones waiting."""
_MOST_REMEMBERED = 10_000
"""Folders that are remembered to have been synced together with their parents."""
_REMOVALS = 3
"""Attempts to remove a folder in which other processes remove files, too, so that each finds files missing."""


class FolderSync:
    """Makes files below a folder survive a power cut (obstore renames without fsync)."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._synced: set[str] = set()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="sync")

    def sync(self, keys: Sequence[str]) -> None:
        """Sync these files, and the folders that have an entry for one of them or for a new folder."""
        folders = {_parent(key) for key in keys}
        new, parents = set[str](), set[str]()
        for folder in folders:
            while folder and folder not in self._synced:
                new.add(folder)
                folder = _parent(folder)  # noqa: PLW2901 - the walk to the root
                parents.add(folder)
        self._sync_all([self._root / path for path in (*keys, *(folders | parents))])
        if len(self._synced) > _MOST_REMEMBERED:
            self._synced.clear()
        self._synced |= new

    def _sync_all(self, paths: Sequence[Path]) -> None:
        # The disk writes together what several threads wait for: a file with its folders takes a third of the time.
        if len(paths) > _FEW:
            with ThreadPoolExecutor(_THREADS) as pool:
                _sync_in(pool, paths)
        else:
            _sync_in(self._threads, paths)


def _parent(key: str) -> str:
    return key.rpartition("/")[0]


def _sync_in(pool: ThreadPoolExecutor, paths: Sequence[Path]) -> None:
    """Sync all, a share of them in each thread; raise one of the errors."""
    shares = [paths[number::_THREADS] for number in range(min(_THREADS, len(paths)))]
    errors = [error for found in pool.map(_sync_share, shares) for error in found]
    if errors:
        # That a file is missing is of no importance beside a disk that has lost another.
        raise next((error for error in errors if not isinstance(error, FileNotFoundError)), errors[0])


def _sync_share(paths: Sequence[Path]) -> list[OSError]:
    """Sync all; return the errors."""
    errors = []
    for path in paths:
        try:
            _sync_one(path)
        except OSError as error:
            errors.append(error)
    return errors


def _sync_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_folder(folder: Path) -> None:
    """Remove a folder that may not exist, and from which other processes may remove files at the same time.

    Raises:
        OSError: It cannot be removed.
    """
    for _ in range(_REMOVALS):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        # A file was written at this moment: its owner removes it, or the sweep does.
        if error.errno != errno.ENOTEMPTY:
            raise
