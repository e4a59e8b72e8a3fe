"""Tasks end, whatever a library does with a cancellation."""

import asyncio
import contextlib

import pytest

from services.common.infra import tasks


def test_a_task_that_loses_a_cancellation_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_PATIENCE_SECONDS", 0.01)
    lost = 0

    async def lose_two() -> None:
        nonlocal lost
        while lost < 2:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)
            lost += 1
        await asyncio.sleep(60)

    async def run() -> None:
        task = asyncio.create_task(lose_two())
        await asyncio.sleep(0)
        await tasks.end_task(task)
        assert task.cancelled()

    asyncio.run(run())
    assert lost == 2
