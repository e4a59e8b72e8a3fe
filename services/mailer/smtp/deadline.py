"""An SMTP connection with a deadline for all that is done over it, not for each piece of it."""

import io
import smtplib
import socket
import time
from collections.abc import Callable
from typing import Any, Literal

_CONNECT_SECONDS = 10.0
_PIECE = 16_384
"""Bytes written under one timeout: as much as TLS puts into a record."""


Told = Callable[[Literal["we", "server"], str], None]
"""Is told each line of what is said."""


class Deadline:
    """A moment that work must not pass."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds left, more than 0.

        Raises:
            TimeoutError: None are.
        """
        left = self._at - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left


class TimedSMTP(smtplib.SMTP):
    """smtplib's client; its own timeout begins anew with each byte, so a slow server could hold it for ever."""

    def __init__(
        self, host: str, port: int, *, own_name: str, deadline: Deadline, told: Told | None = None, **options: Any
    ) -> None:
        self.deadline = deadline
        self._told = told or (lambda _speaker, _line: None)
        self._secret = False
        timeout = min(_CONNECT_SECONDS, deadline.remaining())
        super().__init__(host, port, local_hostname=own_name, timeout=timeout, **options)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        # An e-mail's last piece is small, and would wait 40 ms for the server to confirm the one before it.
        connection = super()._get_socket(host, port, timeout)  # type: ignore[misc] # typeshed does not know it
        assert isinstance(connection, socket.socket)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def send(self, s: Any) -> None:
        """Send within the deadline."""
        data = memoryview(s.encode(self.command_encoding) if isinstance(s, str) else s)
        for start in range(0, len(data), _PIECE):
            if self.sock:
                self.sock.settimeout(self.deadline.remaining())
            super().send(data[start : start + _PIECE])

    def getreply(self) -> tuple[int, bytes]:
        """The server's reply, within the deadline."""
        if self.file is None and self.sock:
            self.file = io.BufferedReader(_TimedReader(self.sock, self))
        code, said = super().getreply()
        for line in said.decode("utf-8", "replace").splitlines() or [""]:
            self._told("server", f"{code} {line}")
        return code, said

    def putcmd(self, cmd: str, args: str = "") -> None:
        """Send a command; of a login, nobody is told more than that there is one."""
        self._told("we", "(of the login)" if self._secret else f"{cmd} {args}".strip())
        super().putcmd(cmd, args)

    def login(self, user: str, password: str, **options: Any) -> tuple[int, bytes]:
        """Log in."""
        self._secret = True
        try:
            return super().login(user, password, **options)
        finally:
            self._secret = False


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
