"""The active calls, and how they end when the gateway stops."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

from services.common.domain.errors import Unavailable

QUIET_SECONDS = 0.05
"""Without a new call for so long, none waits to be begun."""
MAX_REFUSING_SECONDS = 2.0
"""How long callers that never pause are refused before the server stops."""


class ActiveCalls:
    """All active calls of a gateway; for use on the event loop only."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()
        self._stopping = False
        self._refused = 0
        self._cancelled: set[asyncio.Task[object]] = set()

    @contextmanager
    def track(self) -> Iterator[None]:
        """Track the call of the current task until the block ends.

        Raises:
            Unavailable: The gateway is stopping, or was stopping and the grace period ended during the call.
        """
        if self._stopping:
            self._refused += 1
            raise _stopping()
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if task not in self._cancelled or task.uncancel():  # the client has cancelled it, too
                raise
            raise _stopping() from None
        finally:
            self._tasks.discard(task)
            self._cancelled.discard(task)

    async def refuse(self) -> None:
        """Refuse new calls from now on; return when those that had arrived before are begun, thus refused, too."""
        self._stopping = True
        deadline = time.monotonic() + MAX_REFUSING_SECONDS
        known = -1
        while self._refused > known and time.monotonic() < deadline:
            known = self._refused
            await asyncio.sleep(QUIET_SECONDS)

    async def stop(self, grace_seconds: float) -> None:
        """Wait for active calls, and cancel those that remain after the grace period; `refuse` comes first."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_seconds)
        for task in self._tasks:
            self._cancelled.add(task)
            task.cancel()


def _stopping() -> Unavailable:
    return Unavailable("the server is stopping")
