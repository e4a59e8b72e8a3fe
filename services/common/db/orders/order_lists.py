"""Statements about orders in lists, and about all that belongs to one, in the order of time."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session

from services.common.db.clock import now
from services.common.db.models import Delivery, Email, Image, Order
from services.common.db.orders.orders import Snapshot
from services.common.domain.errors import NotFound
from services.common.domain.orders import ImageState, OrderState

FIRST_IMAGES = 200
SLOWEST_IMAGES = 20


@dataclass(frozen=True)
class Filter:
    """Which orders; what is empty does not narrow. Times in microseconds since 1970."""

    states: Sequence[OrderState] = ()
    emails: Sequence[str] = ()
    """Spellings of one address."""
    principal: str = ""
    from_time: int | None = None
    to_time: int | None = None


@dataclass(frozen=True)
class Way:
    """All that belongs to an order."""

    snapshot: Snapshot
    images: Sequence[Image]
    """The first ones, then those that took longest."""
    deliveries: Sequence[Delivery]
    emails: Sequence[Email]


def page(session: Session, which: Filter, *, before: tuple[int, UUID] | None, limit: int) -> list[Snapshot]:
    """Orders without their deliveries, the newest first; `before`: time and id of the last one of the page before."""
    query = select(Order).order_by(Order.created_at.desc(), Order.id.desc()).limit(limit)
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
    if before:
        query = query.where(tuple_(Order.created_at, Order.id) < before)
    return _snapshots(session, session.scalars(query).all())


def way(session: Session, order_id: UUID) -> Way:
    """All that belongs to an order.

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
    return Way(_snapshots(session, [order])[0], [*first, *slowest], deliveries, emails)


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
    return [Snapshot(order, running.get(order.id, 0), [], time) for order in found]
