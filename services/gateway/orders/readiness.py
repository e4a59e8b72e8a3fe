"""Whether an order can be taken in now: asked before its bytes are, so that nothing of it has to be removed again."""

import asyncio
import contextlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from redis import asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from sqlalchemy.orm import Session

from services.common.db.engine import Database
from services.common.db.orders import idempotency
from services.common.db.queues import backlog
from services.common.domain.errors import Busy, Unavailable
from services.common.infra.blobs import BlobStore
from services.gateway.rpc.rate_limits import Rate, RateLimits
from services.gateway.rpc.thread_pool import Offload
from services.gateway.settings import MIB, GatewaySettings

BROKER_SECONDS = 1.5
CHECK_SECONDS = 3.0
QUEUE_RETRY_SECONDS = 30.0
"""A queue that is full for one order is so for a while."""


@dataclass(frozen=True)
class Asked:
    """An order that somebody wants to place: how many images, and what makes a repeat of it the same one."""

    count: int
    principal: str
    method: str
    request_id: UUID | None
    counted_as: str = ""
    """Whose rate it counts to; empty: nobody's."""


class Readiness:
    """Looks at what an order needs: broker, database, room in the queue, blob store, room on the disk."""

    def __init__(self, settings: GatewaySettings, database: Database, blobs: BlobStore, offload: Offload) -> None:
        self._settings = settings
        self._database = database
        self._blobs = blobs
        self._offload = offload
        self._folders: Sequence[Path] = [folder for folder in (blobs.folder, database.folder) if folder]
        # A client of its own: one that waits for a broker longer than a caller would wait for us is of no use here.
        self._client = aioredis.Redis.from_url(
            settings.broker_url,
            socket_timeout=BROKER_SECONDS,
            socket_connect_timeout=BROKER_SECONDS,
            retry=Retry(NoBackoff(), 1, supported_errors=(aioredis.ConnectionError,)),
        )
        self.limits = RateLimits(self._client)
        self._rate = Rate("orders", settings.max_orders_per_minute, 60)
        self._ping: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Close the connection to the broker."""
        await self._client.aclose()

    async def broker(self) -> None:
        """Reach the broker.

        Raises:
            Unavailable: It does not answer, or not in time.
        """
        # One question at a time, however many ask.
        if self._ping is None or self._ping.done():
            self._ping = asyncio.create_task(self._reach_broker())
        await asyncio.shield(self._ping)

    async def order(self, asked: Asked, begin: Callable[[Session], None] | None) -> None:
        """See whether an order can be taken in, and `begin` it in the transaction that looks.

        Raises:
            Unavailable: Something that it needs is away, or the disk is almost full.
            Busy: The queue is full, or the caller places more orders than they may.
        """
        self.limits.check(self._rate, asked.counted_as)
        # At once; and to the end both, so that whoever cleans up after one of them finds what the other has begun.
        outcomes = await asyncio.gather(self._count(asked), self._look_in_time(asked, begin), return_exceptions=True)
        for outcome in outcomes:
            if outcome is not None:
                raise outcome

    def disks(self) -> None:
        """See whether there is room on the disks.

        Raises:
            Unavailable: One is almost full.
        """
        least = self._settings.min_free_mb * MIB
        for folder in self._folders:
            with contextlib.suppress(FileNotFoundError):  # whether it is there is asked elsewhere
                if shutil.disk_usage(folder).free < least:
                    raise Unavailable("the server's disk is almost full")

    def queue(self, session: Session, count: int) -> None:
        """See whether so many more images may wait than are waiting already.

        Raises:
            Busy: They would be too many.
        """
        limit, waiting = self._settings.max_queued_images, backlog.count_open_images(session)
        if waiting + count > limit:
            message = (
                f"the queue is full: it takes {limit:,} images, and with the order there would be {waiting + count:,}"
            )
            raise Busy("QUEUE_FULL", "queued images", message, retry_seconds=QUEUE_RETRY_SECONDS)

    async def _count(self, asked: Asked) -> None:
        if not self._rate.count or not asked.counted_as:
            await self.broker()
            return
        with _reaching_broker():
            async with asyncio.timeout(BROKER_SECONDS):
                await self.limits.count(self._rate, asked.counted_as)

    async def _look_in_time(self, asked: Asked, begin: Callable[[Session], None] | None) -> None:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await self._offload(self._look, asked, begin)
        except TimeoutError:
            raise Unavailable("the database or the blob store does not answer") from None

    def _look(self, asked: Asked, begin: Callable[[Session], None] | None) -> None:
        self._blobs.ping()
        self.disks()
        with self._database.write() if begin else self._database.read() as session:
            # A repeat of an order that was accepted adds nothing to the queue.
            if not (
                asked.request_id and idempotency.was_answered(session, asked.principal, asked.method, asked.request_id)
            ):
                self.queue(session, asked.count)
            if begin:
                begin(session)

    async def _reach_broker(self) -> None:
        with _reaching_broker():
            async with asyncio.timeout(BROKER_SECONDS):
                await self._client.ping()


@contextlib.contextmanager
def _reaching_broker() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:  # a TimeoutError is an OSError
        raise Unavailable("the broker cannot be reached") from error
