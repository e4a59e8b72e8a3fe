"""Watches orders: change hints arrive by the broker's pub/sub, the changes are read from the database.

A watched order is read once for all its watchers, and only after a hint. Hints may be lost: one query every two
seconds, for all watched orders together, finds orders that have changed.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from uuid import UUID

from redis import asyncio as aioredis
from redis.exceptions import RedisError

from services.common.domain.errors import ImageBlurError, Unavailable
from services.common.infra import log
from services.common.infra.messaging.broker import CHANGED, ENDED
from services.common.infra.tasks import end_task
from services.gateway.orders.reading.order_feed import OrderFeed
from services.gateway.orders.reading.order_reader import OrderChanges

POLL_SECONDS = 2.0
"""How late a change is noticed if its hint was lost."""
_RECONNECT_SECONDS = 1.0

_log = log.get(__name__)

ReadChanges = Callable[[UUID, int], Awaitable[OrderChanges]]
ReadRevisions = Callable[[Sequence[UUID]], Awaitable[Mapping[UUID, int]]]


class WatchHub:
    """All watched orders of a gateway.

    Args:
        broker_url: URL of the broker.
        changes: Reads an order and its changes after a revision.
        revisions: Reads the revisions of orders, of those that exist.
    """

    def __init__(self, broker_url: str, changes: ReadChanges, revisions: ReadRevisions) -> None:
        self._client = aioredis.Redis.from_url(broker_url, driver_info=None, socket_connect_timeout=5)
        self._changes = changes
        self._revisions = revisions
        self._feeds: dict[UUID, OrderFeed] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False

    def start(self) -> None:
        """Start to listen for hints and to poll."""
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._poll())]

    async def stop(self) -> None:
        """End all watches, and stop to listen."""
        self._stopping = True
        for feed in self._feeds.values():
            feed.end(_stopping)
        for task in self._tasks:
            await end_task(task)
        await self._client.aclose()

    async def watch(self, order_id: UUID, after_revision: int) -> AsyncGenerator[OrderChanges, None]:
        """Yield an order with its images that changed after a revision, then each change, without end.

        Raises:
            NotFound: The order does not exist, or was deleted.
            Unavailable: The server is stopping, or the database is unavailable at the start.
        """
        if self._stopping:
            raise _stopping()
        # Before the first read, so that a later change is hinted to the feed.
        feed = self._feeds.setdefault(order_id, OrderFeed(order_id, self._changes))
        feed.watchers += 1
        try:
            changes = await self._changes(order_id, after_revision)
            feed.start(changes.revision)
            while True:
                yield changes
                await feed.wait_newer(changes.revision)
                # A watcher that lags behind what the feed keeps reads for itself.
                changes = feed.since(changes.revision) or await self._changes(order_id, changes.revision)
        finally:
            feed.watchers -= 1
            if not feed.watchers:
                self._feeds.pop(order_id, None)
                feed.close()

    async def _listen(self) -> None:
        while True:
            try:
                async with self._client.pubsub(ignore_subscribe_messages=True) as pubsub:
                    await pubsub.subscribe(CHANGED, ENDED)
                    async for message in pubsub.listen():
                        self._hint(message["channel"] == ENDED.encode(), message["data"])
            except (RedisError, OSError) as error:
                _log.warning("change hints unavailable, polling only", error=str(error))
            except Exception:
                # Any error: without this task every change would wait for the next poll.
                _log.exception("change hints unavailable, polling only")
            await asyncio.sleep(_RECONNECT_SECONDS)

    def _hint(self, ended: bool, data: bytes) -> None:
        with contextlib.suppress(ValueError):  # a message of another sender
            if feed := self._feeds.get(UUID(bytes=data)):
                feed.hint(urgent=ended)

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                revisions = await self._revisions(asked := list(self._feeds))
            except ImageBlurError as error:
                _log.warning("watched orders not polled", error=str(error))
                continue
            except Exception:
                _log.exception("watched orders not polled")
                continue
            for order_id in asked:
                feed, revision = self._feeds.get(order_id), revisions.get(order_id)
                # A deleted order has no revision; a feed may have read a newer one meanwhile.
                if feed and feed.revision is not None and (revision is None or revision > feed.revision):
                    feed.hint(urgent=False)


def _stopping() -> Unavailable:
    return Unavailable("the server is stopping")
