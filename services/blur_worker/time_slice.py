"""The time slice that a message gives its order: the worker goes on to the order's next images while nobody else waits.

Small images would otherwise spend more time in the broker and in claims than in a child process. A slice is short: a
worker that has just started, a pause and the end of the process wait for it hardly longer than for one image.
"""

import time
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from services.common.db.orders.images import ImageClaim
from services.common.infra.leases import Leases

TIME_SLICE_SECONDS = 0.25
"""How long a worker claims an order's next image by itself."""


class TimeSlice:
    """Starts when it is made; renews the leases of all images claimed in it until it ends."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._held = ExitStack()
        self._end = time.monotonic() + TIME_SLICE_SECONDS

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()

    @property
    def may_claim_next(self) -> bool:
        """Whether there is time for another image."""
        return time.monotonic() < self._end

    def hold(self, claim: ImageClaim) -> None:
        """Renew the lease of a claim; to renew it a moment longer than the claim lasts does no harm."""
        self._held.enter_context(self._leases.hold(claim.owner))
