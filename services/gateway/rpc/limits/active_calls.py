"""The active calls, and how they end when the gateway stops."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from services.common.domain.errors import Unavailable

QUIET_SECONDS = 0.01


class ActiveCalls:
    """All active calls of a gateway; for use on the event loop only."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()
        self._stopping = False
        self._cancelled: set[asyncio.Task[object]] = set()
        self._begun = 0

    @contextmanager
    def track(self) -> Iterator[None]:
        """Track the call of the current task until the block ends.

        Raises:
            Unavailable: The gateway is stopping, or was stopping and the grace period ended during the call.
        """
        self._begun += 1
        if self._stopping:
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

    async def settle(self, longest_seconds: float) -> None:
        """Return once no call has begun for a moment, at most after this time."""
        loop = asyncio.get_running_loop()
        end = loop.time() + longest_seconds
        quiet = 0
        # Twice: the loop may have had no processor time for the first, and begins what has come meanwhile afterwards.
        while quiet < 2:
            begun = self._begun
            await asyncio.sleep(QUIET_SECONDS)
            quiet = quiet + 1 if self._begun == begun else 0
            if not quiet and loop.time() >= end:
                return

    async def stop(self, grace_seconds: float) -> None:
        """Refuse new calls, wait for active ones, and cancel those that remain after the grace period."""
        self._stopping = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_seconds)
        for task in self._tasks:
            self._cancelled.add(task)
            task.cancel()


def _stopping() -> Unavailable:
    return Unavailable("the server is stopping")
