"""Both ends of direct calls, over a real socket: without a broker, gateways and child processes."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.blur_worker.instant.direct_listener import CONNECTIONS_PER_CALL, DirectCall, DirectListener
from services.common.domain.instant import InstantAnswer, InstantKind, InstantRefusal, InstantRequest
from services.common.domain.spec import BlurSpec, Format
from services.common.infra.instant.direct_calls import DIRECT_BYTES, Direct
from services.gateway.instant import direct_workers
from services.gateway.instant.direct_workers import DirectWorkers

REQUEST = InstantRequest(kind=InstantKind.BLUR, spec=BlurSpec(), max_result_bytes=1, data=b"image" * 100_000)
ANSWER = InstantAnswer(width=2, height=1, format=Format.PNG)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine, too, a worker takes a call in time."""
    monkeypatch.setattr(direct_workers, "TAKE_SECONDS", 30.0)


@contextmanager
def listening(folder: Path, answer: Callable[[DirectCall], None], calls: int = 1) -> Iterator[Direct]:
    listener = DirectListener(folder, calls)
    listener.start(answer)
    assert listener.direct
    try:
        yield listener.direct
    finally:
        listener.refuse_more()
        listener.join()
        assert not list(folder.iterdir())


async def accept(_size: int) -> None:
    """Reserve room for a large result."""


def refuse(_call: DirectCall) -> None:
    """A worker that is not to be called."""
    pytest.fail("a call came")


async def call_once(direct: Direct) -> object:
    workers = DirectWorkers()
    workers.learn(direct)
    try:
        return await workers.call(REQUEST, accept)
    finally:
        workers.close()


def test_a_large_result_waits_until_there_is_room_for_it(tmp_path: Path) -> None:
    result = b"r" * (3 * DIRECT_BYTES)
    reserved: list[int] = []

    def answer(call: DirectCall) -> None:
        assert call.request == REQUEST
        call.begin()
        assert call.finish(ANSWER, result)

    async def reserve(size: int) -> None:
        await asyncio.sleep(0.1)
        reserved.append(size)

    async def call() -> None:
        workers = DirectWorkers()
        workers.learn(direct)
        for _ in range(2):
            assert await workers.call(REQUEST, reserve) == (ANSWER, result)
        workers.close()

    with listening(tmp_path, answer) as direct:
        asyncio.run(call())
    assert reserved == [len(result)] * 2


def test_a_busy_worker_leaves_a_call_and_answers_the_next(tmp_path: Path) -> None:
    busy = [True, False]

    def answer(call: DirectCall) -> None:
        if busy.pop(0):
            call.leave()
        else:
            call.begin()
            call.finish(InstantRefusal(reason=None, message="no"), b"")

    async def call() -> None:
        workers = DirectWorkers()
        workers.learn(direct)
        assert await workers.call(REQUEST, accept) is None
        assert await workers.call(REQUEST, accept) == (InstantRefusal(reason=None, message="no"), b"")
        workers.close()

    with listening(tmp_path, answer) as direct:
        asyncio.run(call())


def test_a_worker_gets_no_more_calls_at_a_time_than_it_answers(tmp_path: Path) -> None:
    resume = threading.Event()

    def answer(call: DirectCall) -> None:
        call.begin()
        assert resume.wait(60)
        call.finish(ANSWER, b"")

    async def call() -> None:
        workers = DirectWorkers()
        workers.learn(direct)
        first = asyncio.create_task(workers.call(REQUEST, accept))
        await asyncio.sleep(0.05)
        assert await workers.call(REQUEST, accept) is None
        resume.set()
        assert await first == (ANSWER, b"")
        workers.close()

    with listening(tmp_path, answer) as direct:
        asyncio.run(call())


def test_a_worker_that_stands_still_loses_the_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct_workers, "TAKE_SECONDS", 0.2)
    resume = threading.Event()

    def answer(call: DirectCall) -> None:
        assert resume.wait(60)
        call.leave()

    with listening(tmp_path, answer) as direct:
        assert asyncio.run(call_once(direct)) is None
        resume.set()


def test_a_caller_that_goes_away_is_noticed(tmp_path: Path) -> None:
    begun, resume, noticed = threading.Event(), threading.Event(), threading.Event()

    def answer(call: DirectCall) -> None:
        call.begin()
        begun.set()
        assert resume.wait(60)
        if not call.finish(ANSWER, b"r" * (3 * DIRECT_BYTES)):
            noticed.set()

    async def call() -> None:
        task = asyncio.create_task(call_once(direct))
        await asyncio.to_thread(begun.wait, 60)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()

    with listening(tmp_path, answer) as direct:
        asyncio.run(call())
        resume.set()
        assert noticed.wait(60)


def test_connections_beyond_the_limit_are_closed(tmp_path: Path) -> None:
    with listening(tmp_path, refuse) as direct:
        sockets = []
        for _ in range(CONNECTIONS_PER_CALL + 1):
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.connect(direct.path)
            sockets.append(connection)
        sockets[-1].settimeout(60)
        assert sockets[-1].recv(1) == b""
        for connection in sockets:
            connection.close()


def test_a_path_that_is_too_long_or_of_another_machine_leaves_the_broker(tmp_path: Path) -> None:
    listener = DirectListener(tmp_path / ("long" * 40), 1)
    listener.start(refuse)
    assert listener.direct is None
    listener.refuse_more()
    listener.join()
    assert asyncio.run(call_once(Direct(path=str(tmp_path / "instant"), calls=1))) is None


def test_only_a_socket_of_this_user_is_a_worker_of_this_machine(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    workers = DirectWorkers()
    for path in (file, file / "below", tmp_path / "missing"):
        workers.learn(Direct(path=str(path), calls=1))
    assert workers._workers == {}
