"""Statements of the sweep: work that is due by its rows, but for which there may be no message or worker.

Messages are lost when the broker loses its data, work is lost when a worker is killed. The rows are the outbox
(transactional outbox pattern): rows that are queued, or running with an expired lease, are enqueued again.

Statements about rows of many orders lock none of the orders. So they skip rows that other transactions have locked: a
transaction that waited for one row while it holds others could deadlock in PostgreSQL.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.mail.emails import EmailClaim
from services.common.db.models import Delivery, Email, Image, Order, WebhookEvent, sql_literal
from services.common.db.orders.image_claims import ImageClaim, claim_of
from services.common.domain.mail import EmailKind, EmailState
from services.common.domain.orders import ImageQueue, ImageState

Enqueueable = type[Image] | type[Email] | type[WebhookEvent]
"""Rows that have a message while they are QUEUED and have an `enqueued_at`."""


def list_expired_image_claims(session: Session, *, limit: int) -> list[ImageClaim]:
    """Return claims on images whose leases have run out."""
    rows = session.execute(
        select(Image, Order.spec)
        .join(Order, Order.id == Image.order_id)
        .where(Image.state == ImageState.RUNNING, Image.lease_until < now())
        .limit(limit)
    )
    return [claim_of(image, spec) for image, spec in rows if image.owner]


def list_expired_email_claims(session: Session, *, limit: int) -> list[EmailClaim]:
    """Return claims on e-mails whose leases have run out: the mailer died before or after the server's reply."""
    rows = session.execute(
        select(Email, Delivery.order_id)
        .outerjoin(Delivery, Delivery.id == Email.delivery_id)
        .where(Email.state == EmailState.SENDING, Email.lease_until < now())
        .limit(limit)
    )
    return [EmailClaim.of(email, email.owner, order_id) for email, order_id in rows if email.owner]


def enqueue_due_emails(session: Session, *, limit: int) -> Sequence[UUID]:
    """Mark e-mails as enqueued whose retry delay is over, and return them.

    E-mails of mailings are left out: they are claimed in batches.
    """
    due = (
        select(Email.id)
        .where(
            Email.state == sql_literal(EmailState.QUEUED),
            # Not `mailing_id IS NULL`: without statistics SQLite would read that from an index, all e-mails of orders.
            Email.kind != EmailKind.NEWSLETTER,
            Email.enqueued_at.is_(None),
            Email.not_before <= now(),
        )
        .limit(limit)
    )
    return _enqueue_now(session, Email, due)


def list_unclaimed(
    session: Session, model: Enqueueable, *, older_than: float, limit: int, queue: ImageQueue | None = None
) -> Sequence[UUID]:
    """Return rows that were enqueued so many seconds ago and not claimed since, the oldest first.

    With `queue`, images of that queue only.
    """
    query = select(model.id).where(
        model.state == ImageState.QUEUED, model.enqueued_at < now() - int(older_than * SECOND)
    )
    if queue:
        query = query.where(Image.queue == queue)
    return session.scalars(query.order_by(model.enqueued_at).limit(limit)).all()


def enqueue_again(session: Session, model: Enqueueable, ids: Sequence[UUID]) -> Sequence[UUID]:
    """Mark those of the rows as enqueued now that still wait to be claimed, and return them."""
    waiting = select(model.id).where(
        model.id.in_(ids), model.state == ImageState.QUEUED, model.enqueued_at.is_not(None)
    )
    return _enqueue_now(session, model, waiting)


def _enqueue_now(session: Session, model: Enqueueable, which: Select[UUID]) -> Sequence[UUID]:
    free = which.with_for_update(skip_locked=True).cte()
    return session.scalars(
        update(model).where(model.id.in_(select(free.c.id))).values(enqueued_at=now()).returning(model.id)
    ).all()
