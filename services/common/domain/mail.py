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
    """It gets nothing, no matter who subscribes it; `Suppression` has the reason."""


class Suppression(StrEnum):
    """Why an address gets no e-mails."""

    NO_MAILBOX = "NO_MAILBOX"
    """A mail server replied or reported that the mailbox does not exist."""
    SOFT_BOUNCES = "SOFT_BOUNCES"
    """E-mails came back again and again, for reasons that may pass."""
    COMPLAINT = "COMPLAINT"
    """Its owner reported an e-mail as unwanted."""
    OPERATOR = "OPERATOR"
    """An operator did it."""


class MailReportKind(StrEnum):
    """What a report about a sent e-mail means, from the least to the most serious."""

    SOFT = "SOFT"
    """It was not delivered, for a reason that may pass."""
    HARD = "HARD"
    """It was not delivered, and no other will be: there is no such mailbox."""
    COMPLAINT = "COMPLAINT"
    """Its reader reported it as unwanted."""


class MailingState(StrEnum):
    """States of a mailing."""

    HELD = "PREPARING"
    """Scheduled or paused. The stored value is one of earlier versions, whose services leave such mailings alone."""
    SENDING = "SENDING"
    DONE = "DONE"
    CANCELLED = "CANCELLED"


class OperatorJobState(StrEnum):
    """States of an operator job."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    DONE = "DONE"
    REFUSED = "REFUSED"
