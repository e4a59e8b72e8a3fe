"""The calls that are under way, and their end when the gateway stops."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from services.common.domain.errors import Unavailable


class UnderWay:
    """All calls of a gateway; for the event loop only."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()
        self._stopping = False
        self._cut_short: set[asyncio.Task[object]] = set()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Counts the call of the current task until the block ends.

        Raises:
            Unavailable: The gateway is stopping, or the time that it gave this call when it began to stop is over.
        """
        if self._stopping:
            raise _stopping()
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if task not in self._cut_short or task.uncancel():  # the client has cancelled it, too
                raise
            raise _stopping() from None
        finally:
            self._tasks.discard(task)
            self._cut_short.discard(task)

    async def stop(self, grace_seconds: float) -> None:
        """Let no call begin any more, and cut those short that have not ended after so long."""
        self._stopping = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_seconds)
        for task in self._tasks:
            self._cut_short.add(task)
            task.cancel()


def _stopping() -> Unavailable:
    return Unavailable("the server is stopping")
