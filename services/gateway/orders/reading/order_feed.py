"""The changes of one watched order, read once for all its watchers."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from uuid import UUID

from services.common.domain.errors import NotFound, Unavailable
from services.common.infra import log
from services.gateway.orders.reading.order_reader import OrderChanges

SETTLE_SECONDS = 0.02
"""Delay before a change is read, to combine it with those that follow. The end of an order or e-mail skips it."""
GAP_SECONDS = 0.08
"""Delay after a read: with SETTLE_SECONDS at most ten reads a second."""
KEPT_CHANGES = 16
"""Number of reads that a slow watcher may lag behind."""

_log = log.get(__name__)


class OrderFeed:
    """The changes of one order, from its first watcher to its last."""

    def __init__(self, order_id: UUID, read: Callable[[UUID, int], Awaitable[OrderChanges]]) -> None:
        self.watchers = 0
        self.revision: int | None = None
        """Revision of the last read; None before the first."""
        self._order_id = order_id
        self._read = read
        self._kept: deque[tuple[int, OrderChanges]] = deque(maxlen=KEPT_CHANGES)  # each with its base revision
        self._hinted = asyncio.Event()
        self._urgent = asyncio.Event()
        self._changed = asyncio.Event()
        self._end: Callable[[], Exception] | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self, revision: int) -> None:
        """Follow the order from the revision that the first watcher has; later calls have no effect."""
        if self._task is None:
            self.revision = revision
            self._task = asyncio.create_task(self._follow(revision))

    def hint(self, *, urgent: bool) -> None:
        """Read the order soon, or at once if urgent: it may have changed."""
        self._hinted.set()
        if urgent:
            self._urgent.set()

    def end(self, error: Callable[[], Exception]) -> None:
        """End all watches, each with an error of its own: a shared one would collect their tracebacks."""
        self._end = error
        self._notify()

    def close(self) -> None:
        """Stop following the order."""
        if self._task:
            self._task.cancel()

    async def wait_newer(self, revision: int) -> None:
        """Wait until the order has changed after a revision.

        Raises:
            NotFound: The order was deleted.
            Unavailable: The server is stopping.
        """
        while True:
            changed = self._changed
            if self._end:
                raise self._end()
            if self.revision is not None and self.revision > revision:
                return
            await changed.wait()

    def since(self, revision: int) -> OrderChanges | None:
        """Return the order and all changes after a revision; None if they are no longer kept."""
        missed = [(base, changes) for base, changes in self._kept if changes.revision > revision]
        if not missed or missed[0][0] > revision:
            return None
        images = {image.id: image for _, changes in missed for image in changes.images if image.revision > revision}
        return OrderChanges(missed[-1][1].snapshot, sorted(images.values(), key=lambda image: image.position))

    async def _follow(self, revision: int) -> None:
        while True:
            await self._hinted.wait()
            await self._wait_urgent(SETTLE_SECONDS)
            self._hinted.clear()
            self._urgent.clear()
            try:
                changes = await self._read(self._order_id, revision)
            except NotFound:
                self.end(lambda: NotFound("order", str(self._order_id)))
                return
            except Unavailable as error:
                _log.warning("watched order not read", error=str(error))
            except Exception:
                _log.exception("watched order not read")
            else:
                if changes.revision > revision:
                    self._kept.append((revision, changes))
                    self.revision = revision = changes.revision
                    self._notify()
            await self._wait_urgent(GAP_SECONDS)

    async def _wait_urgent(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._urgent.wait()

    def _notify(self) -> None:
        # Waiting watchers hold a reference to the old event.
        self._changed.set()
        self._changed = asyncio.Event()
