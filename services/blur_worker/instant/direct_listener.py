"""Takes instant calls from gateways of this machine over a Unix socket: `common/infra/instant/direct_calls.py`."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from services.common.domain.instant import InstantOutcome, InstantRequest, outcome_to_json
from services.common.infra import log
from services.common.infra.instant.direct_calls import BUSY, SIZE, SIZES, TAKEN, Direct, enlarge_buffers

STALL_SECONDS = 30.0
"""How long a worker waits for the other half of a request, and for a gateway to read a result."""
RETRY_SECONDS = 0.1
"""How long a worker without free descriptors waits before it accepts a connection."""
CONNECTIONS_PER_CALL = 8
"""Connections that a worker accepts, for each call that it answers at a time: several gateways may share it."""
_MAX_REQUEST = 1 << 30

_log = log.get(__name__)


class CallerGone(Exception):
    """The gateway of a call is gone, or no longer waits for it."""


class DirectListener:
    """Listens: a thread for each connection.

    Args:
        folder: One that only this user can open.
        calls: How many calls the worker answers at a time.
    """

    def __init__(self, folder: Path, calls: int) -> None:
        self._path = folder / "instant"
        self._calls = calls
        self._slots = threading.BoundedSemaphore(CONNECTIONS_PER_CALL * calls)
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
            if not self._slots.acquire(blocking=False):
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
        self._slots.release()


class DirectCall:
    """One call. `begin` raises CallerGone."""

    def __init__(self, connection: socket.socket, request: InstantRequest) -> None:
        self.request = request
        self._socket = connection
        self._begun = False

    def begin(self) -> None:
        """Report that the call is worked on."""
        if not self._begun:
            self._begun = True
            try:
                self._socket.sendall(TAKEN)
            except OSError as error:
                raise CallerGone(str(error)) from None

    def finish(self, outcome: InstantOutcome, result: bytes) -> bool:
        """Hand over an outcome and the bytes of a result; False if the caller is gone."""
        head = outcome_to_json(outcome)
        try:
            self._socket.sendall(b"".join((SIZES.pack(len(head), len(result)), head, result)))
        except OSError:
            return False
        return True

    def leave(self) -> None:
        """Leave the call to the queue."""
        if self._begun:
            raise CallerGone("the call was taken and could not be answered")  # ends the connection
        with contextlib.suppress(OSError):
            self._socket.sendall(BUSY)


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
                enlarge_buffers(self._socket)
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
        head = self._socket.recv(SIZE.size, socket.MSG_WAITALL)
        if len(head) < SIZE.size:
            return b""
        (size,) = SIZE.unpack(head)
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
