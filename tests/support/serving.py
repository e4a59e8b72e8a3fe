"""Serve in a thread with an event loop of its own, as servers do in a process."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager


@contextmanager
def served(server: AbstractAsyncContextManager[int]) -> Iterator[int]:
    """Serve until the block ends; yield the port. What keeps the server from starting is raised here."""
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    port = 0
    failure: Exception | None = None

    async def run() -> None:
        nonlocal port, failure
        try:
            async with server as port:
                ready.set()
                await stop.wait()
        except Exception as error:
            if ready.is_set():
                raise
            failure = error
            ready.set()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    assert ready.wait(60)
    try:
        if failure:
            raise failure
        yield port
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(60)
        assert not thread.is_alive(), f"it does not stop: {[task.get_stack() for task in asyncio.all_tasks(loop)]}"
        loop.close()
