"""The files that a child works on."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from services.blur_worker import metrics
from services.blur_worker.scratch import Scratch
from services.common.infra.blobs import BlobStore


@contextlib.contextmanager
def lent(blobs: BlobStore, scratch: Scratch, source_key: str, owner: UUID) -> Iterator[tuple[Path, Path]]:
    """The original, fetched unless the blob store is a folder, and a place for the result until the block ends.

    Raises:
        MissingBlob: There is no original.
        Unavailable: The store cannot be reached.
        OSError: The scratch folder cannot be written.
    """
    folder = scratch.ensured()
    original, target = blobs.local_path(source_key), folder / f"{owner}.result"
    try:
        if original:
            yield original, target
        else:
            with _fetched(blobs, source_key, folder / f"{owner}.source") as fetched:
                yield fetched, target
    finally:
        target.unlink(missing_ok=True)


@contextlib.contextmanager
def _fetched(blobs: BlobStore, key: str, file: Path) -> Iterator[Path]:
    try:
        with metrics.stage("fetch"), file.open("wb") as writer:
            for chunk in blobs.stream(key):
                writer.write(chunk)
        yield file
    finally:
        file.unlink(missing_ok=True)
