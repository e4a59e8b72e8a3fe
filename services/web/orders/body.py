"""A request's body, taken in by need: so many bytes, then so many more; never more than a piece is held."""

import asyncio
from collections.abc import AsyncIterator

STALL_SECONDS = 90.0
"""How long a browser may be silent in the middle of a body; the gateway waits for 60."""


class Pieces:
    """The body as it comes."""

    def __init__(self, stream: AsyncIterator[bytes]) -> None:
        self._stream = stream
        self._rest = memoryview(b"")

    async def some(self, most: int) -> bytes:
        """At least a byte and at most so many; none at the end.

        Raises:
            ClientDisconnect: The client has gone away.
            EOFError: It has been silent for too long.
        """
        while not self._rest:
            try:
                async with asyncio.timeout(STALL_SECONDS):
                    piece = await anext(self._stream, None)
            except TimeoutError:
                raise EOFError("silent for too long") from None
            if piece is None:
                return b""
            self._rest = memoryview(piece)
        taken, self._rest = self._rest[:most], self._rest[most:]
        return bytes(taken)

    async def exactly(self, size: int, *, most: int = 1 << 20) -> bytes:
        """So many bytes.

        Raises:
            EOFError: There are fewer, or it is more than `most`.
        """
        if size > most:
            raise EOFError("more than expected")
        return b"".join([chunk async for chunk in self.chunks(size, max(1, size))])

    async def exactly_all(self, most: int) -> bytes:
        """All bytes.

        Raises:
            EOFError: There are more than that.
        """
        taken = bytearray()
        while piece := await self.some(most + 1):
            taken += piece
            if len(taken) > most:
                raise EOFError("more than expected")
        return bytes(taken)

    async def chunks(self, size: int, chunk: int) -> AsyncIterator[bytes]:
        """So many bytes in chunks of that size; the last one may be smaller.

        Raises:
            EOFError: There are fewer.
        """
        while size:
            wanted = min(size, chunk)
            taken = await self.some(wanted)
            if not taken:
                raise EOFError("less than announced")
            if len(taken) < wanted:
                gathered = bytearray(taken)
                while len(gathered) < wanted:
                    taken = await self.some(wanted - len(gathered))
                    if not taken:
                        raise EOFError("less than announced")
                    gathered += taken
                taken = bytes(gathered)
            size -= len(taken)
            yield taken
