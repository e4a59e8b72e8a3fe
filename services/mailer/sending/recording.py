"""Maps an outcome to the rows that it changes, its label in metrics and its log fields."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy.orm import Session

from services.common.db.mail import emails, subscribers
from services.common.db.mail.emails import EmailClaim
from services.common.domain.errors import Reason
from services.common.domain.retries import EMAIL_RETRIES, MAX_COPIES, MAX_EMAIL_ATTEMPTS
from services.mailer.sending.outcomes import ClaimLost, NotWanted, Outcome, Postponed, Refused, RetryEmail, Sent


@dataclass(frozen=True, kw_only=True)
class OutcomeRecord:
    """What is stored, counted and logged of an outcome."""

    label: str
    """In metrics and logs."""
    write: Callable[[Session], bool]
    """Change the rows; False if the claim was lost."""
    log_fields: Mapping[str, object] = field(default_factory=dict)
    """A reply's code at most: its text may contain the recipient's address."""


def record_of(outcome: Outcome, claim: EmailClaim) -> OutcomeRecord:
    """Return how an outcome is recorded."""
    match outcome:
        case Sent(reply=reply):
            return OutcomeRecord(
                label="SENT",
                write=partial(emails.finish_sent, claim=claim, smtp_reply=reply),
                log_fields={"code": _code(reply)},
            )
        case Refused(message=message, no_mailbox=no_mailbox):
            return OutcomeRecord(
                # Apart, since no operator has to look at it.
                label="NO_MAILBOX" if no_mailbox else "FAILED",
                write=partial(_refuse, claim=claim, message=message, no_mailbox=no_mailbox),
                log_fields={"reason": Reason.MAIL_REFUSED.value, "code": _code(message)},
            )
        case RetryEmail(message=message, reason=reason, maybe_sent=maybe_sent) if claim.attempts >= (
            MAX_COPIES if maybe_sent else MAX_EMAIL_ATTEMPTS
        ):
            return OutcomeRecord(
                label="FAILED",
                write=partial(emails.finish_failed, claim=claim, reason=reason, message=message),
                log_fields={"reason": reason.value, "code": _code(message)},
            )
        case RetryEmail(message=message, reason=reason):
            delay = EMAIL_RETRIES.delay(claim.attempts)
            return OutcomeRecord(
                label="RETRY",
                write=partial(emails.retry_later, claim=claim, delay=delay, message=message),
                log_fields={"reason": reason.value, "code": _code(message), "delay": delay},
            )
        case Postponed(seconds=seconds, message=message):
            return OutcomeRecord(
                label="POSTPONED",
                write=partial(emails.postpone, claim=claim, delay=seconds, message=message),
                log_fields={"delay": round(seconds)},
            )
        case NotWanted():
            return OutcomeRecord(label="CANCELLED", write=partial(emails.finish_cancelled, claim=claim))
        case ClaimLost():
            return OutcomeRecord(label="LOST", write=lambda _session: False)


def _refuse(session: Session, *, claim: EmailClaim, message: str, no_mailbox: bool) -> bool:
    # A refused order e-mail does not end a subscription, even if the address is the same.
    if no_mailbox and claim.subscriber_id:
        subscribers.suppress(session, claim.subscriber_id, message)
    return emails.finish_failed(session, claim, reason=Reason.MAIL_REFUSED, message=message)


def _code(reply: str) -> str | None:
    return reply[:3] if reply[:3].isdecimal() else None
