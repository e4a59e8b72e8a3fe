"""Ends the child processes of instant calls when nobody has called for some minutes: they hold memory."""

import threading

import dramatiq
from dramatiq import Middleware, Worker

from services.blur_worker.child_pool import ChildPool

IDLE_SECONDS = 300.0
"""How long a child process is kept without a call."""


class InstantChildren(Middleware):
    """Starts no child process: the first call does."""

    def __init__(self, children: ChildPool, *, idle_seconds: float = IDLE_SECONDS) -> None:
        self._children = children
        self._idle_seconds = idle_seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="instant children", daemon=True)

    def before_worker_boot(self, _broker: dramatiq.Broker, _worker: Worker) -> None:
        """Start to look after them."""
        self._thread.start()

    def after_worker_shutdown(self, _broker: dramatiq.Broker, _worker: Worker) -> None:
        """Kill them."""
        self._stopped.set()
        self._thread.join()
        self._children.close()

    def _run(self) -> None:
        while not self._stopped.wait(self._idle_seconds / 10):
            self._children.stop_unused(self._idle_seconds)
