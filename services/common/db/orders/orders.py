"""Statements about orders: stored, read, locked, counted, cancelled, deleted, expired."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast
from uuid import UUID

from sqlalchemy import bindparam, case, delete, func, insert, select, update
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.mail import deliveries
from services.common.db.models import ORDER_IS_OPEN, Delivery, Email, Image, Order, WebhookEvent, table
from services.common.db.orders import revisions, windows
from services.common.db.rows import rows_changed
from services.common.db.webhooks import outgoing
from services.common.domain.errors import FailedPrecondition, NotFound
from services.common.domain.follow_up import EnqueuedImage, FollowUp
from services.common.domain.orders import (
    DeliveryState,
    ImageQueue,
    ImageState,
    OrderState,
    fair_window,
    state_when_done,
)

_MOST_IDS = 1000
"""Ids in one statement."""
OPEN_STATES = tuple(state for state in OrderState if state.open)

_ORDERS, _IMAGES, _DELIVERY, _EMAILS = table(Order), table(Image), table(Delivery), table(Email)
_INSERT_ORDER, _INSERT_IMAGES = insert(_ORDERS).returning(*_ORDERS.c), insert(_IMAGES)
_SNAPSHOT = select(
    *_ORDERS.c,
    now(),
    select(func.count())
    .where(_IMAGES.c.order_id == _ORDERS.c.id, _IMAGES.c.state == ImageState.RUNNING)
    .scalar_subquery(),
).where(_ORDERS.c.id == bindparam("shown_id"))
_DELIVERIES = (
    select(
        *_DELIVERY.c,
        select(func.count()).where(_EMAILS.c.delivery_id == _DELIVERY.c.id).scalar_subquery(),
    )
    .where(_DELIVERY.c.order_id == bindparam("shown_id"))
    .order_by(_DELIVERY.c.requested_at.desc())
    .limit(20)
)
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
_EXPIRABLE = tuple(state for state in OrderState if not state.open and state is not OrderState.EXPIRED)
# Since it was listed, an order may have been extended, or be blurred again.
_LOCK_TO_EXPIRE = (
    select(_ORDERS)
    .where(
        _ORDERS.c.id.in_(bindparam("expiring_ids", expanding=True)),
        _ORDERS.c.state.in_(_EXPIRABLE),
        _ORDERS.c.expires_at < now(),
    )
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


@dataclass(frozen=True, kw_only=True)
class NewOrder:
    """An order to be stored; `spec` as JSON, `retention` in seconds."""

    id: UUID
    principal: str
    email: str | None = None
    mailbox: str | None = None
    """The hash of its mailbox; None without an address."""
    locale: str
    spec: str
    notify: bool
    retention: int
    upload_seconds: float = 0.0
    """How long its images took to arrive."""
    originals_seconds: int = 0
    """How long originals are kept after the order has finished."""
    webhook_url: str | None = None
    """Where events are posted."""


@dataclass(frozen=True, kw_only=True)
class NewImage:
    """An image to be stored; its original is in the blob store already."""

    id: UUID
    position: int
    filename: str
    spec: str | None
    size: int
    """In bytes."""
    sha256: str | None = None
    """As hex."""
    queue: ImageQueue = ImageQueue.BLUR
    """By its spec: FIND if something is to be found; FETCH if it has a source."""
    source: str | None = None
    """As JSON (`ImageSource`); its size is then an estimate, or 0."""
    target: str | None = None
    """`place:key`, without an extension."""


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


@dataclass(frozen=True, kw_only=True)
class StoredOrder:
    """An order that was stored by a transaction, and the images to enqueue after the commit."""

    snapshot: Snapshot
    enqueued: Sequence[EnqueuedImage]


def insert_order(session: Session, order: NewOrder, new_images: Sequence[NewImage], *, window: int) -> StoredOrder:
    """Store an order and its images, the first of each queue enqueued."""
    time = session.scalar(select(now())) or 0
    enqueued = [image for queue in ImageQueue for image in _first_images(session, new_images, queue, window)]
    enqueued_ids = {image.id for image in enqueued}
    row = session.execute(
        _INSERT_ORDER,
        {
            "id": order.id,
            "principal": order.principal,
            "email": order.email,
            "mailbox": order.mailbox,
            "locale": order.locale,
            "spec": order.spec,
            "state": OrderState.QUEUED,
            "total": len(new_images),
            "input_bytes": sum(image.size for image in new_images),
            "upload_began_at": time - int(order.upload_seconds * SECOND),
            "created_at": time,
            "expires_at": time + order.retention * SECOND,
            "originals_seconds": order.originals_seconds,
            "webhook_url": order.webhook_url,
        },
    ).one()
    session.execute(
        _INSERT_IMAGES,
        [
            {
                "id": image.id,
                "order_id": order.id,
                "position": image.position,
                "filename": image.filename,
                "spec": image.spec,
                "state": ImageState.QUEUED,
                "queue": image.queue,
                "enqueued_at": time if image.id in enqueued_ids else None,
                "input_bytes": image.size,
                "input_sha256": image.sha256,
                "source": image.source,
                "target": image.target,
            }
            for image in new_images
        ],
    )
    requests = []
    if order.notify:
        requests = [(deliveries.insert_delivery(session, order.id, DeliveryState.WAITING), 0)]
    snapshot = Snapshot(order=_order(row), running=0, deliveries=requests, read_at=time)
    return StoredOrder(snapshot=snapshot, enqueued=enqueued)


def _first_images(
    session: Session, new_images: Sequence[NewImage], queue: ImageQueue, window: int
) -> list[EnqueuedImage]:
    """Return the images of a new order that are enqueued at once: its share of the queue's window."""
    own = [EnqueuedImage(image.id, queue) for image in new_images if image.queue == queue]
    if not own:
        return []
    sharing, together = windows.get_sharing(session, queue, window=window)
    return own[: max(fair_window(window, sharing + 1), window - together)]


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
    shown_order = _order(order)
    events = outgoing.list_of_order(session, shown_order)
    return Snapshot(order=shown_order, running=running, deliveries=shown, read_at=read_at, webhook_events=events)


def _order(columns: Sequence[object]) -> Order:
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
        .execution_options(synchronize_session=False)
    )
    cancelled = rows_changed(result)
    ended = count_ended(session, order, succeeded=succeeded, failed=failed, cancelled=cancelled)
    state = OrderState(session.scalars(select(Order.state).where(Order.id == order_id)).one())
    return state, ended or FollowUp(ended_order_ids=[order_id])


def extend(session: Session, order_id: UUID, seconds: int) -> None:
    """Let an order expire so many seconds later.

    Raises:
        NotFound: There is no such order.
        FailedPrecondition: It has expired.
    """
    order = lock(session, order_id)
    if order is None:
        raise NotFound("order", str(order_id))
    if order.state == OrderState.EXPIRED:
        raise FailedPrecondition("ORDER_EXPIRED", f"orders/{order_id}", "the order has expired")
    # Before its end, too: then `expires_at` is the creation plus the retention, which counts from the end.
    session.execute(_COUNT, {"counted_id": order_id, "expires_at": order.expires_at + seconds * SECOND})


def delete_order(session: Session, order_id: UUID) -> None:
    """Remove an order with its images, deliveries and e-mails.

    Raises:
        NotFound: There is no such order.
    """
    if lock(session, order_id) is None:
        raise NotFound("order", str(order_id))
    session.execute(delete(Order).where(Order.id == order_id))


def owns_blobs(session: Session, order_id: UUID) -> bool:
    """Return whether the order exists and has not expired."""
    query = select(Order.id).where(Order.id == order_id, Order.state != OrderState.EXPIRED)
    return session.scalar(query) is not None


def list_open(session: Session, queue: ImageQueue) -> Sequence[UUID]:
    """Return all orders that are QUEUED or RUNNING and have images in a queue that have not ended."""
    open_image = select(Image.id).where(
        Image.order_id == Order.id,
        Image.queue == queue,
        Image.state.in_((ImageState.QUEUED, ImageState.RUNNING)),
    )
    return session.scalars(select(Order.id).where(ORDER_IS_OPEN, open_image.exists())).all()


def list_due_to_expire(session: Session, *, limit: int) -> Sequence[UUID]:
    """Return orders that have ended and whose retention is over."""
    return session.scalars(
        select(Order.id)
        .where(
            Order.state != OrderState.EXPIRED,
            Order.state.not_in(OPEN_STATES),
            Order.expires_at < now(),
        )
        .limit(limit)
    ).all()


def expire(session: Session, *order_ids: UUID) -> FollowUp:
    """Delete the addresses of orders and mark them as EXPIRED.

    Orders that are not due, that had expired before, or that another transaction has locked, are left alone.

    Returns:
        What is to be done after the commit; its `ended_order_ids` are those that have expired.
    """
    found = session.execute(_LOCK_TO_EXPIRE, {"expiring_ids": order_ids}).all()
    expired = [order.id for order in found]
    deliveries.cancel_open(session, *expired)
    session.execute(_EXPIRE, {"expiring_ids": expired})
    event_ids: list[UUID] = []
    for order in found:
        counts = {"succeeded": order.succeeded, "failed": order.failed, "cancelled": order.cancelled}
        event_ids += outgoing.insert_event(session, cast("Order", order), OrderState.EXPIRED, counts)
    return FollowUp(webhook_event_ids=event_ids, ended_order_ids=expired)
