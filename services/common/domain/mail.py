"""States of e-mails, subscribers, mailings and operator jobs, and the kinds of e-mails. Values are stored in rows."""

from enum import StrEnum


class EmailKind(StrEnum):
    """What an e-mail is for."""

    ORDER_READY = "ORDER_READY"
    """Carries the results of an order, or a part of them."""
    CONFIRM = "CONFIRM"
    """Asks a subscriber to confirm."""
    NEWSLETTER = "WEEKLY"
    """The stored value is that of earlier versions, whose services read the same rows during an upgrade."""
    GOODBYE = "GOODBYE"
    """Confirms the end of a subscription."""


class EmailState(StrEnum):
    """States of an e-mail."""

    QUEUED = "QUEUED"
    SENDING = "SENDING"
    SENT = "SENT"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


OPEN_EMAIL_STATES = (EmailState.QUEUED, EmailState.SENDING)
"""In which an e-mail may still be sent."""


class SubscriberState(StrEnum):
    """States of a subscriber."""

    PENDING = "PENDING"
    """Asked to confirm."""
    CONFIRMED = "CONFIRMED"
    UNSUBSCRIBED = "UNSUBSCRIBED"
    SUPPRESSED = "SUPPRESSED"
    """The mail server reported that the mailbox does not exist."""


class MailingState(StrEnum):
    """States of a mailing."""

    SENDING = "SENDING"
    DONE = "DONE"
    CANCELLED = "CANCELLED"


class OperatorJobState(StrEnum):
    """States of an operator job."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    DONE = "DONE"
    REFUSED = "REFUSED"
