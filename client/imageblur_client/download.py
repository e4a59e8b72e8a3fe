"""Saves results: in constant memory, complete or not at all."""

import errno
import hashlib
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from imageblur.v1.blur_service_pb2 import DownloadImagesResponse, FileStart

from imageblur_client.errors import BrokenDownloadError
from imageblur_client.filenames import safe_name, unique_name


class PartialFile:
    """A file under a temporary name beside its final one; removed unless finished."""

    def __init__(self, target: Path, start: FileStart) -> None:
        self.target = target
        self._start = start
        # Created like any other file, so that it gets its permissions from the user's umask.
        self._path = target.with_name(f".imageblur-{secrets.token_hex(8)}.part")
        self._file = self._path.open("xb")
        self._sha256 = hashlib.sha256()
        self._size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)

    def write(self, chunk: bytes) -> None:
        """Write the next bytes."""
        self._file.write(chunk)
        self._sha256.update(chunk)
        self._size += len(chunk)

    def finish(self, *, replace: bool) -> Path:
        """Verify what was received, and rename the file to its final name.

        Raises:
            BrokenDownloadError: Size or SHA-256 differ.
            FileExistsError: A different file exists and `replace` is false.
        """
        self._file.close()
        if self._start.HasField("size_bytes") and self._start.size_bytes != self._size:
            raise BrokenDownloadError(
                f"{self.target.name}: {self._size} of {self._start.size_bytes} bytes were received"
            )
        if self._start.sha256 and self._start.sha256 != self._sha256.digest():
            raise BrokenDownloadError(
                f"{self.target.name}: the received bytes do not have the SHA-256 that the server sent"
            )
        if not replace and self.target.exists() and _sha256(self.target) != self._sha256.digest():
            raise FileExistsError(
                errno.EEXIST, "exists already and differs; choose another folder, or replace it", str(self.target)
            )
        return self._path.replace(self.target)


class FileSaver:
    """Saves each file in a folder, which is created with the first; finished files are kept after an error.

    Args:
        directory: The folder.
        replace: Replace existing files.
        on_bytes: Called with the number of bytes of each chunk.
        on_file: Called with the path of each file.
    """

    def __init__(
        self,
        directory: Path,
        *,
        replace: bool = False,
        on_bytes: Callable[[int], None] | None = None,
        on_file: Callable[[Path], None] | None = None,
    ) -> None:
        self._directory = directory
        self._replace = replace
        self._on_bytes = on_bytes
        self._on_file = on_file
        self._taken: set[str] = set()
        self._current: PartialFile | None = None
        self.saved: list[Path] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._current is not None:
            self._current.__exit__(None, None, None)

    def take(self, part: DownloadImagesResponse) -> None:
        """Save a part.

        Raises:
            BrokenDownloadError: A received file is incomplete or damaged.
            OSError: A file cannot be written.
        """
        if part.WhichOneof("part") != "file":
            _write(self._current, part.chunk, self._on_bytes)
            return
        self.finish()
        self._directory.mkdir(parents=True, exist_ok=True)
        name = unique_name(safe_name(part.file.filename), self._taken)
        self._taken.add(name.casefold())
        self._current = PartialFile(self._directory / name, part.file)

    def finish(self) -> None:
        """Complete the last file. Raises as `take`."""
        if self._current is None:
            return
        with self._current as file:
            self.saved.append(file.finish(replace=self._replace))
        self._current = None
        if self._on_file is not None:
            self._on_file(self.saved[-1])


class ArchiveSaver:
    """Saves an archive at a path; its folder is created if needed. The arguments are those of `FileSaver`."""

    def __init__(self, path: Path, *, replace: bool = False, on_bytes: Callable[[int], None] | None = None) -> None:
        self._path = path
        self._replace = replace
        self._on_bytes = on_bytes
        self._file: PartialFile | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.__exit__(None, None, None)

    def take(self, part: DownloadImagesResponse) -> None:
        """Save a part.

        Raises:
            BrokenDownloadError: The received archive is incomplete or damaged.
            OSError: It cannot be written.
        """
        if part.WhichOneof("part") != "file":
            _write(self._file, part.chunk, self._on_bytes)
            return
        if self._file is not None:
            raise BrokenDownloadError("the server sent more than one archive")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = PartialFile(self._path, part.file)

    def finish(self) -> Path:
        """Complete the archive. Raises as `take`."""
        if self._file is None:
            raise BrokenDownloadError("the server sent no archive")
        return self._file.finish(replace=self._replace)


def save_files(
    parts: Iterable[DownloadImagesResponse],
    directory: Path,
    *,
    replace: bool = False,
    on_bytes: Callable[[int], None] | None = None,
    on_file: Callable[[Path], None] | None = None,
) -> list[Path]:
    """Save the files of a download, as `FileSaver`."""
    with FileSaver(directory, replace=replace, on_bytes=on_bytes, on_file=on_file) as saver:
        for part in parts:
            saver.take(part)
        saver.finish()
        return saver.saved


def save_archive(
    parts: Iterable[DownloadImagesResponse],
    path: Path,
    *,
    replace: bool = False,
    on_bytes: Callable[[int], None] | None = None,
) -> Path:
    """Save the archive of a download, as `ArchiveSaver`."""
    with ArchiveSaver(path, replace=replace, on_bytes=on_bytes) as saver:
        for part in parts:
            saver.take(part)
        return saver.finish()


def _write(file: PartialFile | None, chunk: bytes, on_bytes: Callable[[int], None] | None) -> None:
    if file is None:
        raise BrokenDownloadError("the server sent bytes without a file")
    file.write(chunk)
    if on_bytes is not None:
        on_bytes(len(chunk))


def _sha256(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
