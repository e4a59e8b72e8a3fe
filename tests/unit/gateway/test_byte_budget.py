"""A budget of bytes: never more than it has, in turn, and nothing lost on the way."""

import asyncio
import contextlib

import pytest

from services.common.domain.api_keys import Role
from services.common.domain.errors import ResourceExhausted
from services.gateway.rpc.callers import CURRENT_CALL, Caller, CurrentCall
from services.gateway.rpc.limits import byte_budget
from services.gateway.rpc.limits.admission import CallLimit
from services.gateway.rpc.limits.byte_budget import ByteBudget
from tests.support.event_loop import settle


async def hold(limit: ByteBudget, size: int, until: asyncio.Event, order: list[int] | None = None) -> None:
    async with limit.reserve(size):
        if order is not None:
            order.append(size)
        await until.wait()


def test_room_is_handed_out_in_turn() -> None:
    async def run() -> None:
        limit, first, others, order = ByteBudget(10), asyncio.Event(), asyncio.Event(), list[int]()
        async with asyncio.TaskGroup() as group:
            group.create_task(hold(limit, 8, first))
            await settle()
            for size in (7, 1, 2):  # 1 would fit now, but 7 came before
                group.create_task(hold(limit, size, others, order))
                await settle()
            assert (limit.reserved, order) == (8, [])
            first.set()
            await settle()
            assert (limit.reserved, order) == (10, [7, 1, 2])
            others.set()
        assert limit.reserved == 0

    asyncio.run(run())


def test_what_a_message_does_not_need_is_given_back() -> None:
    async def run() -> None:
        limit = ByteBudget(10)
        async with limit.reserve(9) as reservation:
            reservation.shrink(4)
            async with limit.reserve(6):
                assert limit.reserved == 10
            reservation.shrink(5)
            assert limit.reserved == 4
        assert limit.reserved == 0

    asyncio.run(run())


def test_a_call_without_room_is_sent_away_and_those_behind_it_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(byte_budget, "WAIT_SECONDS", 0.05)

    async def run() -> None:
        limit, done = ByteBudget(10), asyncio.Event()
        async with limit.reserve(5):
            large = asyncio.create_task(hold(limit, 6, done))
            await settle()
            monkeypatch.setattr(byte_budget, "WAIT_SECONDS", 10)
            small = asyncio.create_task(hold(limit, 5, done))
            with pytest.raises(ResourceExhausted) as caught:
                await large
            assert (caught.value.reason, caught.value.retry_seconds) == ("BYTES_IN_FLIGHT", 2)
            await settle()
            assert limit.reserved == 10
            done.set()
            await small
        assert limit.reserved == 0

    asyncio.run(run())


def test_a_turn_may_come_to_a_call_that_has_just_been_cancelled() -> None:
    async def run() -> None:
        limit, done = ByteBudget(10), asyncio.Event()
        async with limit.reserve(10):
            first, second = (asyncio.create_task(hold(limit, 10, done)) for _ in range(2))
            await settle()
            first.cancel()
        await settle()
        assert first.cancelled()
        done.set()
        await second
        assert limit.reserved == 0

    asyncio.run(run())


def test_a_call_cancelled_when_its_turn_has_come_gives_it_back() -> None:
    async def run() -> None:
        limit, done = ByteBudget(10), asyncio.Event()
        async with limit.reserve(10):
            task = asyncio.create_task(hold(limit, 10, done))
            await settle()
        assert limit.reserved == 10  # given, though the task does not know yet
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert limit.reserved == 0

    asyncio.run(run())


def test_a_reservation_grows_in_turn_and_gives_all_back() -> None:
    async def run() -> None:
        limit = ByteBudget(10)
        async with limit.reserve(6) as reservation:
            reservation.shrink(0)
            await reservation.grow(9)
            assert limit.reserved == 9
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01), limit.reserve(2):
                    pytest.fail("there is no room")
        assert limit.reserved == 0

    asyncio.run(run())


def as_caller(name: str) -> None:
    CURRENT_CALL.set(CurrentCall(Caller(Role.CLIENT), f"ipv4:{name}:1", "Status"))


def test_a_caller_leaves_others_their_share() -> None:
    async def run() -> None:
        limit, done = ByteBudget(10, caller_share=6), asyncio.Event()

        async def held_by(caller: str, size: int) -> None:
            as_caller(caller)
            await hold(limit, size, done)

        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(held_by("greedy", 3))
            await settle()
            assert limit.reserved == 6
            group.create_task(held_by("ann", 4))
            await settle()
            assert limit.reserved == 10, "it waited behind the greedy one"
            done.set()
        assert limit.reserved == 0

    asyncio.run(run())


def test_callers_wait_in_turn() -> None:
    async def run() -> None:
        limit, first, order = ByteBudget(1), asyncio.Event(), list[str]()

        async def held_by(caller: str) -> None:
            as_caller(caller)
            async with limit.reserve(1):
                order.append(caller)
                await first.wait()

        async with asyncio.TaskGroup() as group:
            for caller in ("greedy", "greedy", "greedy", "ann"):
                group.create_task(held_by(caller))
                await settle()
            first.set()
        assert order == ["greedy", "greedy", "ann", "greedy"]

    asyncio.run(run())


def test_a_caller_leaves_others_a_quarter_of_the_calls() -> None:
    calls = CallLimit("calls", 4)
    as_caller("greedy")
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(calls.slot())
        with pytest.raises(ResourceExhausted, match="the caller has reached its limit of 3 concurrent calls"):
            stack.enter_context(calls.slot())
        as_caller("ann")
        stack.enter_context(calls.slot())
        with pytest.raises(ResourceExhausted, match="the server has reached its limit of 4 concurrent calls"):
            stack.enter_context(calls.slot())
    assert calls.running == 0
