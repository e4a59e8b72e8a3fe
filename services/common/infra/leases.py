"""Keeps the leases of work under way: short, so that a killed worker's work is soon taken up by others."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from services.common.infra import log

LEASE_SECONDS = 8.0
"""How long a claim is good for; renewed four times in that time."""

_log = log.get(__name__)


class Leases:
    """Renews the leases that are held, from a thread of its own."""

    def __init__(self, renew: Callable[[Sequence[UUID]], None]) -> None:
        self._renew = renew
        self._held: set[UUID] = set()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="leases", daemon=True)

    def start(self) -> None:
        """Begin to renew."""
        self._thread.start()

    def stop(self) -> None:
        """Renew no more."""
        self._stopped.set()
        self._thread.join()

    @contextmanager
    def hold(self, owner: UUID) -> Iterator[None]:
        """Keep the lease of a claim for as long as the block lasts."""
        self._held.add(owner)
        try:
            yield
        finally:
            self._held.discard(owner)

    def _keep(self) -> None:
        while not self._stopped.wait(LEASE_SECONDS / 4):
            owners = list(self._held)
            if not owners:
                continue
            try:
                self._renew(owners)
            except Exception as error:  # whatever it is: without this thread every lease would run out
                _log.warning("leases not renewed", error=str(error))
