"""Statements about the end of orders' retention."""

from collections.abc import Sequence
from typing import cast
from uuid import UUID

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.mail import deliveries
from services.common.db.models import Order, table
from services.common.db.orders import orders
from services.common.db.webhooks import outgoing
from services.common.domain.errors import FailedPrecondition, NotFound
from services.common.domain.follow_up import FollowUp
from services.common.domain.orders import OrderState

_ORDERS = table(Order)
_EXPIRABLE = {state for state in OrderState if not state.open and state is not OrderState.EXPIRED}
# Whether they are due is compared afterwards: as a condition, SQLite would read the index of all that are.
_LOCK_TO_EXPIRE = (
    select(_ORDERS, (_ORDERS.c.expires_at < now()).label("due"))
    .where(_ORDERS.c.id.in_(bindparam("expiring_ids", expanding=True)))
    .order_by(_ORDERS.c.id)
    .with_for_update(skip_locked=True)
)
_EXPIRE = (
    update(_ORDERS)
    .where(_ORDERS.c.id.in_(bindparam("expiring_ids", expanding=True)))
    .values(
        revision=_ORDERS.c.revision + 1,
        state=OrderState.EXPIRED,
        email=None,
        mailbox=None,
        webhook_url=None,
        originals_seconds=0,
        originals_until=None,
    )
)


def extend(session: Session, order_id: UUID, seconds: int) -> None:
    """Let an order expire so many seconds later.

    Raises:
        NotFound: There is no such order.
        FailedPrecondition: It has expired.
    """
    order = orders.lock(session, order_id)
    if order is None:
        raise NotFound("order", str(order_id))
    if order.state == OrderState.EXPIRED:
        raise FailedPrecondition("ORDER_EXPIRED", f"orders/{order_id}", "the order has expired")
    # Before its end, too: then `expires_at` is the creation plus the retention, which counts from the end.
    expires_at = order.expires_at + seconds * SECOND
    session.execute(update(_ORDERS).where(_ORDERS.c.id == order_id).values(expires_at=expires_at))


def list_due_to_expire(session: Session, *, limit: int) -> Sequence[UUID]:
    """Return orders that have ended and whose retention is over."""
    return session.scalars(
        select(Order.id)
        .where(Order.state != OrderState.EXPIRED, Order.state.not_in(orders.OPEN_STATES), Order.expires_at < now())
        .limit(limit)
    ).all()


def expire(session: Session, *order_ids: UUID) -> FollowUp:
    """Delete the addresses of orders and mark them as EXPIRED.

    Orders that are not due, that had expired before, or that another transaction has locked, are left alone.

    Returns:
        What is to be done after the commit; its `ended_order_ids` are those that have expired.
    """
    locked = session.execute(_LOCK_TO_EXPIRE, {"expiring_ids": order_ids})
    # Since it was listed, an order may have been extended, or be blurred again.
    found = [row for row in locked if row.due and row.state in _EXPIRABLE]
    expired = [order.id for order in found]
    deliveries.cancel_open(session, *expired)
    session.execute(_EXPIRE, {"expiring_ids": expired})
    event_ids: list[UUID] = []
    for order in found:
        counts = {"succeeded": order.succeeded, "failed": order.failed, "cancelled": order.cancelled}
        event_ids += outgoing.insert_event(session, cast("Order", order), OrderState.EXPIRED, counts)
    return FollowUp(webhook_event_ids=event_ids, ended_order_ids=expired)
