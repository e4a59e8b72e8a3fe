"""When a service is to stop: on SIGTERM or SIGINT, or when the program asks that runs it together with others."""

import signal
import threading
from collections.abc import Callable

_of_thread = threading.local()


class StopRequest:
    """Asks one of several services of a process to stop; only the main thread gets signals."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requested = False
        self._stop: Callable[[], object] | None = None

    def make(self) -> None:
        """Have the service stop, now or as soon as it can."""
        with self._lock:
            self._requested, stop = True, self._stop
        if stop:
            stop()

    def run(self, main: Callable[[], None]) -> None:
        """Run the service's main in this thread."""
        _of_thread.request = self
        main()

    def listen(self, stop: Callable[[], object]) -> None:
        """Call `stop` once the service is to stop."""
        with self._lock:
            self._stop, requested = stop, self._requested
        if requested:
            stop()


def on_stop(stop: Callable[[], object]) -> None:
    """Call `stop` when the service that this thread runs is to stop; by signals, each time that one arrives."""
    request: StopRequest | None = getattr(_of_thread, "request", None)
    if request:
        request.listen(stop)
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop())
