"""Statements about orders as wholes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast
from uuid import UUID

from sqlalchemy import CursorResult, delete, func, insert, select, update
from sqlalchemy.orm import Session

from services.common.db import deliveries, windows
from services.common.db.clock import SECOND, now
from services.common.db.models import Delivery, Image, Letter, Order
from services.common.errors import NotFound
from services.common.orders import DeliveryState, ImageState, OrderState, fair_window, state_when_done

_MOST_IDS = 1000
"""In one statement."""


@dataclass(frozen=True)
class NewOrder:
    """An order to be stored; `spec` as JSON, `retention` in seconds."""

    id: UUID
    principal: str
    email: str
    locale: str
    spec: str
    notify: bool
    retention: int


@dataclass(frozen=True)
class NewImage:
    """An image to be stored; its original is in the blob store already."""

    id: UUID
    position: int
    filename: str
    spec: str | None
    size: int
    """In bytes."""


@dataclass(frozen=True)
class Snapshot:
    """An order at one moment."""

    order: Order
    running: int
    """Images being worked on."""
    deliveries: Sequence[tuple[Delivery, int]]
    """The newest first, at most 20, each with its number of letters."""
    read_at: int
    """The database's time, microseconds."""


def insert_order(session: Session, order: NewOrder, new_images: Sequence[NewImage], *, window: int) -> list[UUID]:
    """Store an order and its images; the ids that are to be enqueued once it is committed."""
    time, others = session.execute(select(now(), windows.orders_in_flight(window))).one()
    window = fair_window(window, others + 1)
    session.execute(
        insert(Order).values(
            id=order.id,
            principal=order.principal,
            email=order.email,
            locale=order.locale,
            spec=order.spec,
            state=OrderState.QUEUED,
            total=len(new_images),
            created_at=time,
            expires_at=time + order.retention * SECOND,
        )
    )
    session.execute(
        insert(Image),
        [
            {
                "id": image.id,
                "order_id": order.id,
                "position": image.position,
                "filename": image.filename,
                "spec": image.spec,
                "state": ImageState.QUEUED,
                "enqueued_at": time if index < window else None,
                "input_bytes": image.size,
            }
            for index, image in enumerate(new_images)
        ],
    )
    if order.notify:
        deliveries.insert_delivery(session, order.id, DeliveryState.WAITING)
    return [image.id for image in new_images[:window]]


def snapshot(session: Session, order_id: UUID) -> Snapshot:
    """The order as it is now.

    Raises:
        NotFound: There is no such order.
    """
    row = session.execute(
        select(
            Order,
            now(),
            select(func.count()).where(Image.order_id == order_id, Image.state == ImageState.RUNNING).scalar_subquery(),
        ).where(Order.id == order_id)
    ).one_or_none()
    if row is None:
        raise NotFound("order", str(order_id))
    order, read_at, running = row
    letters = select(func.count()).where(Letter.delivery_id == Delivery.id).correlate(Delivery).scalar_subquery()
    requests = session.execute(
        select(Delivery, letters).where(Delivery.order_id == order_id).order_by(Delivery.requested_at.desc()).limit(20)
    ).all()
    return Snapshot(order, running, [(delivery, count) for delivery, count in requests], read_at)


def revisions(session: Session, order_ids: Sequence[UUID]) -> dict[UUID, int]:
    """The revisions of orders, of those that there are."""
    found: dict[UUID, int] = {}
    for begin in range(0, len(order_ids), _MOST_IDS):
        some = order_ids[begin : begin + _MOST_IDS]
        found |= {
            row.id: row.revision for row in session.execute(select(Order.id, Order.revision).where(Order.id.in_(some)))
        }
    return found


def lock(session: Session, order_id: UUID, **changes: object) -> Order | None:
    """Bump the order's revision, which holds its row until the transaction ends; the row, or None without one.

    `changes` are made by the same statement: values or expressions by column.
    """
    return session.scalar(
        update(Order)
        .where(Order.id == order_id)
        .values(revision=Order.revision + 1, **changes)
        .returning(Order)
        .execution_options(populate_existing=True, synchronize_session=False)
    )


def end(session: Session, order: Order) -> list[UUID]:
    """End an order, locked by this transaction, whose images have all ended; the letters to enqueue."""
    order.state = state_when_done(succeeded=order.succeeded, failed=order.failed, cancelled=order.cancelled)
    # It was accepted to be kept for a time, and that begins when there is something to keep.
    retention = order.expires_at - order.created_at
    order.finished_at = now()
    order.expires_at = now() + retention
    cancelled = order.state == OrderState.CANCELLED
    session.flush()
    if cancelled:
        deliveries.cancel_open(session, order.id)
        return []
    return deliveries.release_waiting(session, order.id)


def cancel(session: Session, order_id: UUID) -> Order:
    """Cancel what has not ended; without effect on an order that has.

    Raises:
        NotFound: There is no such order.
    """
    order = lock(session, order_id)
    if order is None:
        raise NotFound("order", str(order_id))
    if OrderState(order.state).open:
        result = session.execute(
            update(Image)
            .where(Image.order_id == order_id, Image.state.in_((ImageState.QUEUED, ImageState.RUNNING)))
            .values(
                state=ImageState.CANCELLED, owner=None, lease_until=None, finished_at=now(), revision=order.revision
            )
            .execution_options(synchronize_session=False)
        )
        order.cancelled += cast("CursorResult[tuple[()]]", result).rowcount
        end(session, order)
    return order


def delete_order(session: Session, order_id: UUID) -> None:
    """Remove an order with its images, deliveries and letters.

    Raises:
        NotFound: There is no such order.
    """
    if lock(session, order_id) is None:
        raise NotFound("order", str(order_id))
    session.execute(delete(Order).where(Order.id == order_id))


def keeps_blobs(session: Session, order_id: UUID) -> bool:
    """Whether there is such an order and it has not expired."""
    query = select(Order.id).where(Order.id == order_id, Order.state != OrderState.EXPIRED)
    return session.scalar(query) is not None


def due_to_expire(session: Session, *, limit: int) -> Sequence[UUID]:
    """Finished orders that are past their time."""
    return session.scalars(
        select(Order.id)
        .where(
            Order.state != OrderState.EXPIRED,
            Order.state.not_in((OrderState.QUEUED, OrderState.RUNNING)),
            Order.expires_at < now(),
        )
        .limit(limit)
    ).all()


def expire(session: Session, order_id: UUID) -> bool:
    """Forget the address and close the order; whether it was this call that did."""
    if lock(session, order_id) is None:
        return False
    deliveries.cancel_open(session, order_id)
    result = session.execute(
        update(Order)
        .where(Order.id == order_id, Order.state != OrderState.EXPIRED)
        .values(state=OrderState.EXPIRED, email=None)
        .execution_options(synchronize_session=False)
    )
    return cast("CursorResult[tuple[()]]", result).rowcount == 1
