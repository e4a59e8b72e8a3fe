"""Corrects times of pending work that lie further ahead than they were ever set: the database's clock was set back.

Otherwise work whose worker was killed, whose message was lost, or that is tried again later would wait until the clock
is where it was. Delays of images need no correction: see `windows`.
"""

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from services.common.db.clock import SECOND, now
from services.common.db.models import Email, Image, Mailing, WebhookEvent, sql_literal
from services.common.domain.mail import EmailState, MailingState
from services.common.domain.orders import ImageState
from services.common.domain.retries import EMAIL_RETRIES, MAILING_RETRIES
from services.common.domain.webhooks import WebhookState

LONGEST_LEASE = 120.0
"""Seconds: longer than any lease."""
GRACE = 8.0
"""Seconds in which an owner that lives renews such a lease."""


def correct(session: Session) -> int:
    """Correct leases, delays and times of messages; return how many were wrong."""
    images, emails = Image.state == sql_literal(ImageState.QUEUED), Email.state == sql_literal(EmailState.QUEUED)
    events = WebhookEvent.state == sql_literal(WebhookState.QUEUED)
    return sum(
        (
            _correct(session, Image.lease_until, LONGEST_LEASE, Image.state == sql_literal(ImageState.RUNNING), GRACE),
            _correct(session, Email.lease_until, LONGEST_LEASE, Email.state == sql_literal(EmailState.SENDING), GRACE),
            _correct(
                session,
                WebhookEvent.lease_until,
                LONGEST_LEASE,
                WebhookEvent.state == sql_literal(WebhookState.SENDING),
                GRACE,
            ),
            _correct(session, Image.enqueued_at, GRACE, images & Image.enqueued_at.is_not(None)),
            _correct(session, Email.enqueued_at, GRACE, emails),
            _correct(session, WebhookEvent.enqueued_at, GRACE, events),
            # Their last attempts lie in the future, too. Of e-mails in batches that is not known.
            _correct(session, Email.not_before, GRACE, emails & (Email.started_at > _in(GRACE))),
            _correct(session, WebhookEvent.not_before, GRACE, events & (WebhookEvent.started_at > _in(GRACE))),
            # Of the others, one that was not attempted yet may be planned for any time.
            _correct(
                session,
                Email.not_before,
                EMAIL_RETRIES.longest_delay,
                emails & Email.started_at.is_(None) & (Email.attempts > 0),
            ),
            _correct(
                session,
                Mailing.not_before,
                MAILING_RETRIES.longest_delay,
                (Mailing.state == sql_literal(MailingState.SENDING)) & (Mailing.troubles > 0),
            ),
        )
    )


def _correct(
    session: Session,
    time: InstrumentedAttribute[int] | InstrumentedAttribute[int | None],
    longest: float,
    which: ColumnElement[bool],
    seconds: float = 0.0,
) -> int:
    """Set a time that is more than `longest` seconds ahead to so many seconds from now."""
    model = time.class_
    # Rows of many orders, none of which is locked: see `outbox`.
    wrong = select(model.id).where(which, time > _in(longest)).with_for_update(skip_locked=True).cte()
    corrected = session.scalars(
        update(model).where(model.id.in_(select(wrong.c.id))).values({time: _in(seconds)}).returning(model.id)
    )
    return len(corrected.all())


def _in(seconds: float) -> ColumnElement[int]:
    return now() + int(seconds * SECOND)
