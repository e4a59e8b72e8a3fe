"""How often a caller may do something: counted in the broker, so that it is right over all gateways.

A caller who exceeds a rate gets the time after which to retry, and until then this gateway refuses without asking the
broker.
"""

import time
from dataclasses import dataclass

from redis import asyncio as aioredis

from services.common.domain.errors import Busy
from services.common.infra.rate_limiter import AsyncRateLimiter, Spacing

_MOST_REFUSED = 10_000
"""Callers remembered as being over."""


@dataclass(frozen=True)
class Rate:
    """So many in so many seconds, at once or spread over them; 0: as many as they like."""

    name: str
    count: int
    seconds: float


class RateLimits:
    """Counts what callers do; for the event loop only."""

    def __init__(self, client: aioredis.Redis) -> None:
        self._limiter = AsyncRateLimiter(client)
        self._refused: dict[tuple[str, str], float] = {}

    def check(self, rate: Rate, who: str) -> None:
        """See, without asking the broker, whether a caller was told to come later than now.

        Raises:
            Busy: So it is; says when.
        """
        until = self._refused.get((rate.name, who))
        if until is None:
            return
        left = until - time.monotonic()
        if left > 0:
            raise _over(rate, left)
        del self._refused[rate.name, who]

    async def count(self, rate: Rate, who: str) -> None:
        """Count one more of a caller's.

        Raises:
            Busy: It is more than the rate; says when to come again.
            RedisError: The broker cannot be reached.
        """
        if not rate.count or not who:
            return
        interval = rate.seconds / rate.count
        spacing = Spacing(interval=interval, tolerance=interval * (rate.count - 1))
        wait = await self._limiter.take(f"{rate.name}:{who}", spacing)
        if wait:
            if len(self._refused) >= _MOST_REFUSED:
                self._refused.clear()
            self._refused[rate.name, who] = time.monotonic() + wait
            raise _over(rate, wait)


def _over(rate: Rate, seconds: float) -> Busy:
    message = f"more than {rate.count} {rate.name} in {rate.seconds:g} seconds: slow down"
    # Never 0, which would be no pause at all.
    return Busy("RATE_LIMIT_EXCEEDED", rate.name, message, retry_seconds=max(0.001, seconds))
