"""The time slice that a message gives its order: the worker goes on to the order's next images while nobody else waits.

Small images would otherwise spend more time in the broker and in claims than in a child process. A slice is short: a
worker that has just started, a pause and the end of the process wait for it hardly longer than for one image.
"""

import time
from contextlib import ExitStack
from typing import Self

from services.common.db.orders.image_claims import ImageClaim
from services.common.infra.leases import Leases

TIME_SLICE_SECONDS = 0.25
"""How long a worker claims an order's next images by itself."""
MOST_TOGETHER = 4
"""Most images claimed, and recorded, in one transaction."""
MOST_READY_TOGETHER = 12
"""The same of images that had a head start."""
TOGETHER_SECONDS = 0.1
"""And how long these may take: so late their results are seen, and the image of another order has its turn."""


class TimeSlice:
    """Starts when it is made; renews the leases of all images claimed in it until it ends."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._held = ExitStack()
        self._end = time.monotonic() + TIME_SLICE_SECONDS

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    @property
    def overdue(self) -> bool:
        """Whether an image took so long that those claimed with it had better be left to other workers."""
        return time.monotonic() > self._end + TIME_SLICE_SECONDS

    def count_next(self, seconds: float, ready: int = 0) -> int:
        """Return how many images there is time for, and are recorded together.

        Args:
            seconds: Time of each of the last ones.
            ready: How many of the next ones had a head start: they take none.
        """
        if time.monotonic() >= self._end:
            return 0
        return max(1, min(MOST_TOGETHER, int(TOGETHER_SECONDS / seconds)), min(MOST_READY_TOGETHER, ready))

    def hold(self, claim: ImageClaim) -> None:
        """Renew the lease of a claim, and of those claimed with it; a moment longer than they last does no harm."""
        self._held.enter_context(self._leases.hold(claim.owner))
