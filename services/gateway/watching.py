"""Tells watchers of orders that something has changed: hints over the broker's pub/sub, the truth from the database."""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from uuid import UUID

from redis import asyncio as aioredis
from redis.exceptions import RedisError

from services.common import log
from services.common.broker import CHANGES
from services.common.errors import Unavailable

REPAIR_SECONDS = 2.0
"""A watcher looks by itself after so long, in case that a hint was lost."""
MESSAGES_PER_SECOND = 7.0
"""As many messages go to a watcher in the long run; with a burst, no more than ten in any second."""
BURST = 3.0
"""So many may go at once: queued, running and done of a small order are told as they happen."""
_RECONNECT_SECONDS = 1.0

_log = log.get(__name__)


class Changes:
    """The hints, for whoever watches."""

    def __init__(self, broker_url: str) -> None:
        self._client = aioredis.Redis.from_url(broker_url, socket_connect_timeout=5)
        self._waiting: defaultdict[UUID, set[asyncio.Event]] = defaultdict(set)
        self._listener: asyncio.Task[None] | None = None
        self._stopping = False

    async def start(self) -> None:
        """Begin to listen."""
        self._listener = asyncio.create_task(self._listen())

    async def stop(self) -> None:
        """Send every watcher away and stop to listen."""
        self._stopping = True
        for events in self._waiting.values():
            for event in events:
                event.set()
        if self._listener:
            self._listener.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listener
        await self._client.aclose()

    async def moments(self, order_id: UUID) -> AsyncIterator[None]:
        """The moments to look at an order: at once, then after each change; changes in quick succession as one.

        Raises:
            Unavailable: The server is stopping.
        """
        event = asyncio.Event()
        self._waiting[order_id].add(event)
        allowance, counted_at = BURST, time.monotonic()
        try:
            while not self._stopping:
                event.clear()
                yield
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(REPAIR_SECONDS):
                        await event.wait()
                time_now = time.monotonic()
                allowance = min(BURST, allowance + (time_now - counted_at) * MESSAGES_PER_SECOND) - 1
                counted_at = time_now
                if allowance < 0:
                    await asyncio.sleep(-allowance / MESSAGES_PER_SECOND)
            raise Unavailable("the server is stopping")
        finally:
            self._waiting[order_id].discard(event)
            if not self._waiting[order_id]:
                del self._waiting[order_id]

    async def _listen(self) -> None:
        while True:
            try:
                async with self._client.pubsub(ignore_subscribe_messages=True) as pubsub:
                    await pubsub.subscribe(CHANGES)
                    async for message in pubsub.listen():
                        for event in self._waiting.get(UUID(message["data"].decode()), ()):
                            event.set()
            except (RedisError, OSError) as error:
                _log.warning("no hints of changes, watchers look by themselves", error=str(error))
                await asyncio.sleep(_RECONNECT_SECONDS)
