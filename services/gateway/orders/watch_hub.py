"""Tells watchers what has changed in their orders: hints come over the broker's pub/sub, the truth from the database.

An order is read once for all who watch it, and only when there is a hint. One statement every two seconds, for all
watched orders together, finds those whose hint was lost.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from uuid import UUID

from redis import asyncio as aioredis
from redis.exceptions import RedisError

from services.common.domain.errors import ImageBlurError, Unavailable
from services.common.infra import log
from services.common.infra.broker import CHANGED, ENDED
from services.gateway.orders.feed import Feed
from services.gateway.orders.use_cases import Changed

REPAIR_SECONDS = 2.0
"""How long a change may stay untold when its hint was lost."""
_RECONNECT_SECONDS = 1.0

_log = log.get(__name__)

ReadChanges = Callable[[UUID, int], Awaitable[Changed]]
ReadRevisions = Callable[[Sequence[UUID]], Awaitable[Mapping[UUID, int]]]


class Watching:
    """All watched orders of this gateway."""

    def __init__(self, broker_url: str, changes: ReadChanges, revisions: ReadRevisions) -> None:
        self._client = aioredis.Redis.from_url(broker_url, socket_connect_timeout=5)
        self._changes = changes
        self._revisions = revisions
        self._feeds: dict[UUID, Feed] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False

    def start(self) -> None:
        """Begin to listen."""
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._repair())]

    async def stop(self) -> None:
        """Send every watcher away and stop to listen."""
        self._stopping = True
        for feed in self._feeds.values():
            feed.end(_stopping)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.aclose()

    async def watch(self, order_id: UUID, after_revision: int) -> AsyncGenerator[Changed, None]:
        """An order as it stands, with its images that changed after a revision; then each change, for ever.

        Raises:
            NotFound: There is no such order, or it was deleted.
            Unavailable: The server is stopping, or the database cannot be reached at the start.
        """
        if self._stopping:
            raise _stopping()
        # Before the first look: what happens after it is hinted to the feed.
        feed = self._feeds.setdefault(order_id, Feed(order_id, self._changes))
        feed.watchers += 1
        try:
            changed = await self._changes(order_id, after_revision)
            feed.start(changed.revision)
            while True:
                yield changed
                await feed.wait_newer(changed.revision)
                # A watcher that has read too slowly for what the feed keeps looks for itself.
                changed = feed.since(changed.revision) or await self._changes(order_id, changed.revision)
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
                _log.warning("no hints of changes, they are looked for", error=str(error))
            except Exception:
                # Whatever it is: without this task every change would wait for the next look.
                _log.exception("no hints of changes, they are looked for")
            await asyncio.sleep(_RECONNECT_SECONDS)

    def _hint(self, ended: bool, data: bytes) -> None:
        with contextlib.suppress(ValueError):  # not one of ours
            if feed := self._feeds.get(UUID(bytes=data)):
                feed.hint(at_once=ended)

    async def _repair(self) -> None:
        while True:
            await asyncio.sleep(REPAIR_SECONDS)
            try:
                revisions = await self._revisions(list(self._feeds))
            except ImageBlurError as error:
                _log.warning("changes not looked for", error=str(error))
                continue
            except Exception:
                _log.exception("changes not looked for")
                continue
            for order_id, feed in self._feeds.items():
                # An order that is gone has no revision.
                if feed.revision is not None and revisions.get(order_id) != feed.revision:
                    feed.hint(at_once=False)


def _stopping() -> Unavailable:
    return Unavailable("the server is stopping")
