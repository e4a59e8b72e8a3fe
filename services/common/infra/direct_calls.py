"""Instant calls between a gateway and a worker of the same machine: over a Unix socket instead of the broker.

A worker reports with each answer over the broker where it listens (`Direct`). Then a gateway of the same machine
sends its calls there, one at a time over each connection:

    gateway                                   worker
    size, the request                ──────►
                                     ◄──────  TAKEN; or BUSY: the call goes into the queue
                                              works
                                     ◄──────  sizes, the outcome, the result

The end of a connection is the end of the other side: of a caller that is gone, or of a worker that was killed.
"""

import asyncio
import contextlib
import os
import socket
import stat
import struct
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.common.domain.instant import InstantOutcome, InstantRequest, outcome_from_json, outcome_to_json
from services.common.infra import log

TAKE_SECONDS = 1.0
"""How long a gateway waits until a worker takes or refuses a call."""
STALL_SECONDS = 30.0
"""How long a worker waits for the other half of a request, and for a gateway to read a result."""
RETRY_SECONDS = 0.1
"""How long a worker without free descriptors waits before it accepts a connection."""
CONNECTIONS_PER_CALL = 8
"""Connections that a worker accepts, for each call that it answers at a time: several gateways may share it."""
DIRECT_BYTES = 1 << 20
"""A gateway receives larger results when it has reserved room for them."""

_SOCKET_BYTES = 1 << 20
_MAX_REQUEST = 1 << 30
_TAKEN, _BUSY = b"T", b"B"
_SIZE, _SIZES = struct.Struct(">Q"), struct.Struct(">II")

_log = log.get(__name__)


class CallerGone(Exception):
    """The gateway of a call is gone, or no longer waits for it."""


@dataclass(frozen=True, kw_only=True)
class Direct:
    """Where a worker takes calls directly, and how many at a time."""

    path: str
    calls: int


class DirectListener:
    """A worker's side: a thread for each connection.

    Args:
        folder: One that only this user can open.
        calls: How many calls the worker answers at a time.
    """

    def __init__(self, folder: Path, calls: int) -> None:
        self._path = folder / "instant"
        self._calls = calls
        self._places = threading.BoundedSemaphore(CONNECTIONS_PER_CALL * calls)
        self._connections: set[_WorkerConnection] = set()
        self._socket: socket.socket | None = None

    @property
    def direct(self) -> Direct | None:
        """Where gateways of this machine can send calls; None: nowhere."""
        return Direct(path=str(self._path), calls=self._calls) if self._socket else None

    def start(self, answer: "Callable[[DirectCall], None]") -> None:
        """Listen; where that is not possible, all calls go over the broker."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(self._path))
            listener.listen()
        except OSError as error:
            _log.warning("instant calls go over the broker only", error=str(error))
            listener.close()
            return
        self._socket = listener
        threading.Thread(target=self._accept, args=(listener, answer), name="direct calls", daemon=True).start()

    def refuse_more(self) -> None:
        """Take no more calls."""
        listener, self._socket = self._socket, None
        if listener:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes the thread; to close would not
            listener.close()
            self._path.unlink(missing_ok=True)
        for connection in tuple(self._connections):
            connection.refuse_more()

    def join(self) -> None:
        """Wait until the calls that were taken are answered."""
        for connection in tuple(self._connections):
            connection.thread.join()

    def _accept(self, listener: socket.socket, answer: "Callable[[DirectCall], None]") -> None:
        while self._listening():
            try:
                accepted, _ = listener.accept()
            except OSError as error:
                if self._listening():  # no descriptor is free
                    _log.warning("direct calls have to wait", error=str(error))
                    time.sleep(RETRY_SECONDS)
                continue
            if not self._places.acquire(blocking=False):
                accepted.close()
                continue
            connection = _WorkerConnection(accepted, answer, self._closed)
            self._connections.add(connection)
            try:
                connection.thread.start()
            except RuntimeError as error:  # no thread is free
                _log.warning("a direct call goes over the broker", error=str(error))
                accepted.close()
                self._closed(connection)
                continue
            if not self._listening():
                connection.refuse_more()

    def _listening(self) -> bool:
        return self._socket is not None

    def _closed(self, connection: "_WorkerConnection") -> None:
        self._connections.discard(connection)
        self._places.release()


class DirectCall:
    """A worker's side of one call. `begin` raises CallerGone."""

    def __init__(self, connection: socket.socket, request: InstantRequest) -> None:
        self.request = request
        self._socket = connection
        self._begun = False

    def begin(self) -> None:
        """Report that the call is worked on."""
        if not self._begun:
            self._begun = True
            try:
                self._socket.sendall(_TAKEN)
            except OSError as error:
                raise CallerGone(str(error)) from None

    def finish(self, outcome: InstantOutcome, result: bytes) -> bool:
        """Hand over an outcome and the bytes of a result; False if the caller is gone."""
        head = outcome_to_json(outcome)
        try:
            self._socket.sendall(b"".join((_SIZES.pack(len(head), len(result)), head, result)))
        except OSError:
            return False
        return True

    def leave(self) -> None:
        """Leave the call to the queue."""
        if self._begun:
            raise CallerGone("the call was taken and could not be answered")  # ends the connection
        with contextlib.suppress(OSError):
            self._socket.sendall(_BUSY)


class _WorkerConnection:
    def __init__(
        self,
        accepted: socket.socket,
        answer: Callable[[DirectCall], None],
        closed: "Callable[[_WorkerConnection], None]",
    ) -> None:
        self._socket = accepted
        self._answer = answer
        self._closed = closed
        self.thread = threading.Thread(target=self._run, name="direct call", daemon=True)

    def refuse_more(self) -> None:
        """Read no more; what was read is answered."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RD)

    def _run(self) -> None:
        with self._socket:
            try:
                _enlarge_buffers(self._socket)
                while request := self._receive():
                    self._answer(DirectCall(self._socket, InstantRequest.decode(request)))
                    del request  # or it would be in memory until the next one
            except (OSError, CallerGone) as error:
                _log.debug("direct connection ended", error=str(error))
            except Exception:
                _log.exception("direct call left to its gateway")
        self._closed(self)

    def _receive(self) -> bytes:
        """Return a request; nothing at the end."""
        self._socket.settimeout(None)
        head = self._socket.recv(_SIZE.size, socket.MSG_WAITALL)
        if len(head) < _SIZE.size:
            return b""
        (size,) = _SIZE.unpack(head)
        if size > _MAX_REQUEST:
            raise OSError("the request is too large")
        self._socket.settimeout(STALL_SECONDS)
        data = memoryview(bytearray(size))
        received = 0
        while received < size:
            if not (count := self._socket.recv_into(data[received:])):
                return b""
            received += count
        return bytes(data)


@dataclass(kw_only=True)
class _Worker:
    """What a gateway knows of a worker of this machine."""

    direct: Direct
    idle: "list[_GatewayConnection]" = field(default_factory=list)
    used: int = 0


class DirectWorkers:
    """A gateway's side, in an event loop."""

    def __init__(self) -> None:
        self._workers: dict[str, _Worker] = {}

    def learn(self, direct: Direct) -> None:
        """Send calls to a worker from now on, if it is on this machine."""
        if direct.path not in self._workers and _is_own_socket(direct.path):
            self._workers[direct.path] = _Worker(direct=direct)

    def close(self) -> None:
        """Close all connections."""
        for worker in self._workers.values():
            for connection in worker.idle:
                connection.close()
        self._workers.clear()

    async def call(
        self, request: InstantRequest, reserve: Callable[[int], Awaitable[None]]
    ) -> tuple[InstantOutcome, bytes] | None:
        """Have an idle worker of this machine answer a call.

        Args:
            request: The call.
            reserve: Awaited with the size of a large result before it is received.

        Returns:
            The outcome and the bytes of the result. None if there is no idle worker, or the one that took the call has
            ended.
        """
        for worker in tuple(self._workers.values()):
            if worker.used >= worker.direct.calls:
                continue
            worker.used += 1
            connection, taken = None, False
            try:
                connection = worker.idle.pop() if worker.idle else await _GatewayConnection.open(worker.direct.path)
                if not await connection.send(request):
                    self._keep(worker, connection)
                    continue
                taken = True
                answer = await connection.receive(reserve)
            except (OSError, EOFError) as error:  # includes TimeoutError
                _log.debug("no direct call", error=str(error))
                _close(connection)
                self._forget(worker)
                if taken:
                    return None  # an image that ends workers is not to end all of them
            except BaseException:
                # The worker notices it when it is done.
                _close(connection)
                raise
            else:
                self._keep(worker, connection)
                return answer
            finally:
                worker.used -= 1
        return None

    def _keep(self, worker: _Worker, connection: "_GatewayConnection") -> None:
        if self._workers.get(worker.direct.path) is worker:
            worker.idle.append(connection)
        else:
            connection.close()

    def _forget(self, worker: _Worker) -> None:
        """Until it answers over the broker again."""
        for connection in worker.idle:
            connection.close()
        worker.idle.clear()
        self._workers.pop(worker.direct.path, None)


class _GatewayConnection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, path: str) -> "_GatewayConnection":
        async with asyncio.timeout(TAKE_SECONDS):
            reader, writer = await asyncio.open_unix_connection(path, limit=DIRECT_BYTES)
        _enlarge_buffers(writer.get_extra_info("socket"))
        return cls(reader, writer)

    async def send(self, request: InstantRequest) -> bool:
        """Send a request; return whether it was taken."""
        encoded = request.encode()
        async with asyncio.timeout(TAKE_SECONDS):
            self._writer.writelines((_SIZE.pack(len(encoded)), encoded))
            return await self._reader.readexactly(1) == _TAKEN

    async def receive(self, reserve: Callable[[int], Awaitable[None]]) -> tuple[InstantOutcome, bytes]:
        """Receive an outcome and a result."""
        head_bytes, result_bytes = _SIZES.unpack(await self._reader.readexactly(_SIZES.size))
        head = await self._reader.readexactly(head_bytes)
        if result_bytes > DIRECT_BYTES:
            await reserve(result_bytes)
        return outcome_from_json(head), await self._reader.readexactly(result_bytes)

    def close(self) -> None:
        self._writer.transport.abort()  # a close would wait until the worker has read all of a request


def _is_own_socket(path: str) -> bool:
    """Return whether a process of this user on this machine has made it: the path may be another machine's."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISSOCK(found.st_mode) and found.st_uid == os.geteuid()


def _close(connection: _GatewayConnection | None) -> None:
    if connection:
        connection.close()


def _enlarge_buffers(connection: Any) -> None:
    """Let a photograph be sent at once, as far as the system allows."""
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        connection.setsockopt(socket.SOL_SOCKET, option, _SOCKET_BYTES)
