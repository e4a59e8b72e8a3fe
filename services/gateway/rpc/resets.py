"""Slows down clients that begin calls only to reset them (CVE-2023-44487, "HTTP/2 rapid reset")."""

import asyncio

AT_ONCE_SECONDS = 0.1
"""A call that is reset sooner was not begun for its answer."""
HOLD_SECONDS = 0.25
MAX_HELD = 2_000
"""Further ones are freed at once: each takes about 10 KiB."""


class HeldCalls:
    """Keeps calls that were reset at once for a moment before they are freed.

    gRPC counts them as calls of their connection until then, and refuses its further streams above the limit, which costs
    a tenth of accepting them. A client that resets no more calls in that time than a connection may have notices nothing.
    """

    def __init__(self) -> None:
        self.number = 0

    async def hold(self, age: float) -> None:
        """Wait if a call that was reset at this age, in seconds, was reset at once."""
        if age < AT_ONCE_SECONDS and self.number < MAX_HELD:
            self.number += 1
            try:
                await asyncio.sleep(HOLD_SECONDS)
            finally:
                self.number -= 1
