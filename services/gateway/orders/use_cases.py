"""What the gateway does besides taking orders in: plain functions over the database, the blobs and the broker."""

from dataclasses import dataclass
from uuid import UUID

from services.common.db.engine import Database
from services.common.db.orders import orders, unowned_blobs
from services.common.db.orders.orders import Snapshot
from services.common.domain.orders import blob_prefix
from services.common.infra.blobs import BlobStore
from services.common.infra.broker import Broker
from services.common.refilling import refill_waiting


@dataclass(frozen=True)
class UseCases:
    """The use cases, over what they need."""

    database: Database
    blobs: BlobStore
    broker: Broker
    window: int
    """Images in the queue or at work at a time, shared by the orders."""

    def cancel(self, order_id: UUID) -> Snapshot:
        """Cancel what has not ended."""
        with self.database.write() as session:
            orders.cancel(session, order_id)
        self.broker.announce(order_id, ended=True)
        self.blobs.delete_prefix(f"{blob_prefix(order_id)}source/")
        refill_waiting(self.database, self.broker, self.window)
        with self.database.read() as session:
            return orders.snapshot(session, order_id)

    def delete(self, order_id: UUID) -> None:
        """Delete an order and all that belongs to it."""
        with self.database.write() as session:
            orders.delete_order(session, order_id)
            unowned_blobs.disown(session, order_id)
        self.broker.announce(order_id, ended=True)
        self.blobs.delete_prefix(blob_prefix(order_id))
        with self.database.write() as session:
            unowned_blobs.removed(session, order_id)
        refill_waiting(self.database, self.broker, self.window)
