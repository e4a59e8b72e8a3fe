"""A message with its SMTP envelope, and how the mail server may refuse it."""

import re
from dataclasses import dataclass
from typing import IO

from services.common.domain.errors import ImageBlurError

MAX_REPLY_CHARACTERS = 300
UNANSWERED = "the mail server did not report whether it accepts the e-mail"
"""Begins the text of AcceptanceUnknown."""


@dataclass(frozen=True, kw_only=True)
class SmtpEnvelope:
    """A message to send: `content` from its beginning, `size` in bytes; lines end in CRLF."""

    sender: str
    recipient: str
    utf8: bool
    """The recipient or a header is not ASCII, which needs SMTPUTF8 (RFC 6531)."""
    content: IO[bytes]
    size: int
    signature: bytes = b""
    """The DKIM header field, which precedes the content."""


class EmailRefused(ImageBlurError):
    """The mail server will never accept this e-mail for this recipient; the text is its reply.

    no_mailbox: because there is no such mailbox, so that every other e-mail to it would be refused, too.
    """

    def __init__(self, reply: str, *, no_mailbox: bool = False) -> None:
        super().__init__(reply)
        self.no_mailbox = no_mailbox


class EmailDeferred(ImageBlurError):
    """The mail server does not accept this e-mail now; the text is its reply."""


class MailServerUnavailable(EmailDeferred):
    """The mail server accepts no e-mail now; the text is its reply or the error of the connection."""


class AcceptanceUnknown(MailServerUnavailable):
    """The mail server got the whole e-mail, and did not report whether it accepts it; the text is the error."""


def sanitize_reply(reply: str, recipient: str) -> str:
    """Return a server's reply as one short printable line in which the recipient's address is masked."""
    line = " ".join("".join(c if c.isprintable() else " " for c in reply).split())
    return re.sub(re.escape(recipient), "(address)", line, flags=re.IGNORECASE)[:MAX_REPLY_CHARACTERS]
