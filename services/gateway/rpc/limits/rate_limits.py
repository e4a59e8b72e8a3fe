"""Rate limits of callers, counted in the broker over all gateways.

A caller that exceeds a rate gets the time after which to retry, and until then this gateway refuses without asking the
broker.
"""

import time
from dataclasses import dataclass

from redis import asyncio as aioredis

from services.common.domain.errors import FailedPrecondition, ResourceExhausted
from services.common.infra.rate_limiter import AsyncRateLimiter, Spacing

_MAX_REFUSED = 10_000
"""Number of refused callers remembered."""


@dataclass(frozen=True)
class Rate:
    """At most `count` in so many seconds, at once or spread over them; 0: no limit."""

    name: str
    count: int
    seconds: float


class RateLimits:
    """Counts calls; for use on the event loop only."""

    def __init__(self, client: aioredis.Redis) -> None:
        self._limiter = AsyncRateLimiter(client)
        self._refused: dict[tuple[str, str], float] = {}

    def check(self, rate: Rate, caller: str) -> None:
        """Raise if the caller was refused and has to wait, without asking the broker.

        Raises:
            ResourceExhausted: The caller has to wait.
        """
        until = self._refused.get((rate.name, caller))
        if until is None:
            return
        remaining = until - time.monotonic()
        if remaining > 0:
            raise _exceeded(rate, remaining)
        del self._refused[rate.name, caller]

    async def count(self, rate: Rate, caller: str, number: int = 1) -> None:
        """Count a call of the caller, or so many of something at once.

        Raises:
            ResourceExhausted: The rate is exceeded.
            FailedPrecondition: It is more than the rate allows in all.
            RedisError: The broker is unavailable.
        """
        if not rate.count or not caller:
            return
        if number > rate.count:
            message = f"{number:,} {rate.name} are more than the limit of {rate.count:,} in {rate.seconds:g} seconds"
            raise FailedPrecondition("RATE_LIMIT_EXCEEDED", rate.name, message)
        interval = rate.seconds / rate.count
        spacing = Spacing(interval=interval, tolerance=interval * (rate.count - 1))
        wait = await self._limiter.take(f"{rate.name}:{caller}", spacing, number)
        if wait:
            if number > 1:  # fewer may be allowed
                raise _exceeded(rate, wait)
            if len(self._refused) >= _MAX_REFUSED:
                self._refused.clear()
            self._refused[rate.name, caller] = time.monotonic() + wait
            raise _exceeded(rate, wait)


def _exceeded(rate: Rate, seconds: float) -> ResourceExhausted:
    message = f"the limit of {rate.count} {rate.name} in {rate.seconds:g} seconds is exceeded"
    # Never 0, which would mean to retry immediately.
    return ResourceExhausted("RATE_LIMIT_EXCEEDED", rate.name, message, retry_seconds=max(0.001, seconds))
