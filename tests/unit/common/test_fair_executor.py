"""One thread for several callers: each has its turn."""

import asyncio
import contextlib
import sys
import threading

import pytest

from services.common.infra.fair_executor import SWITCH_SECONDS, FairExecutor
from tests.support.event_loop import settle


def test_a_caller_with_much_work_does_not_delay_others() -> None:
    done: list[str] = []
    go = threading.Event()

    async def run() -> None:
        thread = FairExecutor("test")
        running = asyncio.create_task(thread.run("greedy", go.wait))
        await settle()
        tasks = [asyncio.create_task(thread.run("greedy", done.append, f"greedy {n}")) for n in range(3)]
        await settle()
        tasks += [asyncio.create_task(thread.run(name, done.append, name)) for name in ("ann", "bob")]
        await settle()
        go.set()
        await asyncio.gather(running, *tasks)
        thread.close()

    asyncio.run(run())
    assert done == ["greedy 0", "ann", "bob", "greedy 1", "greedy 2"]


def test_cancelled_calls_give_up_their_turn() -> None:
    done: list[str] = []
    go = threading.Event()

    async def run() -> None:
        thread = FairExecutor("test")
        running = asyncio.create_task(thread.run("a", go.wait))
        await settle()
        waiting = asyncio.create_task(thread.run("b", done.append, "cancelled"))
        following = asyncio.create_task(thread.run("c", done.append, "c"))
        await settle()
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        go.set()
        await asyncio.wait_for(asyncio.gather(running, following), 10)
        # Idle again.
        await asyncio.wait_for(thread.run("d", done.append, "d"), 10)
        thread.close()

    asyncio.run(run())
    assert done == ["c", "d"]


def test_the_event_loop_waits_for_the_interpreter_only_briefly_while_a_function_runs() -> None:
    usual = sys.getswitchinterval()

    async def run() -> None:
        thread = FairExecutor("test")
        assert await thread.run("a", sys.getswitchinterval) == pytest.approx(SWITCH_SECONDS)
        with pytest.raises(ZeroDivisionError):
            await thread.run("a", lambda: 1 // 0)
        thread.close()

    asyncio.run(run())
    assert sys.getswitchinterval() == usual
