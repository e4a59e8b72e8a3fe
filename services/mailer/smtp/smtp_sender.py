"""Hands e-mails to a mail server over SMTP: each over a connection of its own, or many over one."""

import contextlib
import functools
import smtplib
import ssl
from dataclasses import dataclass
from typing import Literal, NoReturn

from pydantic import SecretStr

from services.mailer.smtp.deadline import Deadline, TimedSMTP, TimedTlsSMTP, Told
from services.mailer.smtp.sender import Envelope, NotTaken, Refused, Unreachable, tidy
from services.mailer.smtp.transaction import describe, hand_over, offer

_GOODBYE_SECONDS = 2.0
EMAILS_PER_CONNECTION = 100
"""Then it is opened anew: servers end connections that have carried too many, each at a number of its own."""


@dataclass(frozen=True)
class SmtpSender:
    """A mail server and how to talk to it; each e-mail has a connection of its own."""

    host: str
    port: int
    security: Literal["none", "starttls", "tls"]
    tls: ssl.SSLContext
    user: str | None
    password: SecretStr | None
    timeout: float
    """Seconds for an e-mail, from connecting to the last reply."""
    told: Told | None = None
    """Is told each line of what is said."""

    def send(self, envelope: Envelope) -> str:
        """Hand an e-mail over; see Sender."""
        line = SmtpLine(self)
        try:
            return line.send(envelope)
        finally:
            line.close()

    def open(self, deadline: Deadline) -> TimedSMTP:
        """A connection, encrypted and logged in as set. Whatever fails here is not the recipient's fault."""
        if self.security == "tls":
            client: TimedSMTP = TimedTlsSMTP(
                self.host, self.port, own_name=_own_name(), deadline=deadline, told=self.told, context=self.tls
            )
        else:
            client = TimedSMTP(self.host, self.port, own_name=_own_name(), deadline=deadline, told=self.told)
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


class SmtpLine:
    """A connection that is opened when first used, kept for the next e-mail, and opened anew after trouble.

    For one thread at a time.
    """

    def __init__(self, server: SmtpSender) -> None:
        self._server = server
        self._client: TimedSMTP | None = None
        self._carried = 0

    def send(self, envelope: Envelope) -> str:
        """Hand an e-mail over; see Sender."""
        if self._carried >= EMAILS_PER_CONNECTION:
            self.close()
        try:
            client, offered = self._offer(envelope)
            self._carried += 1
            return tidy(hand_over(client, envelope, offered), envelope.recipient)
        except (Refused, NotTaken) as error:
            self._reset(keep=not isinstance(error, Unreachable))
            _raise_tidied(error, envelope.recipient)
        except (smtplib.SMTPException, OSError) as error:
            self.close()
            raise Unreachable(tidy(describe(error), envelope.recipient)) from error

    def close(self) -> None:
        """Part from the server, if there is a connection."""
        if self._client:
            _part(self._client)
        self._client, self._carried = None, 0

    def _offer(self, envelope: Envelope) -> tuple[TimedSMTP, tuple[int, bytes]]:
        deadline = Deadline(self._server.timeout)
        if self._client:
            # The server may have ended the connection meanwhile; nothing was handed over yet, so that is no harm.
            self._client.deadline = deadline
            with contextlib.suppress(smtplib.SMTPServerDisconnected, ConnectionError):
                offered = offer(self._client, envelope)
                if offered[0] != 421:
                    return self._client, offered
            self.close()
        self._client = self._server.open(deadline)
        return self._client, offer(self._client, envelope)

    def _reset(self, *, keep: bool) -> None:
        """After an e-mail that was not taken, the connection is good for the next one once that one is forgotten."""
        if keep and self._client:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                if self._client.rset()[0] == 250:
                    return
        self.close()


def _raise_tidied(error: Refused | NotTaken, recipient: str) -> NoReturn:
    words = tidy(str(error), recipient)
    if isinstance(error, Refused):
        raise Refused(words, bounced=error.bounced) from None
    raise type(error)(words) from None


def _part(client: TimedSMTP) -> None:
    """Say goodbye; what goes wrong here changes nothing, least of all whether the e-mail was taken."""
    with contextlib.suppress(smtplib.SMTPException, OSError, ValueError):
        client.deadline = Deadline(_GOODBYE_SECONDS)
        client.quit()
    with contextlib.suppress(OSError):
        client.close()


@functools.cache
def _own_name() -> str:
    """Our name for EHLO, as smtplib finds it; the name service is asked once, not for every e-mail."""
    return smtplib.SMTP().local_hostname
