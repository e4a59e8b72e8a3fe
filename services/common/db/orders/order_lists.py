"""Statements for operators: lists of orders, and the trace of one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.common.db import pages
from services.common.db.clock import now
from services.common.db.models import Delivery, Email, Image, Order
from services.common.db.orders import order_search
from services.common.db.orders.order_search import OrderFilter
from services.common.db.orders.snapshots import Snapshot
from services.common.db.webhooks import outgoing
from services.common.domain.errors import NotFound
from services.common.domain.orders import ImageState, OrderState

FIRST_IMAGES = 200
SLOWEST_IMAGES = 20


@dataclass(frozen=True, kw_only=True)
class OrderTrace:
    """An order with its images, deliveries and e-mails."""

    snapshot: Snapshot
    images: Sequence[Image]
    """The first 200, then the 20 of the others that took longest."""
    deliveries: Sequence[Delivery]
    emails: Sequence[Email]


@dataclass(frozen=True, kw_only=True)
class ImagePage:
    """Some images of an order."""

    order: Order
    images: Sequence[Image]
    read_at: int
    """The database's time, microseconds."""


def list_orders(session: Session, which: OrderFilter, *, before: tuple[int, UUID] | None, limit: int) -> list[Snapshot]:
    """Return a page of orders without their deliveries, the newest first.

    `before`: creation time and id of the last order of the page before.
    """
    # Rows of the table, which cost less than models.
    return _snapshots(
        session, cast("Sequence[Order]", order_search.list_rows(session, which, before=before, limit=limit))
    )


def get_order_trace(session: Session, order_id: UUID, *, with_images: bool = True) -> OrderTrace:
    """Return an order with its deliveries and e-mails, and with its images unless they are not wanted.

    Raises:
        NotFound: There is no such order.
    """
    order = session.get(Order, order_id)
    if order is None:
        raise NotFound("order", str(order_id))
    deliveries = session.scalars(
        select(Delivery).where(Delivery.order_id == order_id).order_by(Delivery.requested_at)
    ).all()
    emails = session.scalars(
        select(Email).where(Email.delivery_id.in_([delivery.id for delivery in deliveries])).order_by(Email.part)
    ).all()
    return OrderTrace(
        snapshot=replace(_snapshots(session, [order])[0], webhook_events=outgoing.list_of_order(session, order)),
        images=_traced_images(session, order_id) if with_images else [],
        deliveries=deliveries,
        emails=emails,
    )


def list_images(
    session: Session, order_id: UUID, *, after: int, limit: int, states: Sequence[ImageState] = ()
) -> ImagePage:
    """Return a page of an order's images, those with a position above `after`, by position.

    Raises:
        NotFound: There is no such order.
    """
    order = session.get(Order, order_id)
    if order is None:
        raise NotFound("order", str(order_id))
    query = pages.page(select(Image).where(Image.order_id == order_id), Image.position, after=(after,), limit=limit)
    if states:
        query = query.where(Image.state.in_(states))
    time = session.scalar(select(now())) or 0
    return ImagePage(order=order, images=session.scalars(query).all(), read_at=time)


def _traced_images(session: Session, order_id: UUID) -> Sequence[Image]:
    of_order = select(Image).where(Image.order_id == order_id)
    first = session.scalars(of_order.order_by(Image.position).limit(FIRST_IMAGES)).all()
    took = func.coalesce(Image.finished_at, now()) - Image.started_at
    slowest = session.scalars(
        of_order.where(Image.position > FIRST_IMAGES, Image.started_at.is_not(None))
        .order_by(took.desc())
        .limit(SLOWEST_IMAGES)
    ).all()
    return [*first, *slowest]


def _snapshots(session: Session, found: Sequence[Order]) -> list[Snapshot]:
    open_ids = [order.id for order in found if OrderState(order.state).open]  # no image of others is RUNNING
    counts = (
        select(Image.order_id, func.count())
        .where(Image.order_id.in_(open_ids), Image.state == ImageState.RUNNING)
        .group_by(Image.order_id)
    )
    running: dict[UUID, int] = {row[0]: row[1] for row in session.execute(counts)} if open_ids else {}
    time = session.scalar(select(now())) or 0
    return [Snapshot(order=order, running=running.get(order.id, 0), deliveries=[], read_at=time) for order in found]
