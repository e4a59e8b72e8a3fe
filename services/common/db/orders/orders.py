"""Statements that change an order: locked, counted, cancelled, deleted."""

from collections.abc import Sequence
from typing import cast
from uuid import UUID

from sqlalchemy import bindparam, case, delete, func, select, update
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.mail import deliveries
from services.common.db.models import ORDER_IS_OPEN, Image, Order, table
from services.common.db.orders import revisions
from services.common.db.rows import rows_changed
from services.common.db.webhooks import outgoing
from services.common.domain.errors import NotFound
from services.common.domain.follow_up import FollowUp
from services.common.domain.orders import ImageQueue, ImageState, OrderState, state_when_done

OPEN_STATES = tuple(state for state in OrderState if state.open)

_ORDERS = table(Order)
_LOCK = (
    update(_ORDERS)
    .where(_ORDERS.c.id == bindparam("locked_id"))
    .values(revision=_ORDERS.c.revision + 1)
    .returning(*_ORDERS.c)
)
_LOCK_AND_START = _LOCK.values(
    state=case((_ORDERS.c.state == OrderState.QUEUED, OrderState.RUNNING), else_=_ORDERS.c.state),
    started_at=func.coalesce(_ORDERS.c.started_at, now()),
)
_COUNT = update(_ORDERS).where(_ORDERS.c.id == bindparam("counted_id"))
_END = _COUNT.values(
    finished_at=now(),
    expires_at=now() + bindparam("retention"),
    # Set once: a revision does not keep originals longer.
    originals_until=case(
        (
            _ORDERS.c.originals_seconds > 0,
            func.coalesce(_ORDERS.c.originals_until, now() + _ORDERS.c.originals_seconds * SECOND),
        ),
        else_=None,
    ),
)
_END_CANCELLED = _END.values(originals_seconds=0, originals_until=None)


def lock(session: Session, order_id: UUID) -> Order | None:
    """Lock an order's row until the transaction ends, and increment its revision; None if it does not exist.

    Returns:
        The order after that, read-only: a row of the table, which costs a worker less than a model.
    """
    return cast("Order | None", session.execute(_LOCK, {"locked_id": order_id}).one_or_none())


def lock_and_start(session: Session, order_id: UUID) -> Order | None:
    """Lock an order as `lock` does, and mark it as RUNNING if it was QUEUED."""
    return cast("Order | None", session.execute(_LOCK_AND_START, {"locked_id": order_id}).one_or_none())


def set_address(session: Session, order_id: UUID, *, email: str, mailbox: str, email_principal: str) -> None:
    """Give a locked order an address: its results are sent there.

    Args:
        session: The transaction.
        order_id: The order.
        email: The address.
        mailbox: The hash of its mailbox.
        email_principal: Who gives it.
    """
    session.execute(
        update(_ORDERS)
        .where(_ORDERS.c.id == order_id)
        .values(email=email, mailbox=mailbox, email_principal=email_principal)
    )


def count_ended(
    session: Session, order: Order, *, succeeded: int = 0, failed: int = 0, cancelled: int = 0
) -> FollowUp | None:
    """Count images that have ended in an order locked by this transaction; with the last of them, end the order.

    Returns:
        What is to be done after the commit if the order has ended, else None.
    """
    counts = {
        "succeeded": order.succeeded + succeeded,
        "failed": order.failed + failed,
        "cancelled": order.cancelled + cancelled,
    }
    if sum(counts.values()) < order.total:
        session.execute(_COUNT, {"counted_id": order.id, **counts})
        return None
    state = state_when_done(**counts)
    # The retention begins when there are results to keep.
    retention = order.expires_at - order.created_at
    end = _END_CANCELLED if state is OrderState.CANCELLED else _END
    session.execute(end, {"counted_id": order.id, "retention": retention, "state": state, **counts})
    event_ids = outgoing.insert_event(session, order, state, counts)
    if state is OrderState.CANCELLED:
        deliveries.cancel_open(session, order.id)
        email_ids = []
    else:
        email_ids = deliveries.release_waiting(session, order.id)
    return FollowUp(email_ids=email_ids, webhook_event_ids=event_ids, ended_order_ids=[order.id], window_freed=True)


def cancel(session: Session, order_id: UUID) -> tuple[OrderState, FollowUp | None]:
    """Cancel the images that have not ended; without effect on an order that has ended.

    Images that were being revised end as they were.

    Returns:
        The state of the order afterwards, and what is to be done after the commit; None if it had ended before.

    Raises:
        NotFound: There is no such order.
    """
    order = lock(session, order_id)
    if order is None:
        raise NotFound("order", str(order_id))
    if not OrderState(order.state).open:
        return OrderState(order.state), None
    succeeded, failed = revisions.cancel_revisions(session, order)
    result = session.execute(
        update(Image)
        .where(Image.order_id == order_id, Image.state.in_((ImageState.QUEUED, ImageState.RUNNING)))
        .values(state=ImageState.CANCELLED, owner=None, lease_until=None, finished_at=now(), revision=order.revision)
    )
    cancelled = rows_changed(result)
    ended = count_ended(session, order, succeeded=succeeded, failed=failed, cancelled=cancelled)
    state = OrderState(session.scalars(select(Order.state).where(Order.id == order_id)).one())
    return state, ended or FollowUp(ended_order_ids=[order_id])


def delete_order(session: Session, order_id: UUID) -> None:
    """Remove an order with its images, deliveries and e-mails.

    Raises:
        NotFound: There is no such order.
    """
    if lock(session, order_id) is None:
        raise NotFound("order", str(order_id))
    session.execute(delete(Order).where(Order.id == order_id))


def count_images(session: Session, order_id: UUID) -> int:
    """Return how many images an order has; 0 if it was deleted."""
    return session.scalar(select(_ORDERS.c.total).where(_ORDERS.c.id == order_id)) or 0


def owns_blobs(session: Session, order_id: UUID) -> bool:
    """Return whether the order exists and has not expired."""
    query = select(Order.id).where(Order.id == order_id, Order.state != OrderState.EXPIRED)
    return session.scalar(query) is not None


def list_open(session: Session, queue: ImageQueue) -> Sequence[UUID]:
    """Return all orders that are QUEUED or RUNNING and have images in a queue that have not ended."""
    open_image = select(Image.id).where(
        Image.order_id == Order.id, Image.queue == queue, Image.state.in_((ImageState.QUEUED, ImageState.RUNNING))
    )
    return session.scalars(select(Order.id).where(ORDER_IS_OPEN, open_image.exists())).all()
