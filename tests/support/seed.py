"""Finished orders by the million, written into a database without the services."""

import random
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, text, update

from services.common.db.clock import SECOND, now
from services.common.db.engine import Database
from services.common.db.models import Delivery, Email, Image, Installation, Order
from services.common.domain.spec import BlurSpec

IMAGES = 2
FAILED_SHARE = 200
"""One order of so many has an image that failed."""
MAILED_SHARE = 4
"""One order of so many was mailed."""
ADDRESSES = 50_000
BATCH = 5_000
_SPEC = BlurSpec().to_json()


def seed_orders(
    database: Database, count: int, *, days: float, progress: Callable[[int], None] = lambda _: None
) -> None:
    """Write orders of two images each that finished within so many days up to now and expire after as many.

    The same numbers each time, IDs included.
    """
    numbers = random.Random(7)
    with database.read() as session:
        end = session.scalar(select(now())) or 0
    step = days * 24 * 3600 * SECOND / max(1, count)
    with database.engine.connect() as connection:
        if database.is_sqlite:
            connection.execute(text("PRAGMA cache_size = -500000"))
    for first in range(0, count, BATCH):
        batch = range(first, min(first + BATCH, count))
        orders: list[dict[str, Any]] = []
        images: list[dict[str, Any]] = []
        deliveries: list[dict[str, Any]] = []
        emails: list[dict[str, Any]] = []
        for number in batch:
            finished = int(end - (count - number) * step)
            order = _order(numbers, number, finished, lifetime=int(days * 24 * 3600 * SECOND) + 3600 * SECOND)
            orders.append(order)
            images += _images(numbers, order, finished)
            if number % MAILED_SHARE == 0:
                delivery, email = _mail(numbers, order, finished)
                deliveries.append(delivery)
                emails.append(email)
        with database.write(durable=False) as session:
            for model, rows in ((Order, orders), (Image, images), (Delivery, deliveries), (Email, emails)):
                session.execute(insert(model), rows)
        progress(batch[-1] + 1)
    with database.write() as session:
        session.execute(update(Installation).values(installed_at=int(end - step * count)))
    with database.engine.connect() as connection:
        connection.execute(text("ANALYZE"))
        connection.commit()


def _order(numbers: random.Random, number: int, finished: int, *, lifetime: int) -> dict[str, Any]:
    failed = number % FAILED_SHARE == 0
    return {
        "id": _id(numbers),
        "principal": f"ip:10.{number % 50}.0.0",
        "email": f"person{number % ADDRESSES}@example.org",
        "locale": "en",
        "spec": _SPEC,
        "state": "PARTIALLY_FAILED" if failed else "SUCCEEDED",
        "total": IMAGES,
        "succeeded": IMAGES - failed,
        "failed": int(failed),
        "revision": 6,
        "created_at": finished - 2 * SECOND,
        "started_at": finished - SECOND,
        "finished_at": finished,
        "expires_at": finished + lifetime,
    }


def _images(numbers: random.Random, order: dict[str, Any], finished: int) -> Iterator[dict[str, Any]]:
    for position in range(1, IMAGES + 1):
        failed = position <= order["failed"]
        yield {
            "id": _id(numbers),
            "order_id": order["id"],
            "position": position,
            "filename": f"photograph{position}.jpg",
            "state": "FAILED" if failed else "SUCCEEDED",
            "reason": "CORRUPT" if failed else None,
            "message": "the image is damaged" if failed else None,
            "attempts": 1,
            "enqueued_at": finished - SECOND,
            "started_at": finished - int(numbers.expovariate(5) * SECOND),
            "finished_at": finished,
            "revision": 2 + position,
            "input_bytes": 400_000,
            "input_sha256": f"{numbers.getrandbits(256):064x}",
            "output_bytes": 0 if failed else 300_000,
            "output_sha256": None if failed else f"{numbers.getrandbits(256):064x}",
            "width": 2000,
            "height": 1000,
            "format": None if failed else "JPEG",
            "engine": "seed",
            "cleaned_up": True,
        }


def _mail(numbers: random.Random, order: dict[str, Any], finished: int) -> tuple[dict[str, Any], dict[str, Any]]:
    delivery = {
        "id": _id(numbers),
        "order_id": order["id"],
        "state": "SENT",
        "requested_at": finished - SECOND,
        "finished_at": finished + SECOND,
    }
    email = {
        "id": _id(numbers),
        "kind": "ORDER_READY",
        "delivery_id": delivery["id"],
        "state": "SENT",
        "attempts": 1,
        "started_at": finished,
        "sent_at": finished + SECOND,
        "smtp_reply": "250 ok",
    }
    return delivery, email


def _id(numbers: random.Random) -> UUID:
    return UUID(int=numbers.getrandbits(128), version=4)
