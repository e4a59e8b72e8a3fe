"""A received form: fields in memory, all files in one anonymous temporary file."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import IO, Self

import anyio.to_thread


@dataclass
class FormFile:
    """A file of the form, and its place in the temporary file."""

    name: str
    offset: int
    size: int = 0


@dataclass
class UploadedForm:
    """A received form."""

    content: IO[bytes]
    fields: dict[str, str] = field(default_factory=dict)
    files: list[FormFile] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.content.close()

    async def chunks(self, file: FormFile, size: int) -> AsyncIterator[bytes]:
        """Yield the content of a file in chunks; the last chunk may be smaller."""
        end = file.offset + file.size
        for offset in range(file.offset, end, size):
            yield await anyio.to_thread.run_sync(self._read, offset, min(size, end - offset))

    def _read(self, offset: int, length: int) -> bytes:
        self.content.seek(offset)
        return self.content.read(length)
