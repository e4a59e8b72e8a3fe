"""An SMTP connection with one deadline for everything that is done over it, not for each read or write."""

import io
import smtplib
import socket
from collections.abc import Callable
from typing import Any, Literal

from services.mailer.smtp.deadline import Deadline

_CONNECT_SECONDS = 10.0
_CHUNK_BYTES = 16_384
"""Written under one timeout: as much as TLS puts into a record."""

LineObserver = Callable[[Literal["client", "server"], str], None]
"""Called with each line of the conversation."""


class TimedSMTP(smtplib.SMTP):
    """smtplib's client. Its own timeout starts anew with each byte, so a slow server could hold it for ever."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        own_name: str,
        deadline: Deadline,
        on_line: LineObserver | None = None,
        **options: Any,
    ) -> None:
        self.deadline = deadline
        self._on_line = on_line or (lambda _speaker, _line: None)
        self._logging_in = False
        timeout = min(_CONNECT_SECONDS, deadline.remaining())
        super().__init__(host, port, local_hostname=own_name, timeout=timeout, **options)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        # Nagle's algorithm would hold an e-mail's small last chunk for 40 ms, until the one before it is acknowledged.
        connection = super()._get_socket(host, port, timeout)  # type: ignore[misc] # typeshed does not know it
        assert isinstance(connection, socket.socket)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def send(self, s: Any) -> None:
        """Send within the deadline."""
        data = memoryview(s.encode(self.command_encoding) if isinstance(s, str) else s)
        for start in range(0, len(data), _CHUNK_BYTES):
            if self.sock:
                self.sock.settimeout(self.deadline.remaining())
            super().send(data[start : start + _CHUNK_BYTES])

    def getreply(self) -> tuple[int, bytes]:
        """Return the server's reply, within the deadline."""
        if self.file is None and self.sock:
            self.file = io.BufferedReader(_TimedReader(self.sock, self))
        code, message = super().getreply()
        for line in message.decode("utf-8", "replace").splitlines() or [""]:
            self._on_line("server", f"{code} {line}")
        return code, message

    def putcmd(self, cmd: str, args: str = "") -> None:
        """Send a command; those of a login are hidden from the observer."""
        self._on_line("client", "(login)" if self._logging_in else f"{cmd} {args}".strip())
        super().putcmd(cmd, args)

    def login(self, user: str, password: str, **options: Any) -> tuple[int, bytes]:
        """Log in."""
        self._logging_in = True
        try:
            return super().login(user, password, **options)
        finally:
            self._logging_in = False


class TimedTlsSMTP(TimedSMTP, smtplib.SMTP_SSL):
    """The same over TLS from the first byte."""


class _TimedReader(io.RawIOBase):
    def __init__(self, connection: socket.socket, client: TimedSMTP) -> None:
        self._connection = connection
        self._client = client

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(self._client.deadline.remaining())
        return self._connection.recv_into(buffer)
