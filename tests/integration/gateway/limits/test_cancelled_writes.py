"""A blob whose writer is cancelled: what is under way ends before the clean-up begins."""

import asyncio
import contextlib
import threading
from typing import Any

import obstore
import pytest

from services.common.infra.blobs import BlobStore
from services.common.infra.blobs import writer as module


def test_a_cancelled_writer_waits_for_the_request_that_nobody_can_stop(
    blobs: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    class Slow:
        """As obstore on a slow disk: its thread goes on, whatever becomes of who waits for it."""

        def __getattr__(self, name: str) -> Any:
            return getattr(obstore, name)

        def put_async(self, *arguments: Any) -> Any:
            def put() -> None:
                begun.set()
                go_on.wait()
                obstore.put(*arguments)

            return asyncio.get_running_loop().run_in_executor(None, put)

    monkeypatch.setattr(module, "obstore", Slow())

    async def upload() -> None:
        try:
            async with blobs.writer("orders/1/image") as writer:
                await writer.write(b"x")
        finally:
            blobs.delete_prefix("orders/1/")

    async def cancelled() -> None:
        task = asyncio.create_task(upload())
        await asyncio.to_thread(begun.wait)
        task.cancel()
        asyncio.get_running_loop().call_later(0.05, go_on.set)
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    folder = blobs.local_path("orders")
    assert folder
    assert not list(folder.rglob("image"))
