"""Statements about what other mail servers report about e-mails that were sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from services.common.db.clock import now
from services.common.db.models import Delivery, Email, Order, Subscriber
from services.common.domain.errors import Reason
from services.common.domain.mail import EmailState, MailReportKind
from services.common.domain.orders import DeliveryState

_WORSE = {
    MailReportKind.SOFT: (),
    MailReportKind.HARD: (MailReportKind.SOFT,),
    MailReportKind.COMPLAINT: (MailReportKind.SOFT, MailReportKind.HARD),
}
"""The reports that one of a kind replaces."""


@dataclass(frozen=True, kw_only=True)
class ReportedEmail:
    """An e-mail that a report may be about, and to whom it went."""

    email_id: UUID
    order_id: UUID | None
    delivery_id: UUID | None
    subscriber_id: UUID | None
    is_newsletter: bool
    address: str | None
    """None if the order has none any more."""


def find_email(session: Session, email_ids: Sequence[UUID]) -> ReportedEmail | None:
    """Return the first of the e-mails that exists and was handed to a mail server."""
    rows = session.execute(
        select(
            Email.id,
            Email.delivery_id,
            Email.subscriber_id,
            Email.mailing_id,
            Delivery.order_id,
            func.coalesce(Order.email, Subscriber.email).label("address"),
        )
        .outerjoin(Delivery, Delivery.id == Email.delivery_id)
        .outerjoin(Order, Order.id == Delivery.order_id)
        .outerjoin(Subscriber, Subscriber.id == Email.subscriber_id)
        .where(
            Email.id.in_(email_ids),
            # A mailer may not have recorded yet, or any more, that it was accepted.
            or_(Email.state != EmailState.QUEUED, Email.attempts > 0),
        )
    )
    found = {row.id: row for row in rows}
    row = next((found[email_id] for email_id in email_ids if email_id in found), None)
    if row is None:
        return None
    return ReportedEmail(
        email_id=row.id,
        order_id=row.order_id,
        delivery_id=row.delivery_id,
        subscriber_id=row.subscriber_id,
        is_newsletter=row.mailing_id is not None,
        address=row.address,
    )


def record(session: Session, email_id: UUID, kind: MailReportKind) -> bool:
    """Record a report of an e-mail; False if it was reported before, in this way or a worse one."""
    recorded = session.scalar(
        update(Email)
        .where(Email.id == email_id, or_(Email.report.is_(None), Email.report.in_(_WORSE[kind])))
        .values(report=kind, reported_at=now())
        .returning(Email.id)
    )
    return recorded is not None


def fail_delivery(session: Session, delivery_id: UUID, message: str) -> None:
    """Record that results did not arrive, although the mail server had accepted them; the order is locked."""
    session.execute(
        update(Delivery).where(Delivery.id == delivery_id).values(reason=Reason.MAIL_REFUSED, message=message)
    )
    session.execute(
        update(Delivery)
        .where(Delivery.id == delivery_id, Delivery.state == DeliveryState.SENT)
        .values(state=DeliveryState.FAILED)
    )
