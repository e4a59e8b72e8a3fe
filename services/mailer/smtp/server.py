"""The mail server that is set: how to connect, encrypt and log in."""

import contextlib
import smtplib
import ssl
from dataclasses import dataclass, field
from typing import Literal

from pydantic import SecretStr

from services.mailer.smtp.connection import LineObserver, TimedSMTP, TimedTlsSMTP
from services.mailer.smtp.deadline import StepTimeouts
from services.mailer.smtp.name_lookup import own_name

_QUIT = StepTimeouts(reply=2.0)


@dataclass(frozen=True, kw_only=True)
class SmtpServer:
    """A mail server and how to talk to it."""

    host: str
    port: int
    security: Literal["none", "starttls", "tls"]
    tls: ssl.SSLContext
    user: str | None = None
    password: SecretStr | None = None
    timeouts: StepTimeouts = field(default_factory=StepTimeouts)
    on_line: LineObserver | None = None
    """Called with each line of the conversation."""

    def connect(self) -> TimedSMTP:
        """Return a connection, encrypted and logged in as set.

        Raises:
            smtplib.SMTPException, OSError: The mail server or the settings are at fault, not the recipient.
        """
        name, timeouts, on_line = own_name(), self.timeouts, self.on_line
        if self.security == "tls":
            client: TimedSMTP = TimedTlsSMTP(
                self.host, self.port, own_name=name, timeouts=timeouts, on_line=on_line, context=self.tls
            )
        else:
            client = TimedSMTP(self.host, self.port, own_name=name, timeouts=timeouts, on_line=on_line)
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
        client.timeouts = _QUIT
        client.quit()
    with contextlib.suppress(OSError):
        client.close()
