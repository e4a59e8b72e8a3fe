"""Shares connections between hosts that callers have named."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class HostShares:
    """Leaves room for others: a host that is slow holds half of the connections at most."""

    def __init__(self, connections: int) -> None:
        self._most = max(1, connections // 2)
        self._busy: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def hold(self, host: str) -> Iterator[bool]:
        """Hold a connection to a host until the block ends; yield False if it has as many as it may have."""
        with self._lock:
            free = self._busy[host] < self._most
            if free:
                self._busy[host] += 1
        try:
            yield free
        finally:
            if free:
                with self._lock:
                    self._busy[host] -= 1
                    if not self._busy[host]:
                        del self._busy[host]
