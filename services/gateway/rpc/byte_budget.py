"""A budget of bytes: reserved before they are taken in, handed out in the order in which it was asked for."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.common.domain.errors import Busy

PATIENCE_SECONDS = 3.0
"""So long a call waits for room; longer, and its client is better told to come again."""
RETRY_SECONDS = 2.0


class Budget:
    """So many bytes may be reserved at a time; for the event loop only."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.reserved = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def reserve(self, size: int) -> AsyncIterator["Reservation"]:
        """Room for so many bytes until the block ends.

        Raises:
            Busy: None became free in time.
        """
        await self._take(size)
        reservation = Reservation(self, size)
        try:
            yield reservation
        finally:
            reservation.shrink(0)

    async def _take(self, size: int) -> None:
        if not self._waiting and self.reserved + size <= self.capacity:
            self.reserved += size
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():  # its turn came at the same moment
                self.reserved -= size
            with contextlib.suppress(ValueError):
                self._waiting.remove((size, turn))
            self._serve()
            if isinstance(error, TimeoutError):
                message = "the server has as much on its way in as it can hold"
                raise Busy("BYTES_IN_FLIGHT", "bytes in flight", message, retry_seconds=RETRY_SECONDS) from None
            raise

    def give_back(self, size: int) -> None:
        """So many bytes are no longer needed."""
        self.reserved -= size
        self._serve()

    def _serve(self) -> None:
        # Strictly in turn: a small one that slipped past could keep a large one waiting for ever.
        while self._waiting and self.reserved + self._waiting[0][0] <= self.capacity:
            size, turn = self._waiting.popleft()
            if not turn.done():
                self.reserved += size
                turn.set_result(None)


class Reservation:
    """A part of a budget."""

    def __init__(self, budget: Budget, size: int) -> None:
        self._budget = budget
        self.size = size

    def shrink(self, size: int) -> None:
        """Keep only so many bytes of it."""
        if size < self.size:
            given_back, self.size = self.size - size, size
            self._budget.give_back(given_back)
