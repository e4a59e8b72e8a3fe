"""Clients that begin calls only to reset them have them freed later; others notice nothing."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from services.gateway.rpc.limits import resets
from services.gateway.rpc.limits.resets import AT_ONCE_SECONDS, HeldCalls


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 60))


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_call_that_is_reset_at_once_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resets, "HOLD_SECONDS", 0.05)

    async def test() -> None:
        held = HeldCalls()
        call = asyncio.create_task(held.hold(0.0))
        await settle()
        assert (call.done(), held.number) == (False, 1)
        await call
        assert not held.number

    run(test())


def test_a_call_that_is_cancelled_later_is_freed_at_once() -> None:
    async def test() -> None:
        call = asyncio.create_task(HeldCalls().hold(AT_ONCE_SECONDS))
        await settle()
        assert call.done()

    run(test())


def test_no_more_calls_are_held_than_there_is_memory_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resets, "MAX_HELD", 2)

    async def test() -> None:
        held = HeldCalls()
        calls = [asyncio.create_task(held.hold(0.0)) for _ in range(5)]
        await settle()
        assert [call.done() for call in calls] == [False, False, True, True, True]
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        assert not held.number

    run(test())


def test_a_server_that_stops_frees_all_and_holds_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resets, "HOLD_SECONDS", 3_600.0)

    async def test() -> None:
        held = HeldCalls()
        calls = [asyncio.create_task(held.hold(0.0)) for _ in range(2)]
        await settle()
        held.stop()
        await asyncio.gather(*calls)
        await held.hold(0.0)

    run(test())
