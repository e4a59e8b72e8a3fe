"""Name look-ups with a timeout: those of the system have none, and stand for minutes when a DNS server hangs."""

import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

_T = TypeVar("_T")


class SharedLookup(Generic[_T]):
    """Runs a look-up in a thread of its own, at most one for each argument at a time, however many wait for it."""

    def __init__(self, look_up: Callable[[str], _T]) -> None:
        self._look_up = look_up
        self._running: dict[str, Future[_T]] = {}
        self._lock = threading.Lock()

    def __call__(self, name: str, seconds: float) -> _T:
        """Return what is found.

        Raises:
            TimeoutError: Nothing was found in so many seconds; the look-up goes on for later callers.
            OSError: The look-up failed.
        """
        with self._lock:
            found = self._running.get(name)
            if found is None:
                found = self._running[name] = Future()
                threading.Thread(target=self._run, args=(name, found), name="name look-up", daemon=True).start()
        try:
            return found.result(seconds)
        except TimeoutError:
            raise TimeoutError(f"the name {name} was not resolved in {seconds:.0f} s") from None

    def _run(self, name: str, found: "Future[_T]") -> None:
        try:
            found.set_result(self._look_up(name))
        except BaseException as error:
            found.set_exception(error)
        finally:
            with self._lock:
                del self._running[name]


def _list_addresses(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


list_addresses = SharedLookup(_list_addresses)
"""Returns a host's IP addresses as text, in the order in which they are to be tried."""
