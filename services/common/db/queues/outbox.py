"""Statements of the sweep: work that its rows say is to be done, but that nobody may be about to do.

Messages are lost when a broker loses its data, work when a worker is killed. The rows are the outbox: what stands there
as queued, or as being worked on under a lease that has run out, is sent again.

Statements about rows of many orders lock none of the orders. So they pass over rows that somebody else is changing,
which are in good hands: to wait for one while holding others is how PostgreSQL would come to a deadlock.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.mail.emails import EmailClaim
from services.common.db.models import Delivery, Email, Image, Order
from services.common.db.orders.images import Claim
from services.common.domain.orders import ImageState

Sent = type[Image] | type[Email]
"""Rows that have a message while they are QUEUED and have an `enqueued_at`."""


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


def lapsed_emails(session: Session, *, limit: int) -> list[EmailClaim]:
    """Claims on e-mails whose leases have run out: their mailer died, before or after the server took the e-mail."""
    rows = session.execute(
        select(Email, Delivery.order_id)
        .outerjoin(Delivery, Delivery.id == Email.delivery_id)
        .where(Email.state == "SENDING", Email.lease_until < now())
        .limit(limit)
    )
    return [EmailClaim.of(email, email.owner, order_id) for email, order_id in rows if email.owner]


def due_emails(session: Session, *, limit: int) -> Sequence[UUID]:
    """E-mails that wait for another attempt and may have it now; they count as sent to the broker.

    Not those of mailings, which are claimed in batches.
    """
    due = (
        select(Email.id)
        .where(
            Email.state == "QUEUED",
            Email.mailing_id.is_(None),
            Email.enqueued_at.is_(None),
            Email.not_before <= now(),
        )
        .limit(limit)
    )
    return _sent_now(session, Email, due)


def unclaimed(session: Session, model: Sent, *, older_than: float, limit: int) -> Sequence[UUID]:
    """What was sent to the broker so many seconds ago and not claimed since, the oldest first."""
    return session.scalars(
        select(model.id)
        .where(model.state == "QUEUED", model.enqueued_at < now() - int(older_than * SECOND))
        .order_by(model.enqueued_at)
        .limit(limit)
    ).all()


def resend(session: Session, model: Sent, ids: Sequence[UUID]) -> Sequence[UUID]:
    """Those of them that still wait to be claimed; they count as sent to the broker now."""
    waiting = select(model.id).where(model.id.in_(ids), model.state == "QUEUED", model.enqueued_at.is_not(None))
    return _sent_now(session, model, waiting)


def _sent_now(session: Session, model: Sent, which: Select[UUID]) -> Sequence[UUID]:
    free = which.with_for_update(skip_locked=True).cte()
    return session.scalars(
        update(model)
        .where(model.id.in_(select(free.c.id)))
        .values(enqueued_at=now())
        .returning(model.id)
        .execution_options(synchronize_session=False)
    ).all()
