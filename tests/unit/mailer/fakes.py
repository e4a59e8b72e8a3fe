"""Fakes of the mailer's ports: mail server, broker, blob store, clock."""

import smtplib
import ssl
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

from dramatiq import Message

from services.common.infra.blobs import MissingBlob
from services.common.infra.broker import Broker
from services.mailer.smtp.connection import TimedSMTP
from services.mailer.smtp.deadline import Deadline
from services.mailer.smtp.server import SmtpServer

_GOOD = {"MAIL": "250 ok", "RCPT": "250 ok", "DATA": "354 go on", "DOT": "250 2.0.0 kept"}


class Disconnect:
    """Instead of a reply: the server closes the connection."""


DISCONNECT = Disconnect()


class FakeServer(SmtpServer):
    """A mail server in memory. `replies`: by stage (CONNECT, MAIL, RCPT, DATA, DOT), used up one after the other."""

    replies: dict[str, list[str | Disconnect]]
    rejected: dict[str, str]
    """Replies to RCPT by address."""
    received: list[tuple[str, bytes]]
    """Recipients and messages that were accepted."""
    offered: int
    """Transactions that were begun."""
    connections: int

    def __init__(self) -> None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        super().__init__(host="fake", port=25, security="none", tls=tls, timeout=10)
        for name, value in (
            ("replies", defaultdict(list)),
            ("rejected", {}),
            ("received", []),
            ("offered", 0),
            ("connections", 0),
        ):
            object.__setattr__(self, name, value)

    def connect(self, deadline: Deadline) -> TimedSMTP:
        object.__setattr__(self, "connections", self.connections + 1)
        if self.replies["CONNECT"]:
            raise ConnectionRefusedError(f"[Errno 111] {self.replies['CONNECT'].pop(0)}")
        return FakeConnection(self, deadline)

    def count_offer(self) -> None:
        object.__setattr__(self, "offered", self.offered + 1)


class FakeConnection(TimedSMTP):
    """Replies by its server's script."""

    def __init__(self, server: FakeServer, deadline: Deadline) -> None:
        self.deadline = deadline
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
        if recip in self._server.rejected:
            return _parsed(self._server.rejected[recip])
        return self._reply("RCPT")

    def docmd(self, cmd: str, args: str = "") -> tuple[int, bytes]:
        del args
        return self._reply(cmd)

    def send(self, s: Any) -> None:
        self._message += s

    def getreply(self) -> tuple[int, bytes]:
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


class FakeBroker(Broker):
    """Keeps the messages and announcements that it is given."""

    def __init__(self) -> None:
        self.messages: list[Message[None]] = []
        self.announced: list[tuple[UUID, bool]] = []
        """Order ids, and whether they were announced as ended."""

    def send(self, messages: Iterable[Message[None]]) -> None:
        self.messages += messages

    def announce(self, *order_ids: UUID, ended: bool = False) -> None:
        self.announced += [(order_id, ended) for order_id in order_ids]

    def subjects(self, queue: str) -> list[str]:
        return [str(message.args[0]) for message in self.messages if message.queue_name == queue]


class FakeBlobs:
    """A blob store in memory."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}

    def put(self, key: str, data: bytes) -> None:
        self.blobs[key] = data

    def get(self, key: str) -> bytes:
        if key not in self.blobs:
            raise MissingBlob(key)
        return self.blobs[key]

    def stream(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        yield self.get(key)[offset:][:length]


class NoLimit:
    """Lets every e-mail pass at once."""

    def wait(self, *, bulk: bool) -> None:
        del bulk


class HourlyClock:
    """A clock on which each look takes an hour."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 3600
        return self.now

    def sleep(self, _: float) -> None:
        """Return at once."""
