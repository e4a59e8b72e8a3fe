"""Whether an operator has paused the instant queue: then calls are refused at once instead of after a wait."""

import asyncio
import time
from dataclasses import dataclass, field

from services.common.db.engine import Database
from services.common.db.queues import workers
from services.common.domain.errors import Unavailable
from services.common.infra import log
from services.common.infra.messaging.messages import INSTANT_QUEUE
from services.gateway.rpc.thread_pool import ThreadPool

FRESH_SECONDS = 1.0
"""How long an answer of the database is used without asking again."""
OLD_SECONDS = 5.0
"""How long it is used at all."""

_log = log.get(__name__)


@dataclass(kw_only=True)
class QueuePause:
    """Asks the database, once a second at most."""

    database: Database
    threads: ThreadPool
    _paused: bool = field(default=False, init=False)
    _read_at: float | None = field(default=None, init=False)
    _reading: asyncio.Task[None] | None = field(default=None, init=False)

    async def check(self) -> None:
        """Raise if the queue is paused, as of a second ago.

        Raises:
            Unavailable: It is.
        """
        if self._read_at is None or time.monotonic() > self._read_at + FRESH_SECONDS:
            if self._reading is None or self._reading.done():
                self._reading = asyncio.create_task(self._refresh())
            # A call waits for the answer only if the last one is old.
            if self._read_at is None or time.monotonic() > self._read_at + OLD_SECONDS:
                await asyncio.shield(self._reading)
        if self._paused:
            raise Unavailable("the queue of instant calls is paused")

    async def _refresh(self) -> None:
        try:
            self._paused = await self.threads.run(self._read)
        except Unavailable as error:
            # Instant calls need no database. Without it, workers stay as they were.
            _log.debug("pauses not read", error=str(error))
        self._read_at = time.monotonic()

    def _read(self) -> bool:
        with self.database.read() as session:
            return INSTANT_QUEUE in workers.list_paused(session)
