"""The bytes of an upload as they arrive: cut into images and parts, stored, and recorded from time to time.

An image up to PART_BYTES becomes its original at once. A larger one, or one in which a call ends, is stored in parts,
which are joined when the last byte of the image has arrived.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from services.common.domain.errors import InvalidArgument, Violation
from services.common.domain.orders import original_key, part_key
from services.common.infra.blobs import BlobStore
from services.gateway.orders.messages.requests import ParsedImage
from services.gateway.rpc.thread_pool import ThreadPool

PART_BYTES = 4 << 20
"""Received bytes that are not recorded yet, at most: they would have to be sent again."""
MAX_PARTS = 2_000
"""Most parts of an image: so many whole ones are more than any image has."""


@dataclass(frozen=True)
class Part:
    """A stored piece of an image."""

    start: int
    """Its offset in the image, in bytes."""
    owner: str
    """The call that stored it."""


def parts_to_json(parts: Sequence[Part]) -> str:
    """Return parts for the database."""
    return json.dumps([[part.start, part.owner] for part in parts])


def parts_from_json(text: str) -> list[Part]:
    """Return parts from the database."""
    return [Part(start, owner) for start, owner in json.loads(text)]


class UploadReceiver:
    """Stores the bytes of one call. Nothing of it counts until it is recorded.

    Args:
        upload_id: ID of the upload.
        images: All images of the upload.
        offset: Bytes of the upload that are stored.
        parts: Those of the image that the offset is in.
        owner: Token of the call.
        blobs: The blob store.
        threads: For what blocks.
    """

    def __init__(
        self,
        upload_id: UUID,
        images: Sequence[ParsedImage],
        *,
        offset: int,
        parts: Sequence[Part],
        owner: str,
        blobs: BlobStore,
        threads: ThreadPool,
    ) -> None:
        self._id, self._images, self._owner = upload_id, images, owner
        self._blobs, self._threads = blobs, threads
        self._size = sum(image.size or 0 for image in images)
        self._index, self._image_start = _find_image(images, offset)
        self._buffer = bytearray()
        self._buffer_start = offset - self._image_start
        self._hash = None if parts else hashlib.sha256()
        """SHA-256 of the image so far; None if earlier calls received some of it."""
        self.parts = list(parts)
        """Parts of the image that is being received."""
        self.offset = offset
        """Bytes of the upload that are stored, recorded or not."""
        self.sha256_by_position: dict[int, str] = {}
        """Images that were stored whole and not recorded yet."""
        self.new_keys: list[str] = []
        """Blobs that were stored and not recorded yet."""
        self.old_keys: list[str] = []
        """Parts that were joined: to be removed once that is recorded."""

    @property
    def waiting(self) -> int:
        """Received bytes that are not stored yet."""
        return len(self._buffer)

    async def write(self, data: bytes) -> None:
        """Receive bytes.

        Raises:
            InvalidArgument: There are more than the upload has, or an image is not what it was announced to be.
            Unavailable: The store is unavailable or full.
        """
        view = memoryview(data)
        while view:
            if self._index == len(self._images):
                raise InvalidArgument(Violation("chunk", f"the upload has {self._size} bytes only"))
            size = self._images[self._index].size or 0
            taken = min(len(view), size - self._buffer_start - len(self._buffer), PART_BYTES - len(self._buffer))
            self._buffer += view[:taken]
            if self._hash:
                self._hash.update(view[:taken])
            view = view[taken:]
            if self._is_whole:
                await self._finish_image()
            elif len(self._buffer) == PART_BYTES:
                await self.store_part()

    async def store_part(self) -> None:
        """Store what has arrived of the current image.

        Raises:
            InvalidArgument: The image has too many parts.
            Unavailable: The store is unavailable or full.
        """
        if not self._buffer or self._is_whole:
            return  # a whole image that could not be joined is not kept as parts: nothing would join them
        if len(self.parts) == MAX_PARTS:
            raise InvalidArgument(
                Violation("chunk", f"the image would have more than {MAX_PARTS} parts: send larger ones")
            )
        part = Part(self._buffer_start, self._owner)
        await self._put(self._key(part))
        self.parts.append(part)
        self.offset += len(self._buffer)
        self._buffer_start += len(self._buffer)
        self._buffer.clear()

    @property
    def _is_whole(self) -> bool:
        image = self._images[self._index]
        return self._buffer_start + len(self._buffer) == image.size

    async def _finish_image(self) -> None:
        image, position = self._images[self._index], self._index + 1
        sha256 = await self._join(position) if self.parts else await self._store_whole(position)
        if image.sha256 is not None and sha256 != image.sha256:
            self._begin_image_again()
            message = "does not match the bytes received: send the image again"
            raise InvalidArgument(Violation(f"{image.field}.sha256", message))
        self.sha256_by_position[position] = sha256.hex()
        self.old_keys += map(self._key, self.parts)
        self.parts = []
        self._index += 1
        self._image_start += image.size or 0
        self.offset = self._image_start
        self._buffer_start = 0
        self._hash = hashlib.sha256()

    async def _store_whole(self, position: int) -> bytes:
        assert self._hash  # a call that began in the middle of the image found parts
        await self._put(original_key(self._id, position))
        self._buffer.clear()
        return self._hash.digest()

    async def _join(self, position: int) -> bytes:
        """Write the parts and what has arrived since as one blob; return the SHA-256."""
        key, known = original_key(self._id, position), self._hash
        found = hashlib.sha256()
        async with self._blobs.writer(key) as writer:
            async for piece in self._stored_pieces():
                if known is None:
                    found.update(piece)
                await writer.write(piece)
            await writer.write(bytes(self._buffer))
        if known is None:
            found.update(self._buffer)
        self.new_keys.append(key)
        self._buffer.clear()
        return (known or found).digest()

    async def _stored_pieces(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            async for piece in self._threads.iterate(self._blobs.stream(self._key(part))):
                yield piece

    async def _put(self, key: str) -> None:
        await self._threads.run_to_end(self._blobs.put, key, bytes(self._buffer))
        self.new_keys.append(key)

    def _begin_image_again(self) -> None:
        self.old_keys += map(self._key, self.parts)
        self.parts = []
        self._buffer.clear()
        self._buffer_start = 0
        self.offset = self._image_start
        self._hash = hashlib.sha256()

    def _key(self, part: Part) -> str:
        return part_key(self._id, self._index + 1, part.start, part.owner)


def _find_image(images: Sequence[ParsedImage], offset: int) -> tuple[int, int]:
    """Return the index of the image that the next byte belongs to, and the offset of its first byte."""
    start = 0
    for index, image in enumerate(images):
        if offset < start + (image.size or 0):
            return index, start
        start += image.size or 0
    return len(images), start
