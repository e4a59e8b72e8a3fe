"""Calls of a caller that makes many wait for calls of others, never the other way round."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any

import pytest
from prometheus_client import REGISTRY

from services.common.domain.api_keys import Role
from services.common.domain.errors import ResourceExhausted
from services.gateway.rpc.callers import CURRENT_CALL, Caller, CurrentCall
from services.gateway.rpc.limits import call_turns
from services.gateway.rpc.limits.call_turns import AT_ONCE, CURRENT_TURN, CallTurns, Turn
from services.gateway.rpc.thread_pool import ThreadPool

LIMIT = 8
OF_CALLER = 6


def take(turns: CallTurns, host: str, *, probe: bool = False) -> asyncio.Task[Turn]:
    async def run() -> Turn:
        CURRENT_CALL.set(CurrentCall(Caller(Role.CLIENT), f"ipv4:{host}:1", "Status"))
        return await turns.take(probe=probe)

    return asyncio.create_task(run())


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 60))


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def flood(turns: CallTurns, count: int) -> tuple[list[Turn], list[asyncio.Task[Turn]]]:
    """Take all turns that a caller can have; return them, and its calls that wait."""
    held = await asyncio.gather(*(take(turns, "192.0.2.1") for _ in range(OF_CALLER)))
    waiting = [take(turns, "192.0.2.1") for _ in range(count - OF_CALLER)]
    await settle()
    assert not any(call.done() for call in waiting)
    return held, waiting


def test_a_caller_leaves_others_a_quarter_and_they_start_at_once() -> None:
    async def test() -> None:
        turns = CallTurns(LIMIT)
        _, waiting = await flood(turns, 100)
        others = [take(turns, f"192.0.2.{host}") for host in (2, 3)]
        await settle()
        assert all(call.done() for call in others)
        assert not any(call.done() for call in waiting)

    run(test())


def test_callers_take_turns() -> None:
    async def test() -> None:
        turns, order = CallTurns(LIMIT), list[str]()
        held, waiting = await flood(turns, OF_CALLER + 3)
        others = [take(turns, "192.0.2.2") for _ in range(2)]
        later = [take(turns, "192.0.2.3") for _ in range(2)]
        for call in waiting:
            call.add_done_callback(lambda _: order.append("a"))
        for call in later:
            call.add_done_callback(lambda _: order.append("c"))
        await asyncio.gather(*others)
        for turn in held[:4]:
            turn.end()
            await asyncio.sleep(2 * call_turns.TICK_SECONDS)
        await asyncio.gather(*waiting[:2], *later)
        assert order == ["a", "c", "a", "c"]

    run(test())


def test_a_paused_turn_is_for_other_callers_and_is_resumed_without_waiting() -> None:
    async def test() -> None:
        turns = CallTurns(LIMIT)
        held, waiting = await flood(turns, OF_CALLER + 1)
        await asyncio.gather(*(take(turns, "192.0.2.2") for _ in range(AT_ONCE)))
        other = take(turns, "192.0.2.3")
        await settle()
        assert not other.done()
        held[0].pause()
        await other
        held[0].resume()
        assert turns.active == LIMIT + 1
        assert not waiting[0].done(), "a caller had more than it may"

    run(test())


def test_a_call_whose_turn_does_not_come_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        turns = CallTurns(LIMIT)
        await flood(turns, OF_CALLER)
        monkeypatch.setattr(call_turns, "WAIT_SECONDS", 0.0)
        with pytest.raises(ResourceExhausted, match="as many calls as it can") as caught:
            await take(turns, "192.0.2.1")
        assert caught.value.retry_seconds

    run(test())


def test_no_more_calls_wait_than_can_be_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_turns, "MAX_WAITING_OF_CALLER", 10)
    monkeypatch.setattr(call_turns, "MAX_WAITING", 15)

    async def test() -> None:
        turns = CallTurns(LIMIT)
        await flood(turns, OF_CALLER + 10)
        with pytest.raises(ResourceExhausted, match="waiting"):
            await take(turns, "192.0.2.1")
        await asyncio.gather(*(take(turns, "192.0.2.2") for _ in range(AT_ONCE)))
        others = [take(turns, "192.0.2.3") for _ in range(5)]
        await settle()
        with pytest.raises(ResourceExhausted, match="waiting"):
            await take(turns, "192.0.2.4")
        # Those that are cancelled wait no more.
        others[0].cancel()
        await settle()
        fifth = take(turns, "192.0.2.4")
        await settle()
        assert not fifth.done()

    run(test())


def test_cancelled_calls_leave_their_turn_to_others() -> None:
    async def test() -> None:
        turns = CallTurns(LIMIT)
        held, waiting = await flood(turns, OF_CALLER + 2)
        waiting[0].cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting[0]
        held[0].end()
        await waiting[1]

    run(test())


def test_a_probe_starts_although_all_turns_are_taken() -> None:
    async def test() -> None:
        turns = CallTurns(LIMIT)
        await flood(turns, OF_CALLER)
        await asyncio.gather(*(take(turns, "192.0.2.2") for _ in range(AT_ONCE)))
        probe, other = take(turns, "192.0.2.3", probe=True), take(turns, "192.0.2.4")
        await settle()
        assert (probe.done(), other.done()) == (True, False)

    run(test())


def test_who_comes_later_does_not_overtake_callers_that_wait() -> None:
    async def test() -> None:
        turns = CallTurns(LIMIT)
        held, _ = await flood(turns, OF_CALLER)
        await asyncio.gather(*(take(turns, "192.0.2.2") for _ in range(AT_ONCE)))
        waits = take(turns, "192.0.2.3")
        await asyncio.sleep(5 * call_turns.TICK_SECONDS)
        held[0].end()
        later = take(turns, "192.0.2.4")
        await settle()
        assert not later.done()
        await waits
        held[1].end()
        await later

    run(test())


def test_a_turn_lasts_as_long_as_the_thread_that_works_for_its_call() -> None:
    async def test() -> None:
        turns, threads, done = CallTurns(LIMIT), ThreadPool(1), threading.Event()

        async def call() -> None:
            CURRENT_CALL.set(CurrentCall(Caller(Role.CLIENT), "ipv4:192.0.2.1:1", "Status"))
            turn = await turns.take()
            CURRENT_TURN.set(turn)
            try:
                await threads.run(done.wait)
            finally:
                turn.end()

        cancelled = asyncio.create_task(call())
        await settle()
        cancelled.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await cancelled
        assert turns.active == 1
        done.set()
        threads.close()
        await settle()
        assert not turns.active
        assert not turns.started

    run(test())


def test_calls_that_wait_too_long_are_refused_while_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_turns, "WAIT_SECONDS", 0.05)

    async def test() -> None:
        turns = CallTurns(LIMIT)
        _, waiting = await flood(turns, OF_CALLER + 100)
        refused = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(each, ResourceExhausted) for each in refused)
        await take(turns, "192.0.2.2")

    run(test())


def test_few_are_refused_at_a_time_and_none_while_others_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_turns, "ACCEPT_SECONDS", 60.0)
    monkeypatch.setattr(call_turns, "REFUSE_SECONDS", 0.0)

    async def test() -> None:
        turns = CallTurns(LIMIT)
        _, waiting = await flood(turns, OF_CALLER + 100)
        monkeypatch.setattr(call_turns, "TICK_SECONDS", 60.0)
        await asyncio.sleep(0.01)  # the last tick that is not this test's
        for queue in turns._waiting.values():
            queue.update(dict.fromkeys(queue, 0.0))
        others = []
        for _ in range(20):
            others.append(take(turns, "192.0.2.1"))
            await settle()
            turns._tick()
        await settle()
        assert not any(call.done() for call in waiting)
        turns._tick()
        await settle()
        assert [isinstance(call.exception(), ResourceExhausted) for call in waiting if call.done()] == [
            True
        ] * call_turns.MAX_REFUSED
        for call in (*waiting, *others):
            call.cancel()

    run(test())


def test_calls_that_wait_and_that_are_refused_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def value(name: str) -> float:
        return REGISTRY.get_sample_value(name) or 0.0

    async def test() -> None:
        turns, refused = CallTurns(LIMIT), value("imageblur_calls_refused_total")
        _, waiting = await flood(turns, OF_CALLER + 10)
        turns._tick()
        assert value("imageblur_calls_waiting") == 10
        monkeypatch.setattr(call_turns, "MAX_WAITING_OF_CALLER", 10)
        with pytest.raises(ResourceExhausted):
            await take(turns, "192.0.2.1")
        assert value("imageblur_calls_refused_total") == refused + 1
        for call in waiting:
            call.cancel()
        await settle()
        turns._tick()
        assert not value("imageblur_calls_waiting")

    run(test())
