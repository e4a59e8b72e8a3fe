"""Sends instant calls to workers of this machine over a Unix socket: `common/infra/instant/direct_calls.py`."""

import asyncio
import os
import stat
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from services.common.domain.instant import InstantOutcome, InstantRequest, outcome_from_json
from services.common.infra import log
from services.common.infra.instant.direct_calls import DIRECT_BYTES, SIZE, SIZES, TAKEN, Direct, enlarge_buffers

TAKE_SECONDS = 1.0
"""How long a gateway waits until a worker takes or refuses a call."""

_log = log.get(__name__)


@dataclass(kw_only=True)
class _Worker:
    """What a gateway knows of a worker of this machine."""

    direct: Direct
    idle: "list[_GatewayConnection]" = field(default_factory=list)
    used: int = 0


class DirectWorkers:
    """The workers of this machine, and connections to them; in an event loop."""

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
        enlarge_buffers(writer.get_extra_info("socket"))
        return cls(reader, writer)

    async def send(self, request: InstantRequest) -> bool:
        """Send a request; return whether it was taken."""
        encoded = request.encode()
        async with asyncio.timeout(TAKE_SECONDS):
            self._writer.writelines((SIZE.pack(len(encoded)), encoded))
            return await self._reader.readexactly(1) == TAKEN

    async def receive(self, reserve: Callable[[int], Awaitable[None]]) -> tuple[InstantOutcome, bytes]:
        """Receive an outcome and a result."""
        head_bytes, result_bytes = SIZES.unpack(await self._reader.readexactly(SIZES.size))
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
