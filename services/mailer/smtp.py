"""Hands letters to a mail server over SMTP."""

import contextlib
import functools
import smtplib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Literal

from pydantic import SecretStr

from services.mailer.deadline import Deadline, TimedSMTP, TimedTlsSMTP
from services.mailer.senders import Envelope, NotTaken, Refused, tidy

_GOODBYE_SECONDS = 2.0
_PIECE = 1 << 16


@dataclass(frozen=True)
class SmtpSender:
    """A mail server and how to talk to it; each letter has a connection of its own."""

    host: str
    port: int
    security: Literal["none", "starttls", "tls"]
    tls: ssl.SSLContext
    user: str | None
    password: SecretStr | None
    timeout: float
    """Seconds for a letter, from connecting to the last reply."""

    def send(self, envelope: Envelope) -> str:
        """Hand a letter over; see Sender."""
        client: TimedSMTP | None = None
        try:
            client = self._open(Deadline(self.timeout))
            return tidy(_transact(client, envelope), envelope.recipient)
        except (Refused, NotTaken) as error:
            raise type(error)(tidy(str(error), envelope.recipient)) from None
        except (smtplib.SMTPException, OSError) as error:
            raise NotTaken(tidy(_describe(error), envelope.recipient)) from error
        finally:
            if client:
                _part(client)

    def _open(self, deadline: Deadline) -> TimedSMTP:
        """A connection, encrypted and logged in as set. Whatever fails here is not the recipient's fault."""
        if self.security == "tls":
            return self._log_in(
                TimedTlsSMTP(self.host, self.port, own_name=_own_name(), deadline=deadline, context=self.tls)
            )
        client = TimedSMTP(self.host, self.port, own_name=_own_name(), deadline=deadline)
        return self._log_in(client)

    def _log_in(self, client: TimedSMTP) -> TimedSMTP:
        try:
            client.ehlo_or_helo_if_needed()
            if self.security == "starttls":
                client.starttls(context=self.tls)
                client.ehlo_or_helo_if_needed()
            if self.user and self.password:
                client.login(self.user, self.password.get_secret_value())
        except BaseException:
            _part(client)
            raise
        return client


def _transact(client: TimedSMTP, envelope: Envelope) -> str:
    options = [f"SIZE={envelope.size}"] if client.has_extn("size") else []
    if envelope.utf8:
        if not client.has_extn("smtputf8"):
            raise Refused("the mail server takes no addresses with other than ASCII characters")
        options += ["SMTPUTF8", "BODY=8BITMIME"]
    # A sender that is refused is the operator's to put right; only a size is about this letter.
    _judge(client.mail(envelope.sender, options), permanent=(552,))
    _judge(client.rcpt(envelope.recipient), permanent=range(500, 600))
    _judge(client.docmd("DATA"), permanent=range(500, 600), wanted=range(354, 355))
    for piece in _pieces(envelope.content):
        client.send(piece)
    client.send(b".\r\n")
    return _judge(client.getreply(), permanent=range(500, 600))


def _judge(reply: tuple[int, bytes], *, permanent: range | tuple[int, ...], wanted: range = range(200, 300)) -> str:
    code, said = reply
    words = f"{code} {said.decode('utf-8', 'replace')}"
    if code in wanted:
        return words
    raise (Refused if code in permanent else NotTaken)(words)


def _pieces(content: IO[bytes]) -> Iterator[bytes]:
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


def _part(client: TimedSMTP) -> None:
    """Say goodbye; what goes wrong here changes nothing, least of all whether the letter was taken."""
    with contextlib.suppress(smtplib.SMTPException, OSError, ValueError):
        client.deadline = Deadline(_GOODBYE_SECONDS)
        client.quit()
    with contextlib.suppress(OSError):
        client.close()


def _describe(error: Exception) -> str:
    match error:
        case smtplib.SMTPResponseException():
            said = error.smtp_error
            words = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
            return f"{error.smtp_code} {words}"
        case _:
            return str(error) or type(error).__name__


@functools.cache
def _own_name() -> str:
    """Our name for EHLO, as smtplib finds it; the name service is asked once, not for every letter."""
    return smtplib.SMTP().local_hostname
