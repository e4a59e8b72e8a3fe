"""A budget of bytes: reserved before they are received, granted first come, first served."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from services.common.domain.errors import Busy

WAIT_SECONDS = 3.0
"""How long a call waits for a reservation; after that its client had better retry."""
RETRY_SECONDS = 2.0


class ByteBudget:
    """Limits the bytes reserved at a time; for use on the event loop only."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.reserved = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def reserve(self, size: int) -> AsyncIterator["Reservation"]:
        """Reserve bytes until the block ends.

        Raises:
            Busy: Not enough became free in time.
        """
        await self.acquire(size)
        reservation = Reservation(self, size)
        try:
            yield reservation
        finally:
            reservation.shrink(0)

    async def acquire(self, size: int) -> None:
        """Reserve bytes until they are released.

        Raises:
            Busy: Not enough became free in time.
        """
        if not self._waiting and self.reserved + size <= self.capacity:
            self.reserved += size
            return
        granted = asyncio.get_running_loop().create_future()
        self._waiting.append((size, granted))
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await granted
        except BaseException as error:
            if granted.done() and not granted.cancelled():  # it was granted at the same moment
                self.reserved -= size
            with contextlib.suppress(ValueError):
                self._waiting.remove((size, granted))
            self._grant_waiting()
            if isinstance(error, TimeoutError):
                message = "the server is receiving as many bytes as it can hold"
                raise Busy("BYTES_IN_FLIGHT", "bytes in flight", message, retry_seconds=RETRY_SECONDS) from None
            raise

    def release(self, size: int) -> None:
        """Release reserved bytes."""
        self.reserved -= size
        self._grant_waiting()

    def _grant_waiting(self) -> None:
        # Strictly in order: small reservations that overtook a large one could starve it.
        while self._waiting and self.reserved + self._waiting[0][0] <= self.capacity:
            size, granted = self._waiting.popleft()
            if not granted.done():
                self.reserved += size
                granted.set_result(None)


class Reservation:
    """A reserved part of a budget."""

    def __init__(self, budget: ByteBudget, size: int) -> None:
        self._budget = budget
        self.size = size

    async def grow(self, size: int) -> None:
        """Reserve so many bytes in addition.

        Raises:
            Busy: Not enough became free in time.
        """
        await self._budget.acquire(size)
        self.size += size

    def shrink(self, size: int) -> None:
        """Release all but so many bytes."""
        if size < self.size:
            released, self.size = self.size - size, size
            self._budget.release(released)


CURRENT_RESERVATION: ContextVar[Reservation] = ContextVar("current_reservation")
"""What the call of the current task has reserved."""
