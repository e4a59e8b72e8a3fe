"""An SMTP connection with a deadline for each step (RFC 5321, section 4.5.3.2)."""

import base64
import hmac
import io
import smtplib
import socket
from collections.abc import Callable
from email.base64mime import body_encode
from typing import Any, Literal

from services.common.infra.outbound.shared_lookup import list_addresses
from services.mailer.smtp.deadline import Deadline, StepTimeouts

_CONNECT_SECONDS = 10.0
"""Longest time to connect to each address of the server, in seconds."""
_LOOKUP_SECONDS = 30.0
_CHUNK_BYTES = 16_384
"""Written under one deadline: as much as TLS puts into a record."""
_SEND_BUFFER_BYTES = 1 << 18
"""What the system takes before the server has read it. With more, a slow server would still be reading while the
deadline for its last reply runs."""
_MAX_CHALLENGES = 5

LineObserver = Callable[[Literal["client", "server"], str], None]
"""Called with each line of the conversation."""


class TimedSMTP(smtplib.SMTP):
    """smtplib's client. Its own timeout starts anew with each byte, so a slow reply could hold it for ever."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        own_name: str,
        timeouts: StepTimeouts,
        on_line: LineObserver | None = None,
        on_created: Callable[["TimedSMTP"], None] | None = None,
        **options: Any,
    ) -> None:
        """`on_created`: called before it connects."""
        self.timeouts = timeouts
        self.deadline = Deadline(timeouts.reply)
        self._on_line = on_line or (lambda _speaker, _line: None)
        self._logging_in = False
        if on_created:
            on_created(self)
        super().__init__(host, port, local_hostname=own_name, timeout=_CONNECT_SECONDS, **options)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connection = self._connect_to_any(host, port, timeout)
        # Nagle's algorithm would hold an e-mail's small last chunk for 40 ms, until the one before it is acknowledged.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        return connection

    def _connect_to_any(self, host: str, port: int, timeout: float) -> socket.socket:
        failure: OSError = OSError(f"{host} has no address")
        for address in list_addresses(host, min(_LOOKUP_SECONDS, self.timeouts.reply)):
            try:
                connection = super()._get_socket(address, port, timeout)  # type: ignore[misc] # not in typeshed
            except OSError as error:
                failure = error
            else:
                assert isinstance(connection, socket.socket)
                return connection
        raise failure

    def send(self, s: Any) -> None:
        """Send data; each chunk of it has to be taken within its deadline."""
        data = memoryview(s.encode(self.command_encoding) if isinstance(s, str) else s)
        for start in range(0, len(data), _CHUNK_BYTES):
            if self.sock:
                self.sock.settimeout(self.timeouts.reply)
            try:
                super().send(data[start : start + _CHUNK_BYTES])
            except smtplib.SMTPServerDisconnected as error:
                # smtplib reports "Server not connected", whatever happened.
                raise smtplib.SMTPServerDisconnected(f"the server took no more data: {error.__context__}") from None

    def getreply(self) -> tuple[int, bytes]:
        """Return the server's reply, within its deadline."""
        return self._get_reply_within(self.timeouts.reply)

    def get_acceptance(self) -> tuple[int, bytes]:
        """Return the server's reply to the end of an e-mail, for which it may take longer."""
        return self._get_reply_within(self.timeouts.acceptance)

    def _get_reply_within(self, seconds: float) -> tuple[int, bytes]:
        self.deadline = Deadline(seconds)
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

    def auth(self, mechanism: str, authobject: Any, *, initial_response_ok: bool = True) -> tuple[int, bytes]:
        """Log in by a mechanism: as smtplib does, but in UTF-8 (RFC 4616, section 2) instead of ASCII."""
        answer = authobject() if initial_response_ok else None
        self._auth_challenge_count = 0 if answer is None else 1  # read by the mechanism LOGIN
        code, text = self.docmd("AUTH", mechanism if answer is None else f"{mechanism} {_encode(answer)}")
        while code == 334 and self._auth_challenge_count < _MAX_CHALLENGES:
            self._auth_challenge_count += 1
            code, text = self.docmd(_encode(authobject(base64.decodebytes(text))))
        if code in {235, 503}:
            return code, text
        raise smtplib.SMTPAuthenticationError(code, text)

    def auth_cram_md5(self, challenge: bytes | None = None) -> str | None:  # type: ignore[override] # as smtplib's own
        """Return the answer to a challenge of CRAM-MD5 (RFC 2195), which has no initial one."""
        if challenge is None:
            return None
        return f"{self.user} {hmac.new(self.password.encode(), challenge, 'md5').hexdigest()}"


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


def _encode(answer: str) -> str:
    return body_encode(answer.encode(), eol="")
