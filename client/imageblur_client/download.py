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


def save_files(
    parts: Iterable[DownloadImagesResponse],
    directory: Path,
    *,
    replace: bool = False,
    on_bytes: Callable[[int], None] | None = None,
    on_file: Callable[[Path], None] | None = None,
) -> list[Path]:
    """Save each file in a folder, which is created with the first; finished files are kept after an error.

    Raises:
        BrokenDownloadError: A received file is incomplete or damaged.
        OSError: A file cannot be written.
    """
    saved: list[Path] = []
    taken: set[str] = set()

    def finish(file: PartialFile) -> None:
        with file:
            saved.append(file.finish(replace=replace))
        if on_file is not None:
            on_file(saved[-1])

    current: PartialFile | None = None
    try:
        for part in parts:
            if part.WhichOneof("part") == "file":
                if current is not None:
                    finish(current)
                directory.mkdir(parents=True, exist_ok=True)
                name = unique_name(safe_name(part.file.filename), taken)
                taken.add(name.casefold())
                current = PartialFile(directory / name, part.file)
            else:
                _write(current, part.chunk, on_bytes)
        if current is not None:
            finish(current)
    finally:
        if current is not None:
            current.__exit__(None, None, None)
    return saved


def save_archive(
    parts: Iterable[DownloadImagesResponse],
    path: Path,
    *,
    replace: bool = False,
    on_bytes: Callable[[int], None] | None = None,
) -> Path:
    """Save the archive at a path; its folder is created if needed.

    Raises:
        BrokenDownloadError: The received archive is incomplete or damaged.
        OSError: It cannot be written.
    """
    stream = iter(parts)
    first = next(stream, None)
    if first is None or first.WhichOneof("part") != "file":
        raise BrokenDownloadError("the server sent no archive")
    path.parent.mkdir(parents=True, exist_ok=True)
    with PartialFile(path, first.file) as file:
        for part in stream:
            if part.WhichOneof("part") == "file":
                raise BrokenDownloadError("the server sent more than one archive")
            _write(file, part.chunk, on_bytes)
        return file.finish(replace=replace)


def _write(file: PartialFile | None, chunk: bytes, on_bytes: Callable[[int], None] | None) -> None:
    if file is None:
        raise BrokenDownloadError("the server sent bytes without a file")
    file.write(chunk)
    if on_bytes is not None:
        on_bytes(len(chunk))


def _sha256(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
