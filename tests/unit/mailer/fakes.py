"""Fakes of the mailer's own ports: mail server and send rate."""

import smtplib
import ssl
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from services.mailer.smtp.connection import TimedSMTP
from services.mailer.smtp.server import SmtpServer

_GOOD = {"MAIL": "250 ok", "RCPT": "250 ok", "DATA": "354 go on", "DOT": "250 2.0.0 kept"}


class Disconnect:
    """Instead of a reply: the server closes the connection."""


DISCONNECT = Disconnect()


class FakeServer(SmtpServer):
    """A mail server in memory. `replies`: by stage (CONNECT, MAIL, RCPT, DATA, DOT), used up one after the other."""

    replies: dict[str, list[str | Disconnect]]
    refused: dict[str, str]
    """Replies to RCPT by address."""
    received: list[tuple[str, bytes]]
    """Recipients and messages that were accepted."""
    offered: int
    """Transactions that were begun."""
    connections: int

    def __init__(self) -> None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        super().__init__(host="fake", port=25, security="none", tls=tls)
        for name, value in (
            ("replies", defaultdict(list)),
            ("refused", {}),
            ("received", []),
            ("offered", 0),
            ("connections", 0),
        ):
            object.__setattr__(self, name, value)

    def connect(self, on_created: Callable[[TimedSMTP], None]) -> TimedSMTP:
        del on_created
        object.__setattr__(self, "connections", self.connections + 1)
        if self.replies["CONNECT"]:
            raise ConnectionRefusedError(f"[Errno 111] {self.replies['CONNECT'].pop(0)}")
        return FakeConnection(self)

    def count_offer(self) -> None:
        object.__setattr__(self, "offered", self.offered + 1)


class FakeConnection(TimedSMTP):
    """Replies by its server's script."""

    def __init__(self, server: FakeServer) -> None:
        self.timeouts = server.timeouts
        self.sock = None
        self._server = server
        self._recipient = ""
        self._message = b""

    def has_extn(self, opt: str) -> bool:
        return bool(opt)

    def mail(self, sender: str, options: Any = ()) -> tuple[int, bytes]:
        del sender, options
        self._server.count_offer()
        self._message = b""
        return self._reply("MAIL")

    def rcpt(self, recip: str, options: Any = ()) -> tuple[int, bytes]:
        del options
        self._recipient = recip
        if recip in self._server.refused:
            return _parsed(self._server.refused[recip])
        return self._reply("RCPT")

    def docmd(self, cmd: str, args: str = "") -> tuple[int, bytes]:
        del args
        return self._reply(cmd)

    def send(self, s: Any) -> None:
        self._message += s

    def get_acceptance(self) -> tuple[int, bytes]:
        reply = self._reply("DOT")
        if reply[0] == 250:
            self._server.received.append((self._recipient, self._message))
        return reply

    def rset(self) -> tuple[int, bytes]:
        return 250, b"ok"

    def quit(self) -> tuple[int, bytes]:
        return 221, b"bye"

    def close(self) -> None:
        """Nothing is open."""

    def _reply(self, stage: str) -> tuple[int, bytes]:
        scripted = self._server.replies[stage]
        reply = scripted.pop(0) if scripted else _GOOD[stage]
        if isinstance(reply, Disconnect):
            raise smtplib.SMTPServerDisconnected("Connection unexpectedly closed")
        return _parsed(reply)


def _parsed(reply: str) -> tuple[int, bytes]:
    return int(reply[:3]), reply[4:].encode()


class NoLimit:
    """Lets every e-mail pass at once."""

    def wait(self, *, bulk: bool) -> None:
        del bulk
