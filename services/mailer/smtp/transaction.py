"""Hands one e-mail over on an open connection, and judges what the server answers."""

import re
import smtplib
from collections.abc import Container, Iterable, Iterator
from itertools import chain

from services.mailer.smtp.deadline import TimedSMTP
from services.mailer.smtp.sender import Envelope, NotTaken, Refused, Unreachable

_PIECE = 1 << 16
_PERMANENT = range(500, 600)
# RFC 3463: no such mailbox or domain, a mailbox that has moved or is disabled. Not 5.7 (policy) nor 5.2.2 (full).
_BOUNCE = re.compile(r"\d{3}[ -]5\.(1\.(1|2|3|6|10)|2\.1|4\.4)\b")
_ENHANCED = re.compile(r"\d{3}[ -]\d\.\d{1,3}\.\d{1,3}\b")


def offer(client: TimedSMTP, envelope: Envelope) -> tuple[int, bytes]:
    """Begin: MAIL FROM; the server's reply, which `hand_over` judges."""
    options = [f"SIZE={envelope.size}"] if client.has_extn("size") else []
    if envelope.utf8:
        if not client.has_extn("smtputf8"):
            raise Refused("the mail server takes no addresses with other than ASCII characters")
        options += ["SMTPUTF8", "BODY=8BITMIME"]
    return client.mail(envelope.sender, options)


def hand_over(client: TimedSMTP, envelope: Envelope, offered: tuple[int, bytes]) -> str:
    """The rest of the transaction; the server's words when it has taken the e-mail.

    Raises:
        Refused: It will never take it.
        NotTaken: It did not take it now.
        Unreachable: It takes none now.
    """
    # A sender that is refused is the operator's to put right; only a size is about this e-mail.
    _judge(offered, permanent=(552,), otherwise=Unreachable)
    reply = client.rcpt(envelope.recipient)
    _judge(reply, permanent=_PERMANENT, bounced=_no_such_mailbox(reply, of_recipient=True))
    _judge(client.docmd("DATA"), permanent=_PERMANENT, wanted=range(354, 355))
    for piece in _pieces(chain(envelope.head.splitlines(keepends=True), envelope.content)):
        client.send(piece)
    client.send(b".\r\n")
    reply = client.getreply()
    return _judge(reply, permanent=_PERMANENT, bounced=_no_such_mailbox(reply, of_recipient=False))


def words_of(reply: tuple[int, bytes]) -> str:
    """A reply as text."""
    code, said = reply
    return f"{code} {said.decode('utf-8', 'replace')}"


def describe(error: Exception) -> str:
    """What a connection died of."""
    match error:
        case smtplib.SMTPResponseException():
            said = error.smtp_error
            return words_of((error.smtp_code, said if isinstance(said, bytes) else said.encode()))
        case _:
            return str(error) or type(error).__name__


def _judge(
    reply: tuple[int, bytes],
    *,
    permanent: Container[int],
    wanted: range = range(200, 300),
    otherwise: type[NotTaken] = NotTaken,
    bounced: bool = False,
) -> str:
    code, words = reply[0], words_of(reply)
    if code in wanted:
        return words
    if code in permanent:
        raise Refused(words, bounced=bounced)
    # 421: the server ends the connection, whatever was asked.
    raise (Unreachable if code == 421 else otherwise)(words)


def _no_such_mailbox(reply: tuple[int, bytes], *, of_recipient: bool) -> bool:
    """Whether a refusal is about the mailbox. Without an enhanced code, only the answer to RCPT can be."""
    code, words = reply[0], words_of(reply)
    if _ENHANCED.match(words):
        return _BOUNCE.match(words) is not None
    return of_recipient and code in {550, 551, 553}


def _pieces(content: Iterable[bytes]) -> Iterator[bytes]:
    """The message with the dots doubled that begin a line, since a dot on its own would end it."""
    lines: list[bytes] = []
    size = 0
    for line in content:
        lines.append(b"." + line if line.startswith(b".") else line)
        size += len(line)
        if size >= _PIECE:
            yield b"".join(lines)
            lines, size = [], 0
    yield b"".join(lines)
