"""Statements of the sweep: work that its rows say is to be done, but that nobody may be about to do.

Messages are lost when a broker loses its data, work when a worker is killed. The rows are the outbox: what stands there
as queued, or as being worked on under a lease that has run out, is sent again.

Statements about rows of many orders lock none of the orders. So they pass over rows that somebody else is changing,
which are in good hands: to wait for one while holding others is how PostgreSQL would come to a deadlock.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from services.common.db.clock import SECOND, now
from services.common.db.images import Claim
from services.common.db.letters import Claim as LetterClaim
from services.common.db.models import Delivery, Image, Letter, Mailing, Order
from services.common.db.windows import IN_FLIGHT
from services.common.orders import ImageState


def lapsed_images(session: Session, *, limit: int) -> list[Claim]:
    """Claims on images whose leases have run out."""
    rows = session.execute(
        select(Image, Order.spec)
        .join(Order, Order.id == Image.order_id)
        .where(Image.state == ImageState.RUNNING, Image.lease_until < now())
        .limit(limit)
    )
    return [
        Claim(i.id, i.order_id, i.position, i.spec or spec, i.owner, i.attempts, i.crashes)
        for i, spec in rows
        if i.owner
    ]


def images_at_broker(session: Session) -> int:
    """How many messages about images the broker should hold: those waiting and those being handled."""
    return _count(session, Image.id, IN_FLIGHT)


def resend_images(session: Session, *, older_than: float, limit: int) -> Sequence[UUID]:
    """Images that were sent to the broker so many seconds ago and not claimed since; they count as sent now."""
    stale = (
        select(Image.id)
        .where(Image.state == ImageState.QUEUED, Image.enqueued_at < now() - int(older_than * SECOND))
        .order_by(Image.enqueued_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte()
    )
    return session.scalars(
        update(Image)
        .where(Image.id.in_(select(stale.c.id)), Image.state == ImageState.QUEUED)
        .values(enqueued_at=now())
        .returning(Image.id)
        .execution_options(synchronize_session=False)
    ).all()


def lapsed_letters(session: Session, *, limit: int) -> list[LetterClaim]:
    """Claims on letters whose leases have run out: their mailer died, before or after the server took the letter."""
    rows = session.execute(
        select(Letter, Delivery.order_id)
        .outerjoin(Delivery, Delivery.id == Letter.delivery_id)
        .where(Letter.state == "SENDING", Letter.lease_until < now())
        .limit(limit)
    )
    return [
        LetterClaim(x.id, x.kind, x.part, order_id, x.delivery_id, x.mailing_id, x.subscriber_id, x.owner, x.attempts)
        for x, order_id in rows
        if x.owner
    ]


def letters_at_broker(session: Session) -> int:
    """How many messages about mail the broker should hold."""
    letters = _count(
        session,
        Letter.id,
        or_(Letter.state == "SENDING", (Letter.state == "QUEUED") & Letter.enqueued_at.is_not(None)),
    )
    return letters + _count(session, Mailing.id, Mailing.state == "PREPARING")


def due_letters(session: Session, *, limit: int) -> Sequence[UUID]:
    """Letters that wait for another attempt and may have it now; they count as sent to the broker."""
    due = (
        select(Letter.id)
        .where(Letter.state == "QUEUED", Letter.enqueued_at.is_(None), Letter.not_before <= now())
        .limit(limit)
    )
    return _enqueue_letters(session, due)


def resend_letters(session: Session, *, older_than: float, limit: int) -> Sequence[UUID]:
    """Letters that were sent to the broker so many seconds ago and not claimed since; they count as sent now."""
    stale = (
        select(Letter.id)
        .where(Letter.state == "QUEUED", Letter.enqueued_at < now() - int(older_than * SECOND))
        .order_by(Letter.enqueued_at)
        .limit(limit)
    )
    return _enqueue_letters(session, stale)


def resend_mailings(session: Session, *, older_than: float) -> Sequence[UUID]:
    """Mailings in preparation that made no progress for so many seconds; they count as sent to the broker now."""
    return session.scalars(
        update(Mailing)
        .where(Mailing.state == "PREPARING", Mailing.enqueued_at < now() - int(older_than * SECOND))
        .values(enqueued_at=now())
        .returning(Mailing.id)
        .execution_options(synchronize_session=False)
    ).all()


def _enqueue_letters(session: Session, which: Select[UUID]) -> Sequence[UUID]:
    free = which.with_for_update(skip_locked=True).cte()
    return session.scalars(
        update(Letter)
        .where(Letter.id.in_(select(free.c.id)), Letter.state == "QUEUED")
        .values(enqueued_at=now())
        .returning(Letter.id)
        .execution_options(synchronize_session=False)
    ).all()


def _count(session: Session, column: InstrumentedAttribute[UUID], condition: ColumnElement[bool]) -> int:
    return session.scalar(select(func.count(column)).where(condition)) or 0
