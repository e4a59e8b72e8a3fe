"""Statements for operators: lists of orders, and the trace of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.common.db import pages
from services.common.db.clock import now
from services.common.db.models import Delivery, Email, Image, Order
from services.common.db.orders.orders import Snapshot
from services.common.domain.errors import NotFound
from services.common.domain.orders import ImageState, OrderState

FIRST_IMAGES = 200
SLOWEST_IMAGES = 20


@dataclass(frozen=True, kw_only=True)
class OrderFilter:
    """Conditions on orders; empty ones do not count. Times in microseconds since 1970."""

    states: Sequence[OrderState] = ()
    emails: Sequence[str] = ()
    """Spellings of one address."""
    principal: str = ""
    from_time: int | None = None
    to_time: int | None = None


@dataclass(frozen=True, kw_only=True)
class OrderTrace:
    """An order with its images, deliveries and e-mails."""

    snapshot: Snapshot
    images: Sequence[Image]
    """The first 200, then the 20 of the others that took longest."""
    deliveries: Sequence[Delivery]
    emails: Sequence[Email]


def list_orders(session: Session, which: OrderFilter, *, before: tuple[int, UUID] | None, limit: int) -> list[Snapshot]:
    """Return a page of orders without their deliveries, the newest first.

    `before`: creation time and id of the last order of the page before.
    """
    query = pages.page(select(Order), Order.created_at, Order.id, after=before, limit=limit, descending=True)
    if which.states:
        query = query.where(Order.state.in_(which.states))
    if which.emails:
        query = query.where(Order.email.in_(which.emails))
    if which.principal:
        query = query.where(Order.principal == which.principal)
    if which.from_time is not None:
        query = query.where(Order.created_at >= which.from_time)
    if which.to_time is not None:
        query = query.where(Order.created_at < which.to_time)
    return _snapshots(session, session.scalars(query).all())


def get_order_trace(session: Session, order_id: UUID) -> OrderTrace:
    """Return an order with its images, deliveries and e-mails.

    Raises:
        NotFound: There is no such order.
    """
    order = session.get(Order, order_id)
    if order is None:
        raise NotFound("order", str(order_id))
    of_order = select(Image).where(Image.order_id == order_id)
    first = session.scalars(of_order.order_by(Image.position).limit(FIRST_IMAGES)).all()
    took = func.coalesce(Image.finished_at, now()) - Image.started_at
    slowest = session.scalars(
        of_order.where(Image.position > FIRST_IMAGES, Image.started_at.is_not(None))
        .order_by(took.desc())
        .limit(SLOWEST_IMAGES)
    ).all()
    deliveries = session.scalars(
        select(Delivery).where(Delivery.order_id == order_id).order_by(Delivery.requested_at)
    ).all()
    emails = session.scalars(
        select(Email).where(Email.delivery_id.in_([delivery.id for delivery in deliveries])).order_by(Email.part)
    ).all()
    return OrderTrace(
        snapshot=_snapshots(session, [order])[0], images=[*first, *slowest], deliveries=deliveries, emails=emails
    )


def _snapshots(session: Session, found: Sequence[Order]) -> list[Snapshot]:
    running: dict[UUID, int] = {
        row[0]: row[1]
        for row in session.execute(
            select(Image.order_id, func.count())
            .where(Image.order_id.in_([order.id for order in found]), Image.state == ImageState.RUNNING)
            .group_by(Image.order_id)
        )
    }
    time = session.scalar(select(now())) or 0
    return [Snapshot(order=order, running=running.get(order.id, 0), deliveries=[], read_at=time) for order in found]
