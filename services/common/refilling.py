"""Gives waiting orders their share of the window: after a retry's delay, or when others that had a share have ended."""

from services.common.db.engine import Database
from services.common.db.orders import orders, windows
from services.common.infra.broker import Broker
from services.common.infra.messages import blur_image

BATCH = 1000
"""Orders taken up in one go; the next sweep takes the next ones."""


def refill_waiting(database: Database, broker: Broker, window: int) -> None:
    """Move images into the queue wherever an order has fewer there than its share.

    Raises:
        Unavailable: The database cannot be reached.
    """
    with database.read() as session:
        waiting = windows.underfilled(session, window=window, limit=BATCH)
    for order_id in waiting:
        # Each in a transaction of its own: whoever locked several orders at once could wait for somebody in a circle.
        with database.write(durable=False) as session:
            ids = windows.refill(session, order_id, window) if orders.lock(session, order_id) else []
        broker.send(map(blur_image, ids))
