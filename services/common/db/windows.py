"""Statements about windows: of each order only so many images are in the queue or at work at a time.

So one photograph ordered behind five thousand is not behind five thousand. Orders share the window.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, ScalarSelect, func, or_, select, update
from sqlalchemy.orm import Session

from services.common.db.clock import now
from services.common.db.models import Image, Order
from services.common.orders import ImageState, OrderState, fair_window

IN_FLIGHT: ColumnElement[bool] = or_(
    Image.state == ImageState.RUNNING, (Image.state == ImageState.QUEUED) & Image.enqueued_at.is_not(None)
)
_WAITING: ColumnElement[bool] = (
    (Image.state == ImageState.QUEUED) & Image.enqueued_at.is_(None) & (Image.not_before <= now())
)


def orders_in_flight(limit: int) -> ScalarSelect[int]:
    """How many orders have images in the queue or at work; counted up to `limit`, where the answer is the same."""
    some = select(Image.order_id).where(IN_FLIGHT).distinct().limit(limit).subquery()
    return select(func.count()).select_from(some).scalar_subquery()


def refill(session: Session, order_id: UUID, window: int) -> list[UUID]:
    """Move an order's next images into the queue, up to its share of `window`; the ids to enqueue.

    The order's row must be locked by this transaction: that is what makes two refills take turns.
    """
    own = select(func.count()).where(Image.order_id == order_id, IN_FLIGHT).scalar_subquery()
    in_flight, sharing = session.execute(select(own, orders_in_flight(window))).one()
    # The order counts among those that share even when it has nothing there at this moment.
    free = fair_window(window, max(1, sharing if in_flight else sharing + 1)) - in_flight
    if free <= 0:
        return []
    following = (
        select(Image.id).where(Image.order_id == order_id, _WAITING).order_by(Image.position).limit(free)
    ).scalar_subquery()
    return list(
        session.scalars(
            update(Image)
            .where(Image.id.in_(following))
            .values(enqueued_at=now())
            .returning(Image.id)
            .execution_options(synchronize_session=False)
        )
    )


def underfilled(session: Session, *, window: int, limit: int) -> Sequence[UUID]:
    """Orders with images to be done and room for them: after a retry's delay, or when others that shared have ended."""
    waiting = select(Image.id).where(Image.order_id == Order.id, _WAITING).exists()
    in_flight = select(func.count()).where(Image.order_id == Order.id, IN_FLIGHT).scalar_subquery()
    sharing = session.scalar(select(orders_in_flight(window))) or 0
    open_states = (OrderState.QUEUED, OrderState.RUNNING)
    return session.scalars(
        select(Order.id)
        .where(Order.state.in_(open_states), waiting, in_flight < fair_window(window, max(1, sharing)))
        .limit(limit)
    ).all()
