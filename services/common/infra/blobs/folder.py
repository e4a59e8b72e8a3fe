"""What a folder needs and S3 does not: files that survive a power cut, and removal of folders."""

import errno
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_SEQUENTIAL = 8
"""Up to so many files are synced one after another: as those of one image are."""
_THREADS = 8
_MOST_REMEMBERED = 10_000
"""Folders that are remembered to have been synced together with their parents."""
_REMOVALS = 3
"""Attempts to remove a folder in which other processes remove files, too, so that each finds files missing."""


class FolderSync:
    """Makes files below a folder survive a power cut (obstore renames without fsync)."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._synced: set[str] = set()

    def sync(self, keys: Sequence[str]) -> None:
        """Sync these files, and the folders that have an entry for one of them or for a new folder."""
        folders = {_parent(key) for key in keys}
        new, parents = set[str](), set[str]()
        for folder in folders:
            while folder and folder not in self._synced:
                new.add(folder)
                folder = _parent(folder)  # noqa: PLW2901 - the walk to the root
                parents.add(folder)
        _sync([self._root / path for path in (*keys, *(folders | parents))])
        if len(self._synced) > _MOST_REMEMBERED:
            self._synced.clear()
        self._synced |= new


def _parent(key: str) -> str:
    return key.rpartition("/")[0]


def _sync(paths: Sequence[Path]) -> None:
    if len(paths) <= _SEQUENTIAL:
        for path in paths:
            _sync_one(path)
        return
    # The disk writes together what several threads wait for: on a busy one that took a tenth of the time.
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(_sync_one, paths))


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
