"""A small disk that can be filled: a tmpfs, which only root may mount."""

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class NoSmallDisk(Exception):
    """This machine does not let us mount one; the text says why."""


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A disk of that size, mounted on a folder until the block ends. Raises: NoSmallDisk."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=10)
    except (OSError, subprocess.SubprocessError) as error:
        raise NoSmallDisk(f"{error} {getattr(error, 'stderr', b'')!r}") from error
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, capture_output=True, timeout=10)


def fill(folder: Path, *, leaving: int) -> Path:
    """A file that takes the room on a disk, but for so many bytes; others may take some of it meanwhile."""
    path = folder / "filling"
    with path.open("wb") as file:
        while True:
            file.truncate(0)
            room = os.statvfs(folder)
            try:
                os.posix_fallocate(file.fileno(), 0, max(1, room.f_bavail * room.f_frsize - leaving))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
            else:
                return path
