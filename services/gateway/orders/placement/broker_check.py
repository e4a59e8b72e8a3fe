"""Checks that the broker is available, and counts orders for the rate limit, before an order is received."""

import asyncio
import contextlib
from collections.abc import Iterator

from redis import asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from services.common.domain.errors import Unavailable
from services.gateway.rpc import callers
from services.gateway.rpc.limits.rate_limits import Rate, RateLimits

TIMEOUT_SECONDS = 1.5
DAY_SECONDS = 86_400


class BrokerCheck:
    """Checks the broker on a connection of its own, which fails faster than a caller would give up.

    Args:
        broker_url: URL of the broker.
        max_orders_per_minute: Rate limit of each caller; 0: none.
        max_unconfirmed_per_hour: Rate limit of each caller's e-mails to addresses that have not confirmed; 0: none.
    """

    def __init__(self, broker_url: str, max_orders_per_minute: int, max_unconfirmed_per_hour: int = 0) -> None:
        self._client = aioredis.Redis.from_url(
            broker_url,
            driver_info=None,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 1, supported_errors=(aioredis.ConnectionError,)),
        )
        self.limits = RateLimits(self._client)
        self._rate = Rate("orders", max_orders_per_minute, 60)
        self._unconfirmed = Rate("e-mails to addresses that have not confirmed", max_unconfirmed_per_hour, 3600)
        self._ping: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()

    async def ping(self) -> None:
        """Check that the broker is available; concurrent calls share one check.

        Raises:
            Unavailable: It does not respond in time.
        """
        if self._ping is None or self._ping.done():
            self._ping = asyncio.create_task(self._ping_once())
        await asyncio.shield(self._ping)

    def check_rate(self, rate_limit_key: str) -> None:
        """Raise if the caller is known to be over the rate limit, without asking the broker.

        Raises:
            ResourceExhausted: The caller must wait.
        """
        for rate, caller in self._rates(rate_limit_key):
            self.limits.check(rate, caller)

    async def count_order(self, rate_limit_key: str, *, images: int = 0, ping: bool = True) -> None:
        """Count an order of the caller; without a rate limit, only check that the broker is available.

        Args:
            rate_limit_key: The caller.
            images: Number of the order's images, for keys with a limit of images.
            ping: False: without a rate limit, check nothing.

        Raises:
            ResourceExhausted: The caller is over a rate limit.
            FailedPrecondition: The order has more images than the key may order in a day.
            Unavailable: The broker does not respond in time.
        """
        rates, per_day = self._rates(rate_limit_key), callers.limits().images_per_day
        if not rates and not (per_day and images):
            if ping:
                await self.ping()
            return
        with _as_unavailable():
            async with asyncio.timeout(TIMEOUT_SECONDS):
                for rate, caller in rates:
                    await self.limits.count(rate, caller)
                if per_day and images:
                    await self.limits.count(Rate("images", per_day, DAY_SECONDS), callers.principal(), images)

    def _rates(self, rate_limit_key: str) -> list[tuple[Rate, str]]:
        """Return the rates of orders that count for the current caller, each with who is counted.

        A limit of the key's own replaces the general one. Visitors of the pages share it; the general one is for each.
        """
        own, rates = callers.limits().orders_per_minute, []
        if own:
            rates.append((Rate("orders", own, 60), callers.principal()))
        if self._rate.count and rate_limit_key and not (own and rate_limit_key == callers.principal()):
            rates.append((self._rate, rate_limit_key))
        return rates

    async def count_unconfirmed(self, rate_limit_key: str) -> None:
        """Count a request of the caller to e-mail results to an address that has not confirmed.

        Raises:
            ResourceExhausted: The caller is over the rate limit.
            Unavailable: The broker does not respond in time.
        """
        self.limits.check(self._unconfirmed, rate_limit_key)
        with _as_unavailable():
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await self.limits.count(self._unconfirmed, rate_limit_key)

    async def _ping_once(self) -> None:
        with _as_unavailable():
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await self._client.ping()


@contextlib.contextmanager
def _as_unavailable() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:  # includes TimeoutError
        raise Unavailable("the broker cannot be reached") from error
