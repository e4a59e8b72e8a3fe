"""Offers the images of an upload to workers while it goes on: many in one round trip, as they come."""

import asyncio
import contextlib
import time
from uuid import UUID

import redis

from services.common.domain.early_work import EarlyTask
from services.common.domain.orders import ImageQueue
from services.common.infra import log
from services.common.infra.early_work import MOST_MESSAGES, EarlyWork
from services.gateway.rpc.thread_pool import ThreadPool

MESSAGE_SECONDS = 0.1
"""While tasks wait, one more worker is asked so often; when there were none, at once."""
PAUSE_SECONDS = 0.02
"""Between two round trips: images that arrive meanwhile are offered together."""

_log = log.get(__name__)


class EarlyOffers:
    """The offers of one upload. An upload never fails for them: without the broker they end."""

    def __init__(self, early: EarlyWork, threads: ThreadPool, upload_id: UUID) -> None:
        self._early, self._threads, self._id = early, threads, upload_id
        self._waiting: list[tuple[ImageQueue, EarlyTask]] = []
        self._sending: asyncio.Task[None] | None = None
        self._asked_at = float("-inf")
        self._broken = False
        self._ended = asyncio.Event()
        self.made = False
        """Whether a worker may know of the upload."""

    def add(self, queue: ImageQueue, task: EarlyTask) -> None:
        """Offer an image whose original is stored, with others of this moment."""
        if self._broken:
            return
        self.made = True
        self._waiting.append((queue, task))
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send())

    async def end(self) -> bool:
        """Wait for offers that are being made; return whether there were any, and the broker took all."""
        self._waiting = []
        self._ended.set()
        if self._sending:
            await asyncio.wait([self._sending])
        return self.made and not self._broken

    async def _send(self) -> None:
        while self._waiting and not self._broken:
            tasks, self._waiting = self._waiting, []
            await self._threads.run_to_end(self.send, tasks)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PAUSE_SECONDS):
                    await self._ended.wait()

    def send(self, tasks: list[tuple[ImageQueue, EarlyTask]]) -> None:
        """Offer images now; blocking."""
        try:
            waiting, messages = self._early.offer(self._id, tasks)
            # Else workers had not come to the end of the tasks: those that there are, or images of orders come first.
            if waiting <= len(tasks) or time.monotonic() > self._asked_at + MESSAGE_SECONDS:
                if messages < MOST_MESSAGES:
                    self._early.send_message(self._id)
                self._asked_at = time.monotonic()
        except redis.RedisError as error:
            self._broken = True
            _log.warning("no early work on this upload", order=str(self._id), error=str(error))
