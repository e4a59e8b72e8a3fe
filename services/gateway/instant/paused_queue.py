"""Whether an operator has paused the instant queue: then calls are refused at once instead of after a wait."""

import time
from dataclasses import dataclass, field

from services.common.db.engine import Database
from services.common.db.queues import workers
from services.common.domain.errors import Unavailable
from services.common.infra import log
from services.common.infra.messages import INSTANT_QUEUE
from services.gateway.rpc.thread_pool import ThreadPool

FRESH_SECONDS = 1.0
"""How long an answer of the database is used."""

_log = log.get(__name__)


@dataclass(kw_only=True)
class PausedQueue:
    """Asks the database, once a second at most."""

    database: Database
    threads: ThreadPool
    _paused: bool = field(default=False, init=False)
    _read_at: float = field(default=float("-inf"), init=False)

    async def check(self) -> None:
        """Raise if the queue is paused.

        Raises:
            Unavailable: It is.
        """
        if time.monotonic() > self._read_at + FRESH_SECONDS:
            try:
                self._paused = await self.threads.run(self._read)
            except Unavailable as error:
                # Instant calls need no database. Without it, workers stay as they were.
                _log.debug("pauses not read", error=str(error))
            self._read_at = time.monotonic()
        if self._paused:
            raise Unavailable("the queue of instant calls is paused")

    def _read(self) -> bool:
        with self.database.read() as session:
            return INSTANT_QUEUE in workers.list_paused(session)
