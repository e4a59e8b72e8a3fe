"""Send change hints to watchers: the first at once, those that follow within 80 ms together.

Watchers receive ten updates a second at most; a hint for each of a hundred images a second would be work for three
processes.
"""

import queue
import threading
from collections.abc import Callable
from uuid import UUID

import dramatiq
from dramatiq import Middleware, Worker

GAP_SECONDS = 0.08


class ChangeHints(Middleware):
    """Collects changed orders and announces them from a thread of its own, several in one round trip."""

    def __init__(self, announce: Callable[..., None]) -> None:
        self._announce = announce
        self._changed: queue.SimpleQueue[UUID | None] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="change-hints", daemon=True)

    def before_worker_boot(self, _broker: dramatiq.Broker, _worker: Worker) -> None:
        """Start the thread."""
        self._thread.start()

    def after_worker_shutdown(self, _broker: dramatiq.Broker, _worker: Worker) -> None:
        """Announce what is left, and stop the thread."""
        self._stopped.set()
        self._changed.put(None)
        self._thread.join()

    def order_changed(self, order_id: UUID) -> None:
        """Announce a changed order soon."""
        self._changed.put(order_id)

    def _run(self) -> None:
        running = True
        while running:
            changed = {self._changed.get()}
            while not self._changed.empty():
                changed.add(self._changed.get())
            running = None not in changed
            self._announce(*(order_id for order_id in changed if order_id))
            self._stopped.wait(GAP_SECONDS)
