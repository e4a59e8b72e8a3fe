"""Lets operators pause a worker's queues and see that it is alive, and gateways which models workers have.

Pauses are polled from the database, not sent by the broker, so that they outlast a broker without its data.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from uuid import uuid4

import dramatiq
from dramatiq import Middleware, Worker

from services.common.db.engine import Database
from services.common.db.queues import find_models, workers
from services.common.domain.errors import Unavailable
from services.common.domain.findings import FindModel
from services.common.infra import log
from services.common.infra.messaging.broker import Broker
from services.common.infra.messaging.messages import FIND_QUEUE
from services.common.infra.version import VERSION

POLL_SECONDS = 0.5
"""How soon a worker notices a pause and its end."""
HEARTBEAT_SECONDS = 5.0
MODELS_SECONDS = 60.0
"""How often a worker announces the models that it has."""

_log = log.get(__name__)


class WorkerControl(Middleware):
    """Polls for pauses and writes the worker's heartbeats, in a thread of its own."""

    def __init__(
        self,
        database: Database,
        broker: Broker,
        slots: Mapping[str, int],
        *,
        get_models: Callable[[], Sequence[FindModel]] = tuple,
        warnings: Mapping[str, str] | None = None,
    ) -> None:
        """Make the middleware.

        Args:
            database: Where pauses and heartbeats are.
            broker: Takes messages of the queues that are not paused.
            slots: The queues that this worker serves, each with how many messages it handles at a time.
            get_models: Returns the models that the worker has; without any it does not serve the queue `find`.
            warnings: What the settings lack, for operators, by queue: JSON as in `WorkerSeen.warnings`.
        """
        self._database = database
        self._broker = broker
        self._slots = slots
        self._get_models = get_models
        self._warnings = warnings or {}
        self._worker_id = uuid4()
        self._paused: frozenset[str] = frozenset()
        self._stopped = threading.Event()
        self._heartbeat_at = self._announced_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name="worker control", daemon=True)

    def before_worker_boot(self, _broker: dramatiq.Broker, _worker: Worker) -> None:
        """Poll before the first message is taken."""
        # Queues count as paused until the database has answered. Without it a worker could do nothing anyway.
        self._broker.set_paused(self._slots)
        self._poll()
        self._thread.start()

    def before_worker_shutdown(self, _broker: dramatiq.Broker, _worker: Worker) -> None:
        """Delete the worker's rows."""
        self._stopped.set()
        self._thread.join()
        try:
            with self._database.write(durable=False) as session:
                workers.delete_worker(session, self._worker_id)
        except Unavailable as error:
            _log.debug("the worker stays listed for a while", error=str(error))

    def _run(self) -> None:
        while not self._stopped.wait(POLL_SECONDS):
            self._poll()

    def _poll(self) -> None:
        try:
            with self._database.read() as session:
                paused = frozenset(workers.list_paused(session)).intersection(self._slots)
            self._broker.set_paused(frozenset(self._slots) - self._served() | paused)
            if paused != self._paused:
                _log.info("queues paused" if paused else "no queue paused", queues=sorted(paused))
                self._paused = paused
            # First: a reader that sees the worker also sees its models.
            if time.monotonic() >= self._announced_at + MODELS_SECONDS and FIND_QUEUE in self._served():
                with self._database.write(durable=False) as session:
                    find_models.announce(session, self._get_models())
                self._announced_at = time.monotonic()
            if time.monotonic() >= self._heartbeat_at + HEARTBEAT_SECONDS:
                self._write_heartbeat()
        except Unavailable as error:
            _log.debug("pauses not polled", error=str(error))
        except Exception:
            # The thread has to survive any error, or it would never notice a pause again.
            _log.exception("pauses not polled")

    def _served(self) -> frozenset[str]:
        served = frozenset(self._slots)
        return served if self._get_models() else served - {FIND_QUEUE}

    def _write_heartbeat(self) -> None:
        host, pid = socket.gethostname(), os.getpid()
        with self._database.write(durable=False) as session:
            for queue in sorted(self._served()):
                slots = self._slots[queue]
                if not workers.renew_worker(session, self._worker_id, queue, self._broker.count_held(queue)):
                    workers.insert_worker(
                        session,
                        self._worker_id,
                        queue,
                        host=host,
                        pid=pid,
                        version=VERSION,
                        slots=slots,
                        warnings=self._warnings.get(queue),
                    )
        self._heartbeat_at = time.monotonic()
