"""Runs a Dramatiq worker in this process, with several threads. On SIGTERM, running messages are finished first.

Dramatiq's command line would start a second process for the worker: a restart after a crash is the supervisor's or the
container's part here, so the first one would only wait, with a second copy of all libraries in memory.
"""

import os
import threading
from collections.abc import Callable, Sequence

import dramatiq

from services.common.infra.messaging.dramatiq_private import set_restart_delay
from services.common.infra.process.stop_requests import on_stop

RESTART_DELAY_SECONDS = 0.5
"""Pause after a lost connection; the default of three seconds would be most of a recovery."""


def serve(setup: Callable[[], None], *, queues: Sequence[str], threads: int, prefetch: int, drain_seconds: int) -> None:
    """Run until SIGTERM or SIGINT; a second one ends the process at once.

    Args:
        setup: Sets dramatiq's broker and declares the actors.
        queues: The queues to take messages from.
        threads: How many messages are handled at a time.
        prefetch: Most messages of a queue that the worker has at a time, waiting ones included. No more than threads,
            so that no message waits for this worker while another worker is idle.
        drain_seconds: How long running messages may take after SIGTERM.
    """
    started, stopped = threading.Event(), threading.Event()

    def stop() -> None:
        if stopped.is_set():
            os._exit(1)
        if not started.is_set():
            os._exit(0)  # it holds no message yet
        stopped.set()

    on_stop(stop)
    set_restart_delay(RESTART_DELAY_SECONDS)
    setup()
    broker = dramatiq.get_broker()
    broker.emit_after("process_boot")
    worker = dramatiq.Worker(broker, queues=set(queues), worker_threads=threads)
    worker.queue_prefetch = prefetch
    worker.start()
    started.set()
    stopped.wait()
    worker.stop(timeout=drain_seconds * 1000)
    broker.close()
