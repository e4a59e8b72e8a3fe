"""What archives and thumbnails need of a blob store."""

from collections.abc import Iterator
from typing import Protocol


class BlobReader(Protocol):
    """Reads blobs."""

    def get(self, key: str) -> bytes:
        """Return a whole blob."""

    def stream(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield a blob, or a part of it."""
