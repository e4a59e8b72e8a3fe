"""How often a caller may do something: counted in the broker, so that it is right over all gateways.

A token bucket for each caller and rate, kept as one number: the time at which it will be full again ("GCRA", from ATM
networks). Whoever is over is told when to come again, and until then this gateway sends them away by itself.
"""

import time
from dataclasses import dataclass

from redis import asyncio as aioredis

from services.common.domain.errors import Busy

_PREFIX = "imageblur:rate:"
_MOST_REFUSED = 10_000
"""Callers remembered as being over."""

# Of the broker's clock: gateways' need not agree. Answers the microseconds after which to come again, 0: go on.
_TAKE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local each, size = tonumber(ARGV[1]), tonumber(ARGV[2])
local full = math.max(now, tonumber(redis.call('GET', KEYS[1]) or now)) + each
local early = full - size * each - now
if early > 0 then return early end
redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
return 0
"""


@dataclass(frozen=True)
class Rate:
    """So many in so many seconds, at once or spread over them; 0: as many as they like."""

    name: str
    count: int
    seconds: float


class RateLimits:
    """Counts what callers do; for the event loop only."""

    def __init__(self, client: aioredis.Redis) -> None:
        self._take = client.register_script(_TAKE)
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
        each = round(rate.seconds * 1_000_000 / rate.count)
        early = int(await self._take(keys=[f"{_PREFIX}{rate.name}:{who}"], args=[each, rate.count]))
        if early:
            if len(self._refused) >= _MOST_REFUSED:
                self._refused.clear()
            self._refused[rate.name, who] = time.monotonic() + early / 1_000_000
            raise _over(rate, early / 1_000_000)


def _over(rate: Rate, seconds: float) -> Busy:
    message = f"more than {rate.count} {rate.name} in {rate.seconds:g} seconds: slow down"
    # Never 0, which would be no pause at all.
    return Busy("RATE_LIMIT_EXCEEDED", rate.name, message, retry_seconds=max(0.001, seconds))
