"""Whose concern a failure is: operators look after those of the service, not after what lies in a file."""

from enum import StrEnum

from services.common.domain.errors import Reason

NO_MAILBOX_CODES = ("5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1", "5.4.4")
"""Enhanced codes (RFC 3463) of replies about the mailbox: there is none, or no such domain, or it has moved or is
disabled. Not 5.7 (policy) nor 5.2.2 (full)."""


class Cause(StrEnum):
    """Whose concern a failure is; the names of the interface's FailureCause."""

    FILE = "FILE"
    """The sender's: the file is no image, damaged, too large, of an unsupported kind, or not where the
    order shows."""
    RECIPIENT = "RECIPIENT"
    """The recipient's: there is no such mailbox, or the receiver of a webhook does not take its events."""
    SERVICE = "SERVICE"
    """The operators': a timeout, a crash, an error, or a mail server that refuses or does not answer."""


FILE_REASONS = frozenset(
    {
        Reason.NOT_AN_IMAGE,
        Reason.UNSUPPORTED,
        Reason.CORRUPT,
        Reason.TOO_LARGE,
        Reason.SOURCE_UNAVAILABLE,
        Reason.SOURCE_REFUSED,
    }
)


def cause_of(reason: Reason) -> Cause:
    """Return the cause of an image's failure."""
    return Cause.FILE if reason in FILE_REASONS else Cause.SERVICE
