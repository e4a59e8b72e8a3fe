"""Runs what blocks (database, blobs) in threads of a stated number, so that the event loop never waits."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from services.common.domain.errors import Unavailable

ANSWER_SECONDS = 10.0
"""A database that has not answered for so long does not answer: drivers notice that in minutes, if at all."""

P = ParamSpec("P")
R = TypeVar("R")


class Offload:
    """A pool of threads for blocking calls."""

    def __init__(self, threads: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="gateway")

    async def __call__(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """The result of a blocking function.

        Raises:
            Unavailable: It took too long. Nobody waits for it any more, but what it does may still be done.
        """
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self.to_its_end(function, *args, **kwargs)
        except TimeoutError:
            raise Unavailable("the database or the blob store does not answer") from None

    async def to_its_end(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """The result of a blocking function, however long it takes."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, partial(function, *args, **kwargs))

    async def iterate(self, items: Iterator[R]) -> AsyncIterator[R]:
        """The items of a blocking iterator."""
        end = object()
        while (item := await self(next, items, end)) is not end:
            yield item  # type: ignore[misc] # it is not the end

    def close(self) -> None:
        """Wait for calls under way and end the threads."""
        self._executor.shutdown()
