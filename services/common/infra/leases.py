"""Renews leases while work goes on. They are short, so that other workers soon claim a killed worker's work."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from services.common.infra import log

LEASE_SECONDS = 8.0
"""How long a claim lasts; it is renewed four times in that time."""

_log = log.get(__name__)


class Leases:
    """Renews the leases that are held, in a thread of its own."""

    def __init__(self, renew: Callable[[Sequence[UUID]], None]) -> None:
        self._renew = renew
        self._held: set[UUID] = set()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)

    def start(self) -> None:
        """Start to renew."""
        self._thread.start()

    def stop(self) -> None:
        """Stop to renew."""
        self._stopped.set()
        self._thread.join()

    @contextmanager
    def hold(self, owner: UUID) -> Iterator[None]:
        """Renew the lease of a claim until the block ends."""
        self._held.add(owner)
        try:
            yield
        finally:
            self._held.discard(owner)

    def _run(self) -> None:
        while not self._stopped.wait(LEASE_SECONDS / 4):
            owners = list(self._held)
            if not owners:
                continue
            try:
                self._renew(owners)
            except Exception as error:  # the thread has to survive any error, or all leases would run out
                _log.warning("leases not renewed", error=str(error))
