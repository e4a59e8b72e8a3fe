"""A session with the mail server: e-mails one after the other over one connection."""

import contextlib
import smtplib
from typing import NoReturn, Protocol

from services.mailer.smtp.connection import TimedSMTP
from services.mailer.smtp.deadline import Deadline
from services.mailer.smtp.envelope import (
    EmailDeferred,
    EmailRejected,
    MailServerUnavailable,
    SmtpEnvelope,
    sanitize_reply,
)
from services.mailer.smtp.server import SmtpServer, disconnect
from services.mailer.smtp.transaction import begin_transaction, finish_transaction, reply_text

EMAILS_PER_CONNECTION = 100
"""Then the session reconnects: servers end connections that have carried too many, each at a number of its own."""


class MailSession(Protocol):
    """The port through which e-mails leave the mailer."""

    def send(self, envelope: SmtpEnvelope) -> str:
        """Send an e-mail and return the server's reply when it has accepted it.

        Raises:
            EmailRejected: It will never accept it.
            EmailDeferred: It does not accept it now.
            MailServerUnavailable: It accepts no e-mail now, or the connection failed.
        """

    def close(self) -> None:
        """Disconnect."""


class SmtpSession:
    """A MailSession that connects when first used, keeps the connection, and reconnects after an error.

    For one thread at a time.
    """

    def __init__(self, server: SmtpServer) -> None:
        self._server = server
        self._client: TimedSMTP | None = None
        self._sent = 0
        """E-mails over this connection."""

    def send(self, envelope: SmtpEnvelope) -> str:
        """Send an e-mail; see MailSession."""
        if self._sent >= EMAILS_PER_CONNECTION:
            self.close()
        try:
            client, mail_reply = self._begin(envelope)
            self._sent += 1
            return sanitize_reply(finish_transaction(client, envelope, mail_reply), envelope.recipient)
        except (EmailRejected, EmailDeferred) as error:
            self._reset(keep=not isinstance(error, MailServerUnavailable))
            _raise_sanitized(error, envelope.recipient)
        except (smtplib.SMTPException, OSError) as error:
            self.close()
            raise MailServerUnavailable(sanitize_reply(_error_text(error), envelope.recipient)) from error

    def close(self) -> None:
        """Disconnect, if connected."""
        if self._client:
            disconnect(self._client)
        self._client, self._sent = None, 0

    def _begin(self, envelope: SmtpEnvelope) -> tuple[TimedSMTP, tuple[int, bytes]]:
        deadline = Deadline(self._server.timeout)
        if self._client:
            # The server may have ended the connection meanwhile. Nothing has been sent yet, so reconnecting is safe.
            self._client.deadline = deadline
            with contextlib.suppress(smtplib.SMTPServerDisconnected, ConnectionError):
                reply = begin_transaction(self._client, envelope)
                if reply[0] != 421:
                    return self._client, reply
            self.close()
        self._client = self._server.connect(deadline)
        return self._client, begin_transaction(self._client, envelope)

    def _reset(self, *, keep: bool) -> None:
        """Make the connection ready for the next e-mail after one that was not accepted, or close it."""
        if keep and self._client:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                if self._client.rset()[0] == 250:
                    return
        self.close()


def _raise_sanitized(error: EmailRejected | EmailDeferred, recipient: str) -> NoReturn:
    reply = sanitize_reply(str(error), recipient)
    if isinstance(error, EmailRejected):
        raise EmailRejected(reply, no_mailbox=error.no_mailbox) from None
    raise type(error)(reply) from None


def _error_text(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        message = error.smtp_error
        return reply_text((error.smtp_code, message if isinstance(message, bytes) else message.encode()))
    return str(error) or type(error).__name__
