"""A place that is a folder.

Symbolic links are not followed: each folder of a key is opened on its own, relative to the one before (openat with
O_NOFOLLOW), so that no link leads out of the place, no matter who creates it and when.
"""

import contextlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

from services.common.infra.places.stores import ListedFile, NoSuchFile, PlaceUnavailable, take_accepted

CHUNK = 1 << 20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class FolderPlace:
    """Files below a folder, which has to exist."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, key: str) -> Iterator[bytes]:
        """See `PlaceStore.read`."""
        folders, name = _split(key)
        with _translated(), self._open_folder(folders) as folder:
            try:
                # A named pipe would block.
                descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
            except (FileNotFoundError, NotADirectoryError, OSError) as error:
                raise _missing(error) from None
            with os.fdopen(descriptor, "rb") as file:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise NoSuchFile("it is not a regular file")
                while chunk := file.read(CHUNK):
                    yield chunk

    def write(self, key: str, file: Path) -> None:
        """See `PlaceStore.write`."""
        folders, name = _split(key)
        draft = f".imageblur-{uuid4().hex}"
        with _translated(), self._open_folder(folders, create=True) as folder:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                descriptor = os.open(draft, flags, 0o666, dir_fd=folder)
                with os.fdopen(descriptor, "wb") as target, file.open("rb") as source:
                    shutil.copyfileobj(source, target, CHUNK)
                    target.flush()
                    os.fsync(descriptor)
                os.replace(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
                os.fsync(folder)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(draft, dir_fd=folder)
                raise

    def list_files(self, prefix: str, accept: Callable[[str], bool], limit: int) -> list[ListedFile]:
        """See `PlaceStore.list_files`."""
        folders = prefix.split("/")[:-1]
        with _translated():
            try:
                with self._open_folder(folders) as folder:
                    return take_accepted(_files(folder, prefix), accept, limit)
            except NoSuchFile:
                return []

    @contextlib.contextmanager
    def _open_folder(self, folders: list[str], *, create: bool = False) -> Iterator[int]:
        try:
            # The operator's own path may lead over links.
            descriptor = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise PlaceUnavailable(f"the place cannot be opened: {error.strerror}") from None
        try:
            for name in folders:
                if create:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(name, dir_fd=descriptor)
                        os.fsync(descriptor)
                try:
                    inner = os.open(name, _DIRECTORY, dir_fd=descriptor)
                except OSError as error:
                    raise _missing(error) from None
                os.close(descriptor)
                descriptor = inner
            yield descriptor
        finally:
            os.close(descriptor)


def _files(folder: int, prefix: str) -> Iterator[ListedFile]:
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                key = prefix + entry.name
                key.encode()
            except UnicodeEncodeError:
                continue  # a name that is not UTF-8 cannot be named by a caller either
            if entry.is_file(follow_symlinks=False):
                if not entry.name.startswith(".imageblur-"):
                    yield ListedFile(key, entry.stat(follow_symlinks=False).st_size)
            elif entry.is_dir(follow_symlinks=False):
                inner = os.open(entry.name, _DIRECTORY, dir_fd=folder)
                try:
                    yield from _files(inner, f"{key}/")
                finally:
                    os.close(inner)


def _split(key: str) -> tuple[list[str], str]:
    *folders, name = key.split("/")
    return folders, name


def _missing(error: OSError) -> Exception:
    if isinstance(error, PermissionError):
        return PlaceUnavailable("the place refuses access to the file")
    return NoSuchFile("there is no such file, or a symbolic link leads to it")


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PlaceUnavailable(f"the place cannot be used: {error.strerror or type(error).__name__}") from None
