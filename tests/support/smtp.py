"""A real SMTP server for tests that keeps what it gets, and answers as it is told."""

import asyncio
import email
import email.policy
import threading
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.support.waiting import eventually

KEPT = "250 2.0.0 kept"
"""The reply to a message, unless another one was asked for."""
HANG = "hang"
"""In the place of a reply: none comes for as long as the client waits."""


@dataclass(frozen=True)
class Received:
    """One message that was answered with 250."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    at: float = field(default_factory=time.time, compare=False)
    """When it came."""

    @property
    def message(self) -> EmailMessage:
        return email.message_from_bytes(self.content, policy=email.policy.default)


class _Listener(Controller):
    """A controller that may be given port 0, and knows its port once it listens."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


class SmtpSink:
    """Listens on a free port of loopback in a thread of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._received: list[Received] = []
        self._replies: deque[str | None] = deque()
        self._replies_to: defaultdict[str, deque[str | None]] = defaultdict(deque)
        self._answers: defaultdict[str, list[str | None]] = defaultdict(list)
        self._refused: dict[str, str] = {}
        self._attempts = 0
        self._delays: dict[str, float] = {}
        self._held_at_rcpt: set[str] = set()
        self._held_at_data: dict[str, threading.Event] = {}
        self.held = 0
        """Clients that wait for an answer that is held back."""
        self.connections = 0
        """How many there were."""
        self._listener: _Listener | None = None
        self._port = 0

    @property
    def host(self) -> str:
        return "127.0.0.1"

    @property
    def port(self) -> int:
        """The port; a sink that was closed and started again has the same one."""
        assert self._port, "it has not been started"
        return self._port

    @property
    def received(self) -> list[Received]:
        """Messages that were accepted, in their order."""
        with self._lock:
            return list(self._received)

    @property
    def attempts(self) -> int:
        """How often a whole message was handed over, accepted or not."""
        with self._lock:
            return self._attempts

    def reply_to_data(self, *replies: str | None) -> None:
        """Answer the next messages so, such as `451 4.3.0 try later`; None keeps the message and cuts the line.

        That is the case in which a sender cannot know whether the message was taken.
        """
        with self._lock:
            self._replies.extend(replies)

    def reply_to(self, address: str, *replies: str | None) -> None:
        """The same for the next messages to one recipient; HANG leaves the client without an answer."""
        with self._lock:
            self._replies_to[address].extend(replies)

    def delay(self, **seconds: float) -> None:
        """From now on answer EHLO, MAIL, RCPT or the end of a message (DOT) only after so many seconds."""
        self._delays = dict(seconds)

    def hold_rcpt(self, address: str) -> None:
        """Do not answer to this recipient, for as long as the client waits."""
        self._held_at_rcpt.add(address)

    def hold_data(self, address: str, release: threading.Event) -> None:
        """Answer to whole messages to this recipient when the event is set."""
        self._held_at_data[address] = release

    def answers(self, address: str) -> list[str | None]:
        """What was said to each whole message to a recipient."""
        with self._lock:
            return list(self._answers[address])

    def to(self, address: str) -> list[Received]:
        """Messages to a recipient that were accepted, in their order."""
        return [received for received in self.received if address in received.recipients]

    def refuse(self, refusals: Mapping[str, str]) -> None:
        """From now on answer these recipients so, such as `{"a@x.org": "550 5.1.1 no such user"}`."""
        with self._lock:
            self._refused = dict(refusals)

    def wait_received(self, count: int = 1, within: float = 60.0) -> list[Received]:
        """Wait until so many messages have been accepted."""
        eventually(lambda: len(self.received) >= count, within)
        return self.received

    def clear(self) -> None:
        """Forget messages, replies and refusals."""
        with self._lock:
            self._received.clear()
            self._replies.clear()
            self._replies_to.clear()
            self._answers.clear()
            self._refused.clear()
            self._delays.clear()
            self._attempts = 0

    def start(self) -> None:
        """Listen; also again after `close`, for a server that comes back."""
        self._listener = _Listener(
            _Handler(self),
            hostname="127.0.0.1",
            port=self._port,
            data_size_limit=64 * 1024 * 1024,
            server_hostname="sink.test",
        )
        self._listener.start()
        self._port = self._listener.port

    def close(self) -> None:
        """Listen no more, and cut the connections; what was received stays."""
        if self._listener is not None:
            self._listener.stop()
            self._listener = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _refusal(self, address: str) -> str | None:
        with self._lock:
            return self._refused.get(address)

    def _take(self, received: Received) -> str | None:
        with self._lock:
            self._attempts += 1
            replies = next(filter(None, map(self._replies_to.get, received.recipients)), self._replies)
            reply = replies.popleft() if replies else KEPT
            for recipient in received.recipients:
                self._answers[recipient].append(reply)
            if reply is None or reply.startswith("2"):
                self._received.append(received)
            return reply


class _Handler:
    """The sink as aiosmtpd wants it; that looks at every attribute, so it gets an object of its own."""

    def __init__(self, sink: SmtpSink) -> None:
        self._sink = sink

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        del server, envelope
        session.host_name = hostname
        await asyncio.sleep(self._sink._delays.get("EHLO", 0))
        self._sink.connections += 1
        return responses

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        del server, session
        await asyncio.sleep(self._sink._delays.get("MAIL", 0))
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        del server, session
        await asyncio.sleep(self._sink._delays.get("RCPT", 0))
        if address in self._sink._held_at_rcpt:
            self._sink.held += 1
            await asyncio.Event().wait()  # ends with the connection
        if refusal := self._sink._refusal(address):
            return refusal
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        del session
        content = envelope.content
        assert isinstance(content, bytes)
        recipients = tuple(str(recipient) for recipient in envelope.rcpt_tos)
        for release in filter(None, map(self._sink._held_at_data.get, recipients)):
            self._sink.held += 1
            await asyncio.to_thread(release.wait, 60)
        await asyncio.sleep(self._sink._delays.get("DOT", 0))
        reply = self._sink._take(Received(envelope.mail_from or "", recipients, content))
        if reply == HANG:
            await asyncio.Event().wait()  # ends with the connection
        if reply is None:
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
            return "421 gone"
        return reply
