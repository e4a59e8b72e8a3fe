"""Statements that read an order as it is at one moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from services.common.db.clock import now
from services.common.db.models import Delivery, Email, Image, Order, WebhookEvent, table
from services.common.db.webhooks import outgoing
from services.common.domain.errors import NotFound
from services.common.domain.orders import ImageState

_MOST_IDS = 1000
"""Ids in one statement."""

_ORDERS, _IMAGES, _DELIVERY, _EMAILS = table(Order), table(Image), table(Delivery), table(Email)
_SNAPSHOT = select(
    *_ORDERS.c,
    now(),
    select(func.count())
    .where(_IMAGES.c.order_id == _ORDERS.c.id, _IMAGES.c.state == ImageState.RUNNING)
    .scalar_subquery(),
).where(_ORDERS.c.id == bindparam("shown_id"))
_DELIVERIES = (
    select(*_DELIVERY.c, select(func.count()).where(_EMAILS.c.delivery_id == _DELIVERY.c.id).scalar_subquery())
    .where(_DELIVERY.c.order_id == bindparam("shown_id"))
    .order_by(_DELIVERY.c.requested_at.desc())
    .limit(20)
)


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """An order at one moment."""

    order: Order
    running: int
    """How many of its images are RUNNING."""
    deliveries: Sequence[tuple[Delivery, int]]
    """The newest first, at most 20, each with its number of e-mails."""
    read_at: int
    """The database's time, microseconds."""
    webhook_events: Sequence[WebhookEvent] = ()
    """The newest first, at most 20."""


def get_snapshot(session: Session, order_id: UUID) -> Snapshot:
    """Return the order as it is now.

    Raises:
        NotFound: There is no such order.
    """
    row = session.execute(_SNAPSHOT, {"shown_id": order_id}).one_or_none()
    if row is None:
        raise NotFound("order", str(order_id))
    *order, read_at, running = row
    requests = session.execute(_DELIVERIES, {"shown_id": order_id})
    shown = [(_delivery(columns), count) for *columns, count in requests]
    shown_order = order_of(order)
    events = outgoing.list_of_order(session, shown_order)
    return Snapshot(order=shown_order, running=running, deliveries=shown, read_at=read_at, webhook_events=events)


def order_of(columns: Sequence[object]) -> Order:
    """Return an order of a row of its table."""
    return Order(**dict(zip(_ORDERS.c.keys(), columns, strict=True)))


def _delivery(columns: Sequence[object]) -> Delivery:
    return Delivery(**dict(zip(_DELIVERY.c.keys(), columns, strict=True)))


def get_revisions(session: Session, order_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return the revisions of these orders; those that do not exist are left out."""
    found: dict[UUID, int] = {}
    for begin in range(0, len(order_ids), _MOST_IDS):
        some = order_ids[begin : begin + _MOST_IDS]
        found |= {
            row.id: row.revision for row in session.execute(select(Order.id, Order.revision).where(Order.id.in_(some)))
        }
    return found
