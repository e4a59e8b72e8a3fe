"""Rate limits over all processes: the generic cell rate algorithm (GCRA), computed by the broker.

Each key stores one number: the time at which its bucket is full again. By the clock of the broker, since those of the
processes need not agree.
"""

from dataclasses import dataclass

import redis
from redis import asyncio as aioredis

_PREFIX = "imageblur:rate:"
# Returns the microseconds to wait; 0: taken.
_TAKE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local interval, tolerance, permits, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local full = math.max(now, tonumber(redis.call('GET', KEYS[1]) or now))
if full > now + most + interval then -- the clock was set back
  full = now + most + interval
  redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
end
local wait = full + (permits - 1) * interval - now - tolerance
if wait > 0 then return math.ceil(wait) end
full = full + permits * interval
redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
return 0
"""


@dataclass(frozen=True, kw_only=True)
class Spacing:
    """How events are spaced, in seconds: `interval` on average, up to `tolerance` ahead of that."""

    interval: float
    tolerance: float = 0.0
    most_tolerance: float | None = None
    """The largest of all who share the key, if they have different ones."""

    def arguments(self, permits: int = 1) -> list[float]:
        """Return the script's arguments, times in microseconds."""
        most = self.tolerance if self.most_tolerance is None else self.most_tolerance
        return [self.interval * 1_000_000, self.tolerance * 1_000_000, permits, most * 1_000_000]


class RateLimiter:
    """Takes permits in threads."""

    def __init__(self, client: redis.Redis) -> None:
        self._script = client.register_script(_TAKE)

    def take(self, key: str, spacing: Spacing) -> float:
        """Take a permit; return 0, or, if there is none, the seconds after which to try again.

        Raises:
            RedisError: The broker cannot be reached.
        """
        return int(self._script(keys=[_PREFIX + key], args=spacing.arguments())) / 1_000_000


class AsyncRateLimiter:
    """Takes permits in an event loop."""

    def __init__(self, client: aioredis.Redis) -> None:
        self._script = client.register_script(_TAKE)

    async def take(self, key: str, spacing: Spacing, permits: int = 1) -> float:
        """As `RateLimiter.take`, but so many permits at once, all or none.

        Raises:
            RedisError: The broker cannot be reached.
        """
        return int(await self._script(keys=[_PREFIX + key], args=spacing.arguments(permits))) / 1_000_000
