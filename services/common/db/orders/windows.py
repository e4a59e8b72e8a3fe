"""Statements about windows: of each order only so many images are in the queue or at work at a time.

So one photograph ordered behind five thousand is not behind five thousand. Orders share the window.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, Exists, ScalarSelect, bindparam, func, literal, or_, select, update
from sqlalchemy.orm import Session

from services.common.db.clock import now
from services.common.db.models import Image, Order, table, written
from services.common.domain.orders import ImageState, OrderState, fair_window

_IMAGES = table(Image)
_QUEUED = _IMAGES.c.state == written(ImageState.QUEUED)
SENT: ColumnElement[bool] = _QUEUED & _IMAGES.c.enqueued_at.is_not(None)
IN_FLIGHT: ColumnElement[bool] = or_(_IMAGES.c.state == written(ImageState.RUNNING), SENT)
_WAITING: ColumnElement[bool] = _QUEUED & _IMAGES.c.enqueued_at.is_(None) & (_IMAGES.c.not_before <= now())


def first_waiting(order_id: ColumnElement[UUID]) -> ScalarSelect[UUID]:
    """The next of an order's images that is not in the queue yet."""
    waiting = select(_IMAGES.c.id).where(_IMAGES.c.order_id == order_id, _WAITING)
    return waiting.order_by(_IMAGES.c.position).limit(1).scalar_subquery()


def others_sent(order_id: ColumnElement[UUID]) -> Exists:
    """Whether an image of another order waits in the queue."""
    others = _IMAGES.alias("others")
    sent = (others.c.state == written(ImageState.QUEUED)) & others.c.enqueued_at.is_not(None)
    return select(others.c.id).where(sent, others.c.order_id != order_id).exists()


def orders_in_flight() -> ScalarSelect[int]:
    """How many orders have images in the queue or at work; counted up to `window`, where it is the same."""
    some = select(_IMAGES.c.order_id).where(IN_FLIGHT).distinct().limit(bindparam("window")).subquery()
    return select(func.count()).select_from(some).scalar_subquery()


def images_in_flight() -> ScalarSelect[int]:
    """How many images are in the queue or at work; counted up to `window`."""
    some = select(_IMAGES.c.id).where(IN_FLIGHT).limit(bindparam("window")).subquery()
    return select(func.count()).select_from(some).scalar_subquery()


_SHARES = select(
    select(func.count()).where(_IMAGES.c.order_id == bindparam("filled_id"), IN_FLIGHT).scalar_subquery(),
    orders_in_flight(),
    images_in_flight(),
)
_REFILL = (
    update(_IMAGES)
    .where(
        _IMAGES.c.id.in_(
            select(_IMAGES.c.id)
            .where(_IMAGES.c.order_id == bindparam("filled_id"), _WAITING)
            .order_by(_IMAGES.c.position)
            .limit(bindparam("free"))
            .scalar_subquery()
        )
    )
    .values(enqueued_at=now())
    .returning(_IMAGES.c.id)
)


def refill(session: Session, order_id: UUID, window: int) -> list[UUID]:
    """Move an order's next images into the queue: its share of `window`, or more if others leave room; their ids.

    The order's row must be locked by this transaction: that is what makes two refills take turns.
    """
    own, sharing, together = session.execute(_SHARES, {"filled_id": order_id, "window": window}).one()
    # The order counts among those that share even when it has nothing there at this moment.
    share = fair_window(window, max(1, sharing if own else sharing + 1))
    # What the others leave of the window is not left empty.
    free = max(share - own, window - together)
    if free <= 0:
        return []
    return list(session.scalars(_REFILL, {"filled_id": order_id, "free": free}))


def underfilled(session: Session, *, window: int, limit: int) -> Sequence[UUID]:
    """Orders with images to be done and room for them: after a retry's delay, or when others that shared have ended."""
    waiting = select(Image.id).where(Image.order_id == Order.id, _WAITING).exists()
    in_flight = select(func.count()).where(Image.order_id == Order.id, IN_FLIGHT).scalar_subquery()
    sharing, together = session.execute(select(orders_in_flight(), images_in_flight()), {"window": window}).one()
    enough = literal(together >= window) & (in_flight >= fair_window(window, max(1, sharing)))
    open_states = (OrderState.QUEUED, OrderState.RUNNING)
    return session.scalars(select(Order.id).where(Order.state.in_(open_states), waiting, ~enough).limit(limit)).all()
