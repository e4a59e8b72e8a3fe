"""A message's share of a worker: not one image, but its order's images, one after another, while nobody else waits.

A large order's small images would otherwise spend more time on their way through broker and claims than in a child. A
turn is short: a worker that has just come, a pause and the end of the process wait for it hardly longer than for one
image.
"""

import contextlib
import time
from types import TracebackType
from typing import Self

from services.common.db.orders.images import ImageClaim
from services.common.infra.leases import Leases

TURN_SECONDS = 0.25
"""So long a worker goes on to the order's next image by itself."""


class Turn:
    """Begins now. Keeps the leases of all that is claimed in it until it ends."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._held = contextlib.ExitStack()
        self._ends = time.monotonic() + TURN_SECONDS

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()

    @property
    def goes_on(self) -> bool:
        """Whether another image may be claimed in it."""
        return time.monotonic() < self._ends

    def hold(self, claim: ImageClaim) -> None:
        """Keep the lease of a claim; that it is kept a moment longer than the claim lasts does nothing."""
        self._held.enter_context(self._leases.hold(claim.owner))
