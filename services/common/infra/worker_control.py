"""Where a worker hears what operators want of it, and says that it lives.

The database is asked, not the broker: what was paused stays so whatever the broker forgets.
"""

import os
import socket
import threading
import time
from collections.abc import Mapping
from importlib.metadata import version
from uuid import uuid4

import dramatiq
from dramatiq import Middleware, Worker

from services.common.db.engine import Database
from services.common.db.queues import workers
from services.common.domain.errors import Unavailable
from services.common.infra import log
from services.common.infra.broker import Broker

LOOK_SECONDS = 0.5
"""How soon a worker knows of a pause and of its end."""
SEEN_SECONDS = 5.0

_log = log.get(__name__)


class Station(Middleware):
    """Looks for pauses and writes the worker's rows, from a thread of its own.

    slots: the queues that this worker serves, each with how much of it the worker does at a time.
    """

    def __init__(self, database: Database, broker: Broker, slots: Mapping[str, int]) -> None:
        self._database = database
        self._broker = broker
        self._slots = slots
        self._worker_id = uuid4()
        self._paused: frozenset[str] = frozenset()
        self._stopped = threading.Event()
        self._seen_at = float("-inf")
        self._thread = threading.Thread(target=self._keep, name="station", daemon=True)

    def before_worker_boot(self, _broker: dramatiq.Broker, _worker: Worker) -> None:
        """Look, before the first message is taken."""
        # What cannot be known yet counts as paused. Without the database there is nothing to be done anyway.
        self._broker.leave_alone(self._slots)
        self._look()
        self._thread.start()

    def before_worker_shutdown(self, _broker: dramatiq.Broker, _worker: Worker) -> None:
        """Say that it ends."""
        self._stopped.set()
        self._thread.join()
        try:
            with self._database.write(durable=False) as session:
                workers.delete_worker(session, self._worker_id)
        except Unavailable as error:
            _log.debug("the worker is listed for a while", error=str(error))

    def _keep(self) -> None:
        while not self._stopped.wait(LOOK_SECONDS):
            self._look()

    def _look(self) -> None:
        try:
            with self._database.read() as session:
                paused = frozenset(workers.list_paused(session)).intersection(self._slots)
            self._broker.leave_alone(paused)
            if paused != self._paused:
                _log.info("queues paused" if paused else "no queue paused", queues=sorted(paused))
                self._paused = paused
            if time.monotonic() >= self._seen_at + SEEN_SECONDS:
                self._say()
        except Unavailable as error:
            _log.debug("pauses not looked for", error=str(error))
        except Exception:
            # Whatever it is: without this thread a pause would never be heard of.
            _log.exception("pauses not looked for")

    def _say(self) -> None:
        host, pid, of = socket.gethostname(), os.getpid(), version("imageblur")
        with self._database.write(durable=False) as session:
            for queue, slots in self._slots.items():
                if not workers.renew_worker(session, self._worker_id, queue, self._broker.busy(queue)):
                    workers.insert_worker(session, self._worker_id, queue, host=host, pid=pid, version=of, slots=slots)
        self._seen_at = time.monotonic()
