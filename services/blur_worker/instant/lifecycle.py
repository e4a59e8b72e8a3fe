"""Listens for instant calls of this machine, and ends their child processes when nobody has called for some minutes."""

import threading
from collections.abc import Callable

import dramatiq
from dramatiq import Middleware, Worker

from services.blur_worker.child.pool import ChildPool
from services.blur_worker.instant.direct_listener import DirectCall, DirectListener

IDLE_SECONDS = 300.0
"""How long a child process is kept without a call: they hold memory."""


class InstantChildren(Middleware):
    """Starts no child process: the first call does."""

    def __init__(
        self,
        children: ChildPool,
        listener: DirectListener,
        answer: Callable[[DirectCall], None],
        *,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._children = children
        self._listener = listener
        self._answer = answer
        self._idle_seconds = idle_seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="instant children", daemon=True)

    def before_worker_boot(self, _broker: dramatiq.Broker, _worker: Worker) -> None:
        """Start to listen, and to look after them."""
        self._thread.start()
        self._listener.start(self._answer)

    def before_worker_shutdown(self, _broker: dramatiq.Broker, _worker: Worker) -> None:
        """Take no more calls."""
        self._listener.refuse_more()

    def after_worker_shutdown(self, _broker: dramatiq.Broker, _worker: Worker) -> None:
        """Kill them when they have answered."""
        self._listener.join()
        self._stopped.set()
        self._thread.join()
        self._children.close()

    def _run(self) -> None:
        while not self._stopped.wait(self._idle_seconds / 10):
            self._children.stop_unused(self._idle_seconds)
