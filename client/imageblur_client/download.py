"""Saves results: in constant memory, complete or not at all."""

import errno
import hashlib
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
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

    def __exit__(self, *_: object) -> None:
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
    """Saves each file in a folder, or an archive at a path; finished files are kept after an error.

    Args:
        target: The folder, or the path of the archive; folders are created with the first file.
        archive: Whether it is an archive.
        replace: Replace existing files.
        on_bytes: Called with the number of bytes of each chunk.
        on_file: Called with the path of each file.
    """

    def __init__(
        self,
        target: Path,
        *,
        archive: bool = False,
        replace: bool = False,
        on_bytes: Callable[[int], None] | None = None,
        on_file: Callable[[Path], None] | None = None,
    ) -> None:
        self._target = target
        self._archive = archive
        self._replace = replace
        self._on_bytes = on_bytes
        self._on_file = on_file
        self._taken: set[str] = set()
        self._current: PartialFile | None = None
        self._saved: list[Path] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._current is not None:
            self._current.__exit__()

    def take(self, part: DownloadImagesResponse) -> None:
        """Save a part.

        Raises:
            BrokenDownloadError: A received file is incomplete or damaged.
            OSError: A file cannot be written.
        """
        if part.WhichOneof("part") == "file":
            path = self._next_path(part.file)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._current = PartialFile(path, part.file)
        elif self._current is None:
            raise BrokenDownloadError("the server sent bytes without a file")
        else:
            self._current.write(part.chunk)
            if self._on_bytes is not None:
                self._on_bytes(len(part.chunk))

    def finish(self) -> list[Path]:
        """Complete the last file; return all that were saved. Raises as `take`."""
        if self._archive and self._current is None:
            raise BrokenDownloadError("the server sent no archive")
        self._complete()
        return self._saved

    def _next_path(self, start: FileStart) -> Path:
        if self._archive:
            if self._current is not None:
                raise BrokenDownloadError("the server sent more than one archive")
            return self._target
        self._complete()
        name = unique_name(safe_name(start.filename), self._taken)
        self._taken.add(name.casefold())
        return self._target / name

    def _complete(self) -> None:
        if self._current is None:
            return
        with self._current as file:
            self._saved.append(file.finish(replace=self._replace))
        self._current = None
        if self._on_file is not None:
            self._on_file(self._saved[-1])


def save(parts: Iterable[DownloadImagesResponse], saver: FileSaver) -> list[Path]:
    """Save the files of a download; return their paths. Raises as `FileSaver.take`."""
    with saver:
        for part in parts:
            saver.take(part)
        return saver.finish()


def _sha256(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
