"""A session with the mail server: e-mails one after the other over one connection."""

import contextlib
import smtplib
import socket
import threading
from collections.abc import Callable
from typing import NoReturn, Protocol

from services.mailer.smtp.connection import TimedSMTP
from services.mailer.smtp.envelope import (
    EmailDeferred,
    EmailRefused,
    MailServerUnavailable,
    SmtpEnvelope,
    sanitize_reply,
)
from services.mailer.smtp.send_rate import MailerStopping
from services.mailer.smtp.server import SmtpServer, disconnect
from services.mailer.smtp.transaction import begin_transaction, finish_transaction, reply_text

EMAILS_PER_CONNECTION = 100
"""E-mails after which a session reconnects: servers end connections after too many, each after its own number."""


def _nothing() -> None:
    """Do nothing before the end of an e-mail."""


class MailSession(Protocol):
    """The port through which e-mails leave the mailer."""

    def send(self, envelope: SmtpEnvelope, before_end: Callable[[], None] = ..., /) -> str:
        """Send an e-mail and return the server's reply when it has accepted it.

        `before_end` is called when all but the e-mail's end was sent; if it raises, nothing is accepted.

        Raises:
            EmailRefused: It will never accept it.
            EmailDeferred: It does not accept it now.
            MailServerUnavailable: It accepts no e-mail now, or the connection failed.
            AcceptanceUnknown: The connection failed when only its reply to the whole e-mail was missing.
            MailerStopping: The session was interrupted.
        """

    def close(self) -> None:
        """Disconnect."""


class SmtpSession:
    """A MailSession that connects when first used, keeps the connection, and reconnects after an error.

    For one thread at a time; another one may interrupt it.
    """

    def __init__(self, server: SmtpServer) -> None:
        self._server = server
        self._client: TimedSMTP | None = None
        self._sent = 0
        """E-mails over this connection."""
        self._lock = threading.Lock()
        self._interrupted = False
        self._ending = False
        """The end of an e-mail was sent: its reply is awaited, whatever happens."""

    def send(self, envelope: SmtpEnvelope, before_end: Callable[[], None] = _nothing, /) -> str:
        """Send an e-mail; see MailSession."""
        if self._sent >= EMAILS_PER_CONNECTION:
            self.close()
        try:
            client, mail_reply = self._begin(envelope)
            self._sent += 1
            reply = finish_transaction(client, envelope, mail_reply, before_end=lambda: self._end(before_end))
            return sanitize_reply(reply, envelope.recipient)
        except (EmailRefused, EmailDeferred) as error:
            self._reset(keep=not isinstance(error, MailServerUnavailable))
            _raise_sanitized(error, envelope.recipient)
        except (smtplib.SMTPException, OSError) as error:
            self._abort()
            if self._interrupted:
                raise MailerStopping from None
            raise MailServerUnavailable(sanitize_reply(_error_text(error), envelope.recipient)) from error
        except BaseException:
            self._abort()
            raise
        finally:
            self._ending = False

    def interrupt(self) -> None:
        """End an e-mail that is being sent, unless only the server's reply to all of it is missing; send no others."""
        with self._lock:
            self._interrupted = True
            if not self._ending and self._client and self._client.sock:
                with contextlib.suppress(OSError):
                    self._client.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Disconnect, if connected."""
        if self._client:
            disconnect(self._client)
        self._client, self._sent = None, 0

    def _begin(self, envelope: SmtpEnvelope) -> tuple[TimedSMTP, tuple[int, bytes]]:
        if self._client:
            # The server may have ended the connection meanwhile. Nothing has been sent yet, so reconnecting is safe.
            with contextlib.suppress(smtplib.SMTPServerDisconnected, ConnectionError):
                reply = begin_transaction(self._client, envelope)
                if reply[0] != 421:
                    return self._client, reply
            self.close()
        self._check_interrupted()
        self._client = self._server.connect(self._keep)
        self._check_interrupted()
        return self._client, begin_transaction(self._client, envelope)

    def _keep(self, client: TimedSMTP) -> None:
        """Keep a client before it connects, so that this can be interrupted."""
        self._client = client

    def _end(self, before_end: Callable[[], None]) -> None:
        before_end()
        with self._lock:
            self._check_interrupted()
            self._ending = True

    def _check_interrupted(self) -> None:
        if self._interrupted:
            raise MailerStopping

    def _reset(self, *, keep: bool) -> None:
        """Make the connection ready for the next e-mail after one that was not accepted, or close it."""
        if keep and self._client:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                if self._client.rset()[0] == 250:
                    return
        self.close()

    def _abort(self) -> None:
        """Close the connection without a farewell, which within a message would be a line of it."""
        if self._client:
            with contextlib.suppress(OSError):
                self._client.close()
        self._client, self._sent = None, 0


def _raise_sanitized(error: EmailRefused | EmailDeferred, recipient: str) -> NoReturn:
    reply = sanitize_reply(str(error), recipient)
    if isinstance(error, EmailRefused):
        raise EmailRefused(reply, no_mailbox=error.no_mailbox) from None
    raise type(error)(reply) from None


def _error_text(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        message = error.smtp_error
        return reply_text((error.smtp_code, message if isinstance(message, bytes) else message.encode()))
    return str(error) or type(error).__name__
