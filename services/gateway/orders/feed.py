"""What has changed in one order, read once for all who watch it."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from uuid import UUID

from services.common.domain.errors import NotFound, Unavailable
from services.common.infra import log
from services.gateway.orders.use_cases import Changed

SETTLE_SECONDS = 0.02
"""So long a change waits for what may follow it in a moment; the end of an order, an e-mail or a life does not."""
GAP_SECONDS = 0.08
"""And so long the next one waits after it: together at most ten readings a second."""
KEPT_CHANGES = 16
"""How many readings a slow watcher may be behind."""

_log = log.get(__name__)


class Feed:
    """The changes of one order from the moment at which it was first watched."""

    def __init__(self, order_id: UUID, read: Callable[[UUID, int], Awaitable[Changed]]) -> None:
        self.watchers = 0
        self.revision: int | None = None
        """Of the newest reading; None before the first."""
        self._order_id = order_id
        self._read = read
        self._kept: deque[tuple[int, Changed]] = deque(maxlen=KEPT_CHANGES)  # each with the revision that it follows
        self._hinted = asyncio.Event()
        self._urgent = asyncio.Event()
        self._newer = asyncio.Event()
        self._end: Callable[[], Exception] | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self, revision: int) -> None:
        """The first watcher has seen a revision: follow the order from there."""
        if self._task is None:
            self.revision = revision
            self._task = asyncio.create_task(self._follow(revision))

    def hint(self, *, at_once: bool) -> None:
        """Something may have changed."""
        self._hinted.set()
        if at_once:
            self._urgent.set()

    def end(self, error: Callable[[], Exception]) -> None:
        """Send the watchers away, each with an error of its own: one for all would collect all their tracebacks."""
        self._end = error
        self._wake()

    def close(self) -> None:
        """Nobody watches any more."""
        if self._task:
            self._task.cancel()

    async def wait_newer(self, revision: int) -> None:
        """Wait until the order is beyond a revision. Raises: NotFound, Unavailable."""
        while True:
            newer = self._newer
            if self._end:
                raise self._end()
            if self.revision is not None and self.revision > revision:
                return
            await newer.wait()

    def since(self, revision: int) -> Changed | None:
        """The order now, with all that changed after a revision; None if that is no longer known."""
        behind = [(follows, changed) for follows, changed in self._kept if changed.revision > revision]
        if not behind or behind[0][0] > revision:
            return None
        images = {image.id: image for _, changed in behind for image in changed.images if image.revision > revision}
        return Changed(behind[-1][1].snapshot, sorted(images.values(), key=lambda image: image.position))

    async def _follow(self, revision: int) -> None:
        while True:
            await self._hinted.wait()
            await self._urgent_within(SETTLE_SECONDS)
            self._hinted.clear()
            self._urgent.clear()
            try:
                changed = await self._read(self._order_id, revision)
            except NotFound:
                self.end(lambda: NotFound("order", str(self._order_id)))
                return
            except Unavailable as error:
                _log.warning("a watched order was not read", error=str(error))
            except Exception:
                _log.exception("a watched order was not read")
            else:
                if changed.revision > revision:
                    self._kept.append((revision, changed))
                    self.revision = revision = changed.revision
                    self._wake()
            await self._urgent_within(GAP_SECONDS)

    async def _urgent_within(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._urgent.wait()

    def _wake(self) -> None:
        # Whoever waits has the old event in hand.
        self._newer.set()
        self._newer = asyncio.Event()
