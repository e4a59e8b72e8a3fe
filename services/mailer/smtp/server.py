"""The mail server that is set: how to connect, encrypt and log in."""

import contextlib
import functools
import smtplib
import ssl
from dataclasses import dataclass
from typing import Literal

from pydantic import SecretStr

from services.mailer.smtp.connection import LineObserver, TimedSMTP, TimedTlsSMTP
from services.mailer.smtp.deadline import Deadline

_QUIT_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class SmtpServer:
    """A mail server and how to talk to it."""

    host: str
    port: int
    security: Literal["none", "starttls", "tls"]
    tls: ssl.SSLContext
    user: str | None = None
    password: SecretStr | None = None
    timeout: float
    """Seconds for one e-mail, from connecting to the last reply."""
    on_line: LineObserver | None = None
    """Called with each line of the conversation."""

    def connect(self, deadline: Deadline) -> TimedSMTP:
        """Return a connection, encrypted and logged in as set.

        Raises:
            smtplib.SMTPException, OSError: The mail server or the settings are at fault, not the recipient.
        """
        own_name, on_line = _own_name(), self.on_line
        if self.security == "tls":
            client: TimedSMTP = TimedTlsSMTP(
                self.host, self.port, own_name=own_name, deadline=deadline, on_line=on_line, context=self.tls
            )
        else:
            client = TimedSMTP(self.host, self.port, own_name=own_name, deadline=deadline, on_line=on_line)
        try:
            self._log_in(client)
        except BaseException:
            disconnect(client)
            raise
        return client

    def _log_in(self, client: TimedSMTP) -> None:
        client.ehlo_or_helo_if_needed()
        if self.security == "starttls":
            client.starttls(context=self.tls)
            client.ehlo_or_helo_if_needed()
        if self.user and self.password:
            client.login(self.user, self.password.get_secret_value())


def disconnect(client: TimedSMTP) -> None:
    """Quit. Errors are ignored: they do not change whether the e-mail was accepted."""
    with contextlib.suppress(smtplib.SMTPException, OSError, ValueError):
        client.deadline = Deadline(_QUIT_SECONDS)
        client.quit()
    with contextlib.suppress(OSError):
        client.close()


@functools.cache
def _own_name() -> str:
    """Return the name for EHLO as smtplib finds it, with one DNS query for all e-mails."""
    return smtplib.SMTP().local_hostname
