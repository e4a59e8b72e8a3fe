"""One mail transaction (RFC 5321, section 3.3) on an open connection, and which replies are permanent."""

import re
import smtplib
from collections.abc import Callable, Container, Iterable, Iterator
from itertools import chain

from services.mailer.smtp.connection import TimedSMTP
from services.mailer.smtp.envelope import (
    UNANSWERED,
    AcceptanceUnknown,
    EmailDeferred,
    EmailRefused,
    MailServerUnavailable,
    SmtpEnvelope,
)

Reply = tuple[int, bytes]
"""Code and text, as smtplib returns them."""

_CHUNK_BYTES = 1 << 16
_PERMANENT = range(500, 600)
# RFC 3463: no such mailbox or domain, a mailbox that has moved or is disabled. Not 5.7 (policy) nor 5.2.2 (full).
_NO_MAILBOX = re.compile(r"\d{3}[ -]5\.(1\.(1|2|3|6|10)|2\.1|4\.4)\b")
_ENHANCED_CODE = re.compile(r"\d{3}[ -]\d\.\d{1,3}\.\d{1,3}\b")


def begin_transaction(client: TimedSMTP, envelope: SmtpEnvelope) -> Reply:
    """Send MAIL FROM and return the reply, which `finish_transaction` checks.

    Raises:
        EmailRefused: The address needs SMTPUTF8, which the server does not support.
    """
    options = [f"SIZE={envelope.size}"] if client.has_extn("size") else []
    if envelope.utf8:
        if not client.has_extn("smtputf8"):
            raise EmailRefused("the mail server accepts only addresses in ASCII")
        options += ["SMTPUTF8", "BODY=8BITMIME"]
    return client.mail(envelope.sender, options)


def finish_transaction(
    client: TimedSMTP, envelope: SmtpEnvelope, mail_reply: Reply, *, before_end: Callable[[], None]
) -> str:
    """Send RCPT TO, DATA and the message; return the reply with which the server accepted it.

    `before_end` is called before the dot that ends the message. If it raises, the server accepts nothing, provided that
    the connection is closed.

    Raises:
        EmailRefused: The server will never accept it.
        EmailDeferred: It does not accept it now.
        MailServerUnavailable: It accepts no e-mail now.
        AcceptanceUnknown: It may or may not have accepted it.
    """
    # A refused sender is a matter of settings, and so for every e-mail; only 552 (too large) is about this one.
    _check(mail_reply, permanent=(552,), otherwise=MailServerUnavailable)
    reply = client.rcpt(envelope.recipient)
    _check(reply, permanent=_PERMANENT, no_mailbox=is_no_mailbox(reply, of_recipient=True))
    _check(client.docmd("DATA"), permanent=_PERMANENT, accepted=range(354, 355))
    for chunk in _dot_stuffed(chain(envelope.signature.splitlines(keepends=True), envelope.content)):
        client.send(chunk)
    before_end()
    try:
        client.send(b".\r\n")
        reply = client.get_acceptance()
    except (smtplib.SMTPServerDisconnected, OSError) as error:
        message = f"{UNANSWERED}: {str(error) or type(error).__name__}"
        raise AcceptanceUnknown(message) from error
    return _check(reply, permanent=_PERMANENT, no_mailbox=is_no_mailbox(reply, of_recipient=False))


def reply_text(reply: Reply) -> str:
    """Return a reply as text, its code first."""
    code, message = reply
    return f"{code} {message.decode('utf-8', 'replace')}"


def is_no_mailbox(reply: Reply, *, of_recipient: bool) -> bool:
    """Return whether a refusal is about the mailbox. Without an enhanced code, only the reply to RCPT can be."""
    text = reply_text(reply)
    if _ENHANCED_CODE.match(text):
        return _NO_MAILBOX.match(text) is not None
    return of_recipient and reply[0] in {550, 551, 553}


def _check(
    reply: Reply,
    *,
    permanent: Container[int],
    accepted: range = range(200, 300),
    otherwise: type[EmailDeferred] = EmailDeferred,
    no_mailbox: bool = False,
) -> str:
    code, text = reply[0], reply_text(reply)
    if code in accepted:
        return text
    if code in permanent:
        raise EmailRefused(text, no_mailbox=no_mailbox)
    # 421: the server closes the connection, whichever command it replies to.
    raise (MailServerUnavailable if code == 421 else otherwise)(text)


def _dot_stuffed(content: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the message with the dot doubled that begins a line (RFC 5321, section 4.5.2)."""
    lines: list[bytes] = []
    size = 0
    for line in content:
        lines.append(b"." + line if line.startswith(b".") else line)
        size += len(line)
        if size >= _CHUNK_BYTES:
            yield b"".join(lines)
            lines, size = [], 0
    yield b"".join(lines)
