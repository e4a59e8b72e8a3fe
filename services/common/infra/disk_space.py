"""Checks the free space of local disks, so that accepted orders can be finished."""

import contextlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from services.common.domain.errors import Unavailable


@dataclass(frozen=True)
class DiskSpace:
    """The free space of the disks that hold blobs and the database."""

    folders: Sequence[Path]
    min_free_bytes: int

    def check(self, more_bytes: int = 0) -> None:
        """Raise if a disk is almost full, or would be with so many bytes more.

        Raises:
            Unavailable: A disk has less than the minimum of free space.
        """
        for folder in self.folders:
            with contextlib.suppress(FileNotFoundError):  # the checks of the blob store and the database report it
                if shutil.disk_usage(folder).free < self.min_free_bytes + more_bytes:
                    raise Unavailable("the server's disk is almost full")
