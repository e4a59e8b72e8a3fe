"""Finds the results of an order that can be downloaded."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.common.archive import summary
from services.common.archive.result_names import result_names
from services.common.db.clock import to_datetime
from services.common.db.engine import Database
from services.common.db.models import Image, Order, has_result
from services.common.db.orders import images, snapshots
from services.common.domain.errors import FailedPrecondition, NotFound
from services.common.domain.orders import ImageState, OrderState, result_key
from services.common.domain.spec import Format


@dataclass(frozen=True)
class Result:
    """The result of one image."""

    image: Image
    filename: str
    key: str
    """Key of its blob."""


@dataclass(frozen=True)
class OrderResults:
    """Results of an order."""

    order: Order
    results: Sequence[Result]
    failed: Sequence[Image] = ()
    """Images without a result, if all images were requested."""

    @property
    def created_at(self) -> datetime:
        """When the order was placed."""
        return to_datetime(self.order.created_at)

    def summary_files(self) -> list[tuple[str, bytes]]:
        """Return the names and contents of the archive's summary files."""
        lines = [summary.line(self.order, result.image, result.filename) for result in self.results]
        return summary.files(self.order, lines + [summary.line(self.order, image, None) for image in self.failed])


def find_results(database: Database, order_id: UUID, image_ids: Sequence[UUID]) -> OrderResults:
    """Return the results of some images, or of all that succeeded if `image_ids` is empty.

    Raises:
        NotFound: The order or an image does not exist.
        FailedPrecondition: The order has expired, or an image has not succeeded.
    """
    with database.read() as session:
        snapshot = snapshots.get_snapshot(session, order_id)
        if snapshot.order.state == OrderState.EXPIRED:
            message = "the order has expired: its results were removed"
            raise FailedPrecondition("ORDER_EXPIRED", f"orders/{order_id}", message)
        found = images.list_images(session, order_id, limit=snapshot.order.total)
    succeeded = [image for image in found if has_result(image)]
    # Unique among all results, so that a name does not depend on which are requested.
    names = result_names((image.filename, Format(image.format or "")) for image in succeeded)
    results = {
        image.id: Result(image, name, result_key(order_id, image.position, image.generation))
        for image, name in zip(succeeded, names, strict=True)
    }
    if not image_ids:
        failed = [image for image in found if image.state == ImageState.FAILED]
        return OrderResults(snapshot.order, list(results.values()), failed)
    states = {image.id: image.state for image in found}
    for image_id in image_ids:
        if image_id not in states:
            raise NotFound("image", str(image_id))
        if image_id not in results:
            message = f"image {image_id} is {states[image_id]}, not SUCCEEDED"
            raise FailedPrecondition("IMAGE_NOT_SUCCEEDED", f"images/{image_id}", message)
    return OrderResults(snapshot.order, [results[image_id] for image_id in image_ids])
