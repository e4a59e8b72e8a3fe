"""Slows down clients that begin calls only to reset them (CVE-2023-44487, "HTTP/2 rapid reset")."""

import asyncio

AT_ONCE_SECONDS = 0.1
"""A call that is reset sooner was not begun for its answer."""
HOLD_SECONDS = 0.25
MAX_HELD = 2_000
"""Further ones are freed at once: each takes memory."""


class HeldCalls:
    """Keeps calls that were reset at once for a moment before they are freed.

    gRPC counts them as calls of their connection until then, and refuses its further streams above the limit by itself.
    A client that resets no more calls in that time than a connection may have notices nothing.
    """

    def __init__(self) -> None:
        self._held: set[asyncio.Future[None]] = set()
        self._stopping = False

    @property
    def number(self) -> int:
        """How many are held."""
        return len(self._held)

    async def hold(self, age: float) -> None:
        """Wait if a call that was reset at this age, in seconds, was reset at once."""
        if age >= AT_ONCE_SECONDS or self.number >= MAX_HELD or self._stopping:
            return
        freed = asyncio.get_running_loop().create_future()
        self._held.add(freed)
        try:
            await asyncio.wait((freed,), timeout=HOLD_SECONDS)
        finally:
            self._held.discard(freed)

    def stop(self) -> None:
        """Free all, and hold no more."""
        self._stopping = True
        for freed in self._held:
            freed.set_result(None)
