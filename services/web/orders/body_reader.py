"""A request body that is read on demand, so that only a piece of it is in memory."""

import asyncio
from collections.abc import AsyncIterator

STALL_SECONDS = 90.0
"""How long a browser may send nothing in the middle of a body; the gateway waits for 60."""


class BodyReader:
    """Reads so many bytes at a time from a body that arrives in pieces of any size."""

    def __init__(self, stream: AsyncIterator[bytes]) -> None:
        self._stream = stream
        self._rest = memoryview(b"")

    async def read(self, limit: int) -> bytes:
        """Return between 1 and `limit` bytes; none at the end.

        Raises:
            ClientDisconnect: The client closed the connection.
            EOFError: The client sent nothing for too long.
        """
        while not self._rest:
            try:
                async with asyncio.timeout(STALL_SECONDS):
                    piece = await anext(self._stream, None)
            except TimeoutError:
                raise EOFError("the client stalled") from None
            if piece is None:
                return b""
            self._rest = memoryview(piece)
        data, self._rest = self._rest[:limit], self._rest[limit:]
        return bytes(data)

    async def read_exactly(self, size: int, *, limit: int = 1 << 20) -> bytes:
        """Return `size` bytes.

        Raises:
            EOFError: There are fewer, or `size` exceeds the limit.
        """
        if size > limit:
            raise EOFError("more than expected")
        return b"".join([chunk async for chunk in self.chunks(size, max(1, size))])

    async def read_all(self, limit: int) -> bytes:
        """Return the rest of the body.

        Raises:
            EOFError: It exceeds the limit.
        """
        data = bytearray()
        while piece := await self.read(limit + 1):
            data += piece
            if len(data) > limit:
                raise EOFError("more than expected")
        return bytes(data)

    async def chunks(self, size: int, chunk_size: int) -> AsyncIterator[bytes]:
        """Yield `size` bytes in chunks of `chunk_size`; the last chunk may be smaller.

        Raises:
            EOFError: There are fewer.
        """
        while size:
            chunk = bytearray()
            missing = min(size, chunk_size)
            while missing:
                piece = await self.read(missing)
                if not piece:
                    raise EOFError("less than announced")
                chunk += piece
                missing -= len(piece)
            size -= len(chunk)
            yield bytes(chunk)
