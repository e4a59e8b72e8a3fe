"""One image on its way in."""

import hashlib
from collections.abc import Callable

from services.common.domain.errors import InvalidArgument, Violation
from services.common.infra.blobs import CHUNK, BlobWriter


class ImageUpload:
    """Takes its bytes, and holds them against what was announced.

    `field` is its name in errors; `writer` keeps the bytes, if they are to be kept; `count` is told how many come.
    """

    def __init__(self, field: str, writer: BlobWriter | None, max_bytes: int, count: Callable[[int], None]) -> None:
        self._field = field
        self._writer = writer
        self._max_bytes = max_bytes
        self._count = count
        self._hash = hashlib.sha256()
        self.size = 0
        """Bytes so far."""

    @property
    def sha256(self) -> bytes:
        """Of the bytes so far."""
        return self._hash.digest()

    async def write(self, data: bytes) -> None:
        """The next bytes."""
        self.size += len(data)
        if self.size > self._max_bytes:
            raise InvalidArgument(Violation(f"{self._field}.data", f"is larger than {self._max_bytes} bytes"))
        self._count(len(data))
        # A piece at a time: the writer would copy all of it at once, and other calls would have to wait.
        for begin in range(0, len(data), CHUNK):
            piece = data[begin : begin + CHUNK]
            self._hash.update(piece)
            if self._writer:
                await self._writer.write(piece)

    def check(self, size: int | None, sha256: bytes | None) -> None:
        """Hold what came against what was announced."""
        if not self.size:
            raise InvalidArgument(Violation(f"{self._field}.data", "is empty"))
        if size is not None and size != self.size:
            raise InvalidArgument(Violation(f"{self._field}.size_bytes", f"is {size}, but {self.size} bytes came"))
        if sha256 is not None and sha256 != self.sha256:
            raise InvalidArgument(Violation(f"{self._field}.sha256", "does not match the bytes that came"))
