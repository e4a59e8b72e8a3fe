"""Orders to work on."""

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest

from services.common.db.engine import Database
from services.common.db.orders import orders
from services.common.db.orders.orders import NewImage, NewOrder
from services.common.domain.spec import BlurSpec

Place = Callable[..., tuple[UUID, list[UUID], list[UUID]]]


@pytest.fixture
def place(database: Database) -> Place:
    """Stores an order; its id, its images' ids, and the ids that were put into the queue."""

    def place(count: int = 3, *, window: int = 2, notify: bool = False) -> tuple[UUID, list[UUID], list[UUID]]:
        order = NewOrder(uuid4(), "test", "a@example.org", "en", BlurSpec().to_json(), notify, retention=3600)
        images = [NewImage(uuid4(), position, f"{position}.jpg", None, 10) for position in range(1, count + 1)]
        with database.write() as session:
            stored = orders.insert_order(session, order, images, window=window)
        return order.id, [image.id for image in images], list(stored.queued)

    return place
