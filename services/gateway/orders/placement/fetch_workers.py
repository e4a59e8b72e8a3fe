"""Whether some worker fetches sources: without one, an order that has any would never end."""

import time
from dataclasses import dataclass, field

from services.common.db.engine import Database
from services.common.db.queues import workers
from services.common.domain.errors import Unavailable
from services.common.infra.messaging.messages import FETCH_QUEUE
from services.gateway.rpc.thread_pool import ThreadPool

RECENT_SECONDS = 600
"""A worker counts for so long after its last heartbeat: it may be restarting."""
CACHED_SECONDS = 60.0


@dataclass(kw_only=True)
class FetchWorkers:
    """Checks it for orders with sources."""

    database: Database
    threads: ThreadPool
    _seen_at: float = field(default=float("-inf"), init=False)

    async def check(self) -> None:
        """Check that a worker serves the queue `fetch`.

        Raises:
            Unavailable: None does.
        """
        if time.monotonic() < self._seen_at + CACHED_SECONDS:
            return
        if not await self.threads.run(self._is_served):
            message = "no worker fetches sources: one needs the queue fetch in IMAGEBLUR_BLUR_WORKER_QUEUES"
            raise Unavailable(message)
        self._seen_at = time.monotonic()

    def _is_served(self) -> bool:
        with self.database.read() as session:
            return workers.is_served(session, FETCH_QUEUE, within_seconds=RECENT_SECONDS)
