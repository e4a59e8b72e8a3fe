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
    """Stores an order; its id, its images' ids, and the ids that were enqueued."""

    def place(count: int = 3, *, window: int = 2, notify: bool = False) -> tuple[UUID, list[UUID], list[UUID]]:
        order = NewOrder(
            id=uuid4(),
            principal="test",
            email="a@example.org",
            locale="en",
            spec=BlurSpec().to_json(),
            notify=notify,
            retention=3600,
        )
        images = [
            NewImage(id=uuid4(), position=position, filename=f"{position}.jpg", spec=None, size=10)
            for position in range(1, count + 1)
        ]
        with database.write() as session:
            stored = orders.insert_order(session, order, images, window=window)
        return order.id, [image.id for image in images], list(stored.enqueued_ids)

    return place
