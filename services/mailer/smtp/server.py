"""The mail server that is set: how to connect, encrypt and log in."""

import contextlib
import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
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

    def connect(self, on_created: Callable[[TimedSMTP], None]) -> TimedSMTP:
        """Return a connection, encrypted and logged in as set; `on_created` gets it before that.

        Raises:
            smtplib.SMTPException, OSError: The mail server or the settings are at fault, not the recipient.
        """
        connect: Callable[..., TimedSMTP] = TimedSMTP
        if self.security == "tls":
            connect = partial(TimedTlsSMTP, context=self.tls)
        client = connect(
            self.host,
            self.port,
            own_name=own_name(),
            timeouts=self.timeouts,
            on_line=self.on_line,
            on_created=on_created,
        )
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
