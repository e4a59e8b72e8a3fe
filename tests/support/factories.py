"""Orders and images for tests, with what a test does not care about filled in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import update
from sqlalchemy.orm import Session

from services.common.db.clock import now
from services.common.db.engine import Database
from services.common.db.models import Image, Order
from services.common.db.orders import new_orders
from services.common.db.orders.new_orders import NewImage, NewOrder
from services.common.domain.orders import OrderState
from services.common.domain.spec import BlurSpec


def new_order(**values: Any) -> NewOrder:
    """Return an order with these values of `NewOrder`."""
    defaults: dict[str, Any] = {
        "id": uuid4(),
        "principal": "test",
        "email": "a@example.org",
        "locale": "en",
        "spec": BlurSpec().to_json(),
        "notify": False,
        "retention": 3600,
    }
    return NewOrder(**(defaults | values))


def new_images(*filenames: str, count: int = 1, **values: Any) -> list[NewImage]:
    """Return images with these names, or so many; all have these values of `NewImage`."""
    defaults: dict[str, Any] = {"spec": None, "size": 10}
    return [
        NewImage(id=uuid4(), position=position, filename=name, **(defaults | values))
        for position, name in enumerate(filenames or [f"{n}.jpg" for n in range(1, count + 1)], 1)
    ]


def end_retention(session: Session, *order_ids: UUID, state: OrderState | None = None) -> None:
    """Make orders due to expire; with a state, they have ended with it."""
    values: dict[str, object] = {"expires_at": 1} | ({"state": state} if state else {})
    session.execute(update(Order).where(Order.id.in_(order_ids)).values(values))


@dataclass(frozen=True)
class PlacedOrder:
    """An order in the database."""

    id: UUID
    image_ids: Sequence[UUID]
    enqueued_ids: Sequence[UUID]
    """Of those images for which messages have to be sent."""


def place_order(
    database: Database, images: Sequence[NewImage] | int = 1, *, window: int = 1, **values: Any
) -> PlacedOrder:
    """Store an order with these images, or so many, and these values of `NewOrder`."""
    order, new = new_order(**values), new_images(count=images) if isinstance(images, int) else images
    with database.write() as session:
        stored = new_orders.insert_order(session, order, new, window=window)
    return PlacedOrder(order.id, [image.id for image in new], [image.id for image in stored.enqueued])


def enqueue_again(database: Database) -> None:
    """Enqueue images that wait for a retry, as the sweep does after their delay."""
    with database.write() as session:
        session.execute(update(Image).values(enqueued_at=now()))
