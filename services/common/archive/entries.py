"""What goes into the archive of an order's results (a StoredZip): results as they are, and the receipt."""

from collections.abc import Iterator
from hashlib import sha256
from typing import Protocol

from services.common.archive.stored_zip import Entry

NAME = "blur_images.zip"
MEDIA_TYPE = "application/zip"


class Blobs(Protocol):
    """Where results are."""

    def stream(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """A blob, or a part of it."""


def result_entry(blobs: Blobs, name: str, key: str, size: int, digest: str) -> Entry:
    """A result in the archive; it is read when its turn comes."""
    return Entry(name, size, lambda offset, length: blobs.stream(key, offset, length), digest=digest)


def receipt_entry(name: str, content: bytes) -> Entry:
    """A file about the results."""
    return Entry(
        name,
        len(content),
        lambda offset, length: iter((content[offset : offset + length],)),
        digest=sha256(content).hexdigest(),
    )
