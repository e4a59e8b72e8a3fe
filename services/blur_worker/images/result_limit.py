"""How large the results of an order may be together: tiny files must not fill a disk."""

from dataclasses import dataclass

from services.common.db.engine import Database
from services.common.db.orders import images, orders
from services.common.db.orders.image_claims import ImageClaim
from services.common.domain.errors import ImageError, Reason

_TIMES = 4
"""How many times as large as an order, and as an image of it, the results may be."""


@dataclass(frozen=True, kw_only=True)
class ResultLimit:
    """Refuses results that are much larger than their originals once those of their order have reached the limit.

    Results of up to 4 times their original always pass, and those that fit into an equal share of the limit: to add up
    after each image would take n² for n images. Each of both is as large as the limit at most, so an order's results
    stay below twice the limit. Images that are attempted at the same time do not see one another and may exceed it.
    """

    database: Database
    max_order_bytes: int

    def check(self, claim: ImageClaim, size: int) -> None:
        """Check the size of a result in bytes before it is stored.

        Raises:
            ImageError: The order's results would be too large with it.
            Unavailable: The database cannot be reached.
        """
        if size <= _TIMES * claim.input_bytes:
            return
        limit = _TIMES * self.max_order_bytes
        with self.database.read() as session:
            total = orders.count_images(session, claim.order_id)
            if size * total <= limit:
                return
            others = images.sum_output_bytes(session, claim.order_id, without=claim.image_id)
        if others + size > limit:
            message = f"the results of the order are larger than {limit:,} bytes together: order JPEG, PNG or WebP"
            raise ImageError(Reason.TOO_LARGE, message)
