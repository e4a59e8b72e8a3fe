"""Statements about windows: of each order only a few images are queued in the broker or running at a time.

So an order of one image does not wait for the five thousand images of the order before. Orders share the window. Each
queue of images has a window of its own: images that wait for workers that can find delay no others.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, Exists, ScalarSelect, bindparam, func, literal, or_, select, update
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.models import ORDER_IS_OPEN, Image, Order, sql_literal, table
from services.common.domain.follow_up import EnqueuedImage
from services.common.domain.orders import ImageQueue, ImageState, fair_window
from services.common.domain.retries import IMAGE_RETRIES

_IMAGES = table(Image)
_QUEUED = _IMAGES.c.state == sql_literal(ImageState.QUEUED)
ENQUEUED: ColumnElement[bool] = _QUEUED & _IMAGES.c.enqueued_at.is_not(None)
_IN_QUEUE: ColumnElement[bool] = _IMAGES.c.queue == bindparam("served_queue")
IN_FLIGHT: ColumnElement[bool] = or_(_IMAGES.c.state == sql_literal(ImageState.RUNNING), ENQUEUED)
# Images that were claimed together are blurred one after another, by one child process: they take one place.
_SLOT: ColumnElement[UUID] = func.coalesce(_IMAGES.c.owner, _IMAGES.c.id)
_SLOTS: ColumnElement[int] = func.count(_SLOT.distinct())
# Further ahead than any delay: the database's clock was set back since.
_DUE = (_IMAGES.c.not_before <= now()) | (_IMAGES.c.not_before > now() + int(IMAGE_RETRIES.longest_delay * SECOND))
_WAITING: ColumnElement[bool] = _QUEUED & _IMAGES.c.enqueued_at.is_(None) & _DUE


def first_waiting(order_id: ColumnElement[UUID], count: ColumnElement[int]) -> ScalarSelect[UUID]:
    """Return an order's next images in `queue` that are not enqueued yet and were never attempted, up to `count`."""
    waiting = select(_IMAGES.c.id).where(_IMAGES.c.order_id == order_id, _IN_QUEUE, _WAITING, _IMAGES.c.attempts == 0)
    return waiting.order_by(_IMAGES.c.position).limit(count).scalar_subquery()


def others_enqueued(order_id: ColumnElement[UUID]) -> Exists:
    """Return the condition that an image of another order is enqueued in `queue`."""
    others = _IMAGES.alias("others")
    enqueued = (others.c.state == sql_literal(ImageState.QUEUED)) & others.c.enqueued_at.is_not(None)
    in_queue = others.c.queue == bindparam("served_queue")
    return select(others.c.id).where(enqueued, in_queue, others.c.order_id != order_id).exists()


def orders_in_flight() -> ScalarSelect[int]:
    """Return the number of orders with images of `queue` enqueued or running.

    Counted up to `window`: more makes no difference.
    """
    some = select(_IMAGES.c.order_id).where(_IN_QUEUE, IN_FLIGHT).distinct().limit(bindparam("window")).subquery()
    return select(func.count()).select_from(some).scalar_subquery()


def images_in_flight() -> ScalarSelect[int]:
    """Return the number of images of `queue` enqueued or running, counted up to `window`; of a claim one."""
    some = select(_SLOT).where(_IN_QUEUE, IN_FLIGHT).distinct().limit(bindparam("window")).subquery()
    return select(func.count()).select_from(some).scalar_subquery()


_SHARING = select(orders_in_flight(), images_in_flight())
_SHARES = select(
    select(_SLOTS).where(_IMAGES.c.order_id == bindparam("filled_id"), _IN_QUEUE, IN_FLIGHT).scalar_subquery(),
    orders_in_flight(),
    images_in_flight(),
)
_REFILL = (
    update(_IMAGES)
    .where(
        _IMAGES.c.id.in_(
            select(_IMAGES.c.id)
            .where(_IMAGES.c.order_id == bindparam("filled_id"), _IN_QUEUE, _WAITING)
            .order_by(_IMAGES.c.position)
            .limit(bindparam("free"))
            .scalar_subquery()
        )
    )
    .values(enqueued_at=now())
    .returning(_IMAGES.c.id)
)


def refill(session: Session, order_id: UUID, queue: ImageQueue, window: int) -> list[EnqueuedImage]:
    """Mark an order's next images of a queue as enqueued: its share of `window`, or more if other orders leave room.

    The order's row must be locked by this transaction, so that two refills of an order never run at the same time.

    Returns:
        The images to enqueue after the commit.
    """
    which = {"filled_id": order_id, "served_queue": queue}
    own, sharing, together = session.execute(_SHARES, {**which, "window": window}).one()
    # The order counts among those that share even while it has no images in flight.
    share = fair_window(window, max(1, sharing if own else sharing + 1))
    # Room that others do not use is not left empty.
    free = max(share - own, window - together)
    if free <= 0:
        return []
    return [EnqueuedImage(image_id, queue) for image_id in session.scalars(_REFILL, {**which, "free": free})]


def get_sharing(session: Session, queue: ImageQueue, *, window: int) -> tuple[int, int]:
    """Return the numbers of orders and of images that use a queue's window now, each counted up to `window`."""
    sharing, together = session.execute(_SHARING, {"served_queue": queue, "window": window}).one()
    return sharing, together


def refill_all(session: Session, order_id: UUID, window: int) -> list[EnqueuedImage]:
    """Refill an order's windows of all queues, as `refill` does."""
    return [image for queue in ImageQueue for image in refill(session, order_id, queue, window)]


def list_orders_to_refill(session: Session, queue: ImageQueue, *, window: int, limit: int) -> Sequence[UUID]:
    """Return orders with waiting images in a queue and room for them.

    There is room after a retry's delay, or when other orders have ended.
    """
    waiting = select(Image.id).where(Image.order_id == Order.id, Image.queue == queue, _WAITING).exists()
    in_flight = select(_SLOTS).where(Image.order_id == Order.id, Image.queue == queue, IN_FLIGHT).scalar_subquery()
    sharing, together = get_sharing(session, queue, window=window)
    enough = literal(together >= window) & (in_flight >= fair_window(window, max(1, sharing)))
    return session.scalars(select(Order.id).where(ORDER_IS_OPEN, waiting, ~enough).limit(limit)).all()
