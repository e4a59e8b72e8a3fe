"""Ends asyncio tasks for certain."""

import asyncio

_PATIENCE_SECONDS = 1.0


async def end_task(task: asyncio.Task[None]) -> None:
    """Cancel a task until it has ended; its error is dropped.

    A library may lose a cancellation that arrives while it handles a timeout; the task would go on for ever.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_PATIENCE_SECONDS)
    await asyncio.gather(task, return_exceptions=True)
