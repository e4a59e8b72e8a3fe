"""A budget of bytes: reserved before they are received, and granted to callers in turn."""

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from services.common.domain.errors import ResourceExhausted
from services.gateway.rpc.callers import limits, principal, rate_limit_key

WAIT_SECONDS = 3.0
"""How long a call waits for a reservation; after that its client had better retry."""
RETRY_SECONDS = 2.0


class ByteBudget:
    """Limits the bytes reserved at a time; for use on the event loop only.

    Args:
        capacity: In bytes.
        caller_share: The most bytes of one caller, so that some are left for others; None: all.
    """

    def __init__(self, capacity: int, *, caller_share: int | None = None) -> None:
        self.capacity = capacity
        self.reserved = 0
        self._share = capacity if caller_share is None else caller_share
        self._own_shares: dict[str, int] = {}
        """Share, in bytes, of each caller with a limit of its own: as many as there are such keys."""
        self._held: Counter[str] = Counter()
        """By caller."""
        self._waiting: dict[str, deque[tuple[int, asyncio.Future[None]]]] = {}
        """By caller; the first one is next."""

    @asynccontextmanager
    async def reserve(self, size: int) -> AsyncIterator["Reservation"]:
        """Reserve bytes for the current caller until the block ends.

        Raises:
            ResourceExhausted: Not enough became free in time.
        """
        # A key with a limit of its own is one caller, also for the visitors of pages that use it.
        own = limits().bytes_in_flight
        caller = principal() if own else rate_limit_key()
        if own:
            self._own_shares[caller] = own
        await self.acquire(size, caller)
        reservation = Reservation(self, size, caller)
        try:
            yield reservation
        finally:
            reservation.shrink(0)

    async def acquire(self, size: int, caller: str) -> None:
        """Reserve bytes until they are released.

        Raises:
            ResourceExhausted: Not enough became free in time.
        """
        if not self._waiting and self._fits(size, caller):
            self._take(size, caller)
            return
        granted = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, deque()).append((size, granted))
        # For a caller that waits for its own share does not delay others.
        self._grant_waiting()
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await granted
        except BaseException as error:
            if granted.done() and not granted.cancelled():  # it was granted at the same moment
                self._give_back(size, caller)
            self._forget(size, granted, caller)
            self._grant_waiting()
            if isinstance(error, TimeoutError):
                message = "the server is receiving as many bytes as it can hold"
                raise ResourceExhausted(
                    "BYTES_IN_FLIGHT", "bytes in flight", message, retry_seconds=RETRY_SECONDS
                ) from None
            raise

    def release(self, size: int, caller: str) -> None:
        """Release reserved bytes."""
        self._give_back(size, caller)
        self._grant_waiting()

    def _fits(self, size: int, caller: str) -> bool:
        return self.reserved + size <= self.capacity and not self._exceeds_share(size, caller)

    def _exceeds_share(self, size: int, caller: str) -> bool:
        held = self._held.get(caller, 0)
        return held > 0 and held + size > min(self._share, self._own_shares.get(caller, self._share))

    def _take(self, size: int, caller: str) -> None:
        self.reserved += size
        self._held[caller] += size

    def _give_back(self, size: int, caller: str) -> None:
        self.reserved -= size
        self._held[caller] -= size
        if not self._held[caller]:
            del self._held[caller]

    def _forget(self, size: int, granted: asyncio.Future[None], caller: str) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._waiting[caller].remove((size, granted))
            if not self._waiting[caller]:
                del self._waiting[caller]

    def _grant_waiting(self) -> None:
        while self._grant_next():
            pass

    def _grant_next(self) -> bool:
        """Grant one reservation, and put its caller behind the others; return whether there was one to grant."""
        for caller, turns in self._waiting.items():
            size, granted = turns[0]
            if self._exceeds_share(size, caller) and not granted.done():
                continue
            # Strictly in order: small reservations that overtook a large one could starve it.
            if self.reserved + size > self.capacity and not granted.done():
                return False
            turns.popleft()
            del self._waiting[caller]
            if turns:
                self._waiting[caller] = turns
            if not granted.done():
                self._take(size, caller)
                granted.set_result(None)
            return True
        return False


class Reservation:
    """A reserved part of a budget."""

    def __init__(self, budget: ByteBudget, size: int, caller: str) -> None:
        self._budget = budget
        self._caller = caller
        self.size = size

    async def grow(self, size: int) -> None:
        """Reserve so many bytes in addition.

        Raises:
            ResourceExhausted: Not enough became free in time.
        """
        await self._budget.acquire(size, self._caller)
        self.size += size

    def shrink(self, size: int) -> None:
        """Release all but so many bytes."""
        if size < self.size:
            released, self.size = self.size - size, size
            self._budget.release(released, self._caller)


CURRENT_RESERVATION: ContextVar[Reservation] = ContextVar("current_reservation")
"""What the call of the current task has reserved."""
