"""Receives the offers of gateways of this machine."""

import contextlib
import json
import socket
import threading
import time
from pathlib import Path
from uuid import UUID

import dramatiq
from dramatiq import Middleware, Worker

from services.blur_worker.head_start.prepared import PreparedImages
from services.common.infra import log

MOST_LINE_BYTES = 64 << 10
"""Longest offer: a spec in it has at most `MOST_SPEC_LENGTH` characters."""
RETRY_SECONDS = 1.0
"""How long a worker without free descriptors waits before it accepts a connection."""

_log = log.get(__name__)


class HeadStartListener(Middleware):
    """Listens while the worker runs.

    Args:
        path: Of the socket, in a folder that only this user can open.
        prepared: Gets what is offered.
    """

    def __init__(self, path: Path, prepared: PreparedImages) -> None:
        self._path, self._prepared = path, prepared
        self._socket: socket.socket | None = None

    def after_worker_boot(self, _broker: dramatiq.Broker, _worker: Worker) -> None:
        """Start to listen, once there are child processes; where it is not possible, there are no head starts."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(self._path))
            listener.listen()
        except OSError as error:
            _log.warning("no head starts", error=str(error))
            listener.close()
            return
        self._socket = listener
        self._prepared.start()
        threading.Thread(target=self._accept, args=(listener,), name="head starts", daemon=True).start()

    def before_worker_shutdown(self, _broker: dramatiq.Broker, _worker: Worker) -> None:
        """Listen no more, and discard what is prepared."""
        listener, self._socket = self._socket, None
        if listener:
            self._path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes the thread; to close would not
            listener.close()
            self._prepared.stop()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                accepted, _ = listener.accept()
            except OSError as error:
                if self._socket is None:
                    return
                _log.warning("head starts have to wait", error=str(error))  # no descriptor is free
                time.sleep(RETRY_SECONDS)
                continue
            threading.Thread(target=self._read, args=(accepted,), name="head start of a gateway", daemon=True).start()

    def _read(self, accepted: socket.socket) -> None:
        source = object()
        try:
            with accepted, accepted.makefile("rb") as lines:
                while (line := lines.readline(MOST_LINE_BYTES)).endswith(b"\n"):
                    self._receive(source, *json.loads(line))
        except OSError as error:
            _log.debug("connection of a gateway ended", error=str(error))
        except Exception:
            _log.exception("connection of a gateway ended")
        self._prepared.discard_source(source)

    def _receive(self, source: object, event: str, order_id: str, *values: object) -> None:
        match event, values:
            case "offer", (int(position), str(spec)):
                self._prepared.offer(source, UUID(order_id), position, spec)
            case "keep", ():
                self._prepared.keep(UUID(order_id))
            case "discard", ():
                self._prepared.discard_order(UUID(order_id))
