"""Orders to work on."""

from collections.abc import Callable
from uuid import UUID

import pytest

from services.common.db.engine import Database
from tests.support.factories import place_order

Place = Callable[..., tuple[UUID, list[UUID], list[UUID]]]


@pytest.fixture
def place(database: Database) -> Place:
    """Stores an order; its id, its images' ids, and the ids that were enqueued."""

    def place(count: int = 3, *, window: int = 2, notify: bool = False) -> tuple[UUID, list[UUID], list[UUID]]:
        order = place_order(database, count, window=window, notify=notify)
        return order.id, list(order.image_ids), list(order.enqueued_ids)

    return place
