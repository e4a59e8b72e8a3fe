"""Reads orders, their images and their changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from services.common.db.engine import Database
from services.common.db.models import Image
from services.common.db.orders import images, snapshots
from services.common.db.orders.snapshots import Snapshot
from services.common.domain.orders import DeliveryState, ImageState, OrderState
from services.gateway.rpc.paging import MAX_SIZE


@dataclass(frozen=True)
class OrderChanges:
    """An order and some of its images: all, or those that changed."""

    snapshot: Snapshot
    images: Sequence[Image]

    @property
    def revision(self) -> int:
        """The order's revision when it was read."""
        return self.snapshot.order.revision

    @property
    def final(self) -> bool:
        """Whether the order has finished and no delivery is open."""
        delivering = any(DeliveryState(delivery.state).open for delivery, _ in self.snapshot.deliveries)
        return not OrderState(self.snapshot.order.state).open and not delivering


@dataclass(frozen=True)
class OrderReader:
    """Reads from the database; blocking. Methods raise NotFound if the order does not exist."""

    database: Database

    def status(self, order_id: UUID) -> Snapshot:
        """Return an order."""
        with self.database.read() as session:
            return snapshots.get_snapshot(session, order_id)

    def status_with_images(self, order_id: UUID) -> OrderChanges:
        """Return an order and its first 1,000 images, and one more if there are more."""
        with self.database.read() as session:
            snapshot = snapshots.get_snapshot(session, order_id)
            return OrderChanges(snapshot, images.list_images(session, order_id, limit=MAX_SIZE + 1))

    def list_images(self, order_id: UUID, *, after: int, limit: int, state: ImageState | None) -> list[Image]:
        """Return the images after a position, in one state or in any."""
        with self.database.read() as session:
            snapshots.get_snapshot(session, order_id)
            return images.list_images(session, order_id, after=after, limit=limit, state=state)

    def changes(self, order_id: UUID, after_revision: int) -> OrderChanges:
        """Return an order and its images that changed after a revision."""
        with self.database.read() as session:
            snapshot = snapshots.get_snapshot(session, order_id)
            if snapshot.order.revision <= after_revision:
                return OrderChanges(snapshot, ())
            return OrderChanges(snapshot, images.list_changed(session, order_id, after_revision))

    def revisions(self, order_ids: Sequence[UUID]) -> dict[UUID, int]:
        """Return the revisions of orders, of those that exist."""
        with self.database.read() as session:
            return snapshots.get_revisions(session, order_ids)
