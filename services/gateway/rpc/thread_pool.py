"""Runs blocking functions (database, blob store) in a fixed number of threads, so that the event loop never blocks."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from services.common.domain.errors import Unavailable
from services.gateway.rpc.limits.call_turns import CURRENT_TURN

TIMEOUT_SECONDS = 10.0
"""A database that takes longer is treated as unavailable: drivers notice that after minutes, if at all."""

P = ParamSpec("P")
R = TypeVar("R")


class ThreadPool:
    """A pool of threads for blocking functions."""

    def __init__(self, threads: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="gateway")

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return the result of a blocking function.

        Raises:
            Unavailable: It took too long. Its thread continues, and may still succeed.
        """
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                return await self.run_to_end(function, *args, **kwargs)
        except TimeoutError:
            raise Unavailable("the database or the blob store does not respond") from None

    async def run_to_end(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return the result of a blocking function, without a timeout."""
        job = self._executor.submit(function, *args, **kwargs)
        try:
            return await asyncio.wrap_future(job)
        except asyncio.CancelledError:
            if not job.done() and (turn := CURRENT_TURN.get(None)):
                turn.keep_for(job)  # or a caller that cancels its calls could have all threads
            raise

    async def iterate(self, items: Iterator[R]) -> AsyncIterator[R]:
        """Yield the items of a blocking iterator."""
        end = object()
        while (item := await self.run(next, items, end)) is not end:
            yield item  # type: ignore[misc] # it is not the end

    def close(self) -> None:
        """Wait for running functions and end the threads."""
        self._executor.shutdown()
