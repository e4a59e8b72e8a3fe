"""A small disk that can be filled, and one that can lose its power; only root may mount them."""

import errno
import fcntl
import os
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.waiting import eventually

_SHUTDOWN = 0x8004587D
"""FS_IOC_SHUTDOWN of Linux: the file system writes nothing from now on, and every call fails."""
_NO_LOG_FLUSH = 2
"""Not even its journal: the disk has what was synced before, as after a power cut."""
# A file that was renamed over another without a sync is empty after a cut; only syncs write the journal.
_HARSH = "loop,noauto_da_alloc,commit=300"


class NoSmallDisk(Exception):
    """This machine does not let us mount one; the text says why."""


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A disk of that size, mounted on a folder until the block ends. Raises: NoSmallDisk."""
    folder.mkdir()
    _run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder))
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


class PowerDisk:
    """A disk in a file, which forgets at a cut what was not synced."""

    def __init__(self, image: Path, folder: Path) -> None:
        self.folder = folder
        self._image = image

    def cut(self) -> None:
        """Cut the power. Whoever uses the disk gets errors; nothing else is written to it."""
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(descriptor)

    def restore(self) -> None:
        """Mount what the disk has, once all who had files open have ended."""
        eventually(self._umount, within=30)
        self.mount()

    def mount(self) -> None:
        _run("mount", "-t", "ext4", "-o", _HARSH, str(self._image), str(self.folder))

    def _umount(self) -> bool:
        return (
            subprocess.run(["umount", str(self.folder)], check=False, capture_output=True, timeout=60).returncode == 0
        )


@contextmanager
def power_disk(folder: Path, megabytes: int) -> Iterator[PowerDisk]:
    """A disk of that size, mounted on a folder until the block ends. Raises: NoSmallDisk."""
    folder.mkdir()
    image = folder.with_suffix(".image")
    with image.open("wb") as file:
        file.truncate(megabytes << 20)
    _run("mkfs.ext4", "-q", str(image))
    disk = PowerDisk(image, folder)
    disk.mount()
    try:
        yield disk
    finally:
        _run("umount", "--lazy", str(folder))


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        raise NoSmallDisk(f"{error} {getattr(error, 'stderr', b'')!r}") from error
