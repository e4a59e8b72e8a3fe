"""`python -m services.stack.thread_runner MODULE=SECONDS…`: run several services in one process, each in a thread.

On SIGTERM they stop in the order of the arguments, each within its seconds. If one ends by itself, the process ends,
and its supervisor starts all of them again: nothing that they have accepted is in memory alone.
"""

import contextlib
import importlib
import importlib.util
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable

from services.common.infra.process.startup import run
from services.common.infra.process.stop_requests import StopRequest


class _Service:
    """A service in a thread."""

    def __init__(self, argument: str, on_end: Callable[["_Service"], None]) -> None:
        self.code = 0
        self._module, _, seconds = argument.partition("=")
        self._grace = float(seconds) if seconds else None
        self._on_end = on_end
        self._request = StopRequest()
        self._thread = threading.Thread(target=self._run, name=self._module)

    def start(self) -> None:
        """Start it."""
        self._thread.start()

    def stop(self) -> bool:
        """Stop it; return whether it has ended in time."""
        self._request.make()
        self._thread.join(self._grace)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            package = importlib.util.find_spec(self._module)
            name = f"{self._module}.__main__" if package and package.submodule_search_locations else self._module
            main = importlib.import_module(name).main
            run(lambda: self._request.run(main))
        except SystemExit as end:
            self.code = end.code if isinstance(end.code, int) else int(end.code is not None)
            if isinstance(end.code, str):
                print(end.code, file=sys.stderr)
        except BaseException:
            self.code = 1
            traceback.print_exc()
        self._on_end(self)


def main() -> None:
    """Serve until SIGTERM, a second one of which ends the process at once."""
    events: queue.SimpleQueue[_Service | None] = queue.SimpleQueue()  # None: a signal
    signals = 0

    def stop(*_: object) -> None:
        nonlocal signals
        signals += 1
        if signals > 1:
            os._exit(1)
        events.put(None)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    services = [_Service(module, events.put) for module in sys.argv[1:]]
    for service in services:
        service.start()
    ended = events.get()
    if ended is not None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
        os._exit(ended.code or 1)  # the others have no end
    late = [service for service in services if not service.stop()]
    if late:
        os._exit(1)  # they would hold up the end of the process


if __name__ == "__main__":
    main()
