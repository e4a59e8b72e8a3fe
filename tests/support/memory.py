"""How much memory a process has at most."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from services.stack.background import BackgroundStack


def web_process(stack: BackgroundStack) -> psutil.Process:
    """The process that serves the pages."""
    return stack.service("services.web")


@contextmanager
def peak(process: psutil.Process) -> Iterator[list[int]]:
    """The most memory that it has while the block runs, looked at fifty times a second."""
    seen = [process.memory_info().rss]
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.02):
            seen[0] = max(seen[0], process.memory_info().rss)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()
