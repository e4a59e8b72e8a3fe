"""Tells watchers that orders have changed: at once, and what follows within a moment in one go.

Watchers are told ten times a second at most; a hint for each of a hundred images a second is work for three processes.
"""

import queue
import threading
from collections.abc import Callable
from uuid import UUID

import dramatiq
from dramatiq import Middleware, Worker

GAP_SECONDS = 0.05


class Hints(Middleware):
    """Gathers hints in a thread of its own; `announce` tells of orders in one round trip."""

    def __init__(self, announce: Callable[..., None]) -> None:
        self._announce = announce
        self._changed: queue.SimpleQueue[UUID | None] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="hints", daemon=True)

    def before_worker_boot(self, _broker: dramatiq.Broker, _worker: Worker) -> None:
        """Begin to tell."""
        self._thread.start()

    def after_worker_shutdown(self, _broker: dramatiq.Broker, _worker: Worker) -> None:
        """Tell what is left, and no more."""
        self._stopped.set()
        self._changed.put(None)
        self._thread.join()

    def changed(self, order_id: UUID) -> None:
        """An order has changed."""
        self._changed.put(order_id)

    def _keep(self) -> None:
        goes_on = True
        while goes_on:
            changed = {self._changed.get()}
            while not self._changed.empty():
                changed.add(self._changed.get())
            goes_on = None not in changed
            self._announce(*(order_id for order_id in changed if order_id))
            self._stopped.wait(GAP_SECONDS)
