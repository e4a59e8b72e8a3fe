"""SMTP over sockets, with a server that follows a script: replies, lost connections, deadlines."""

import io
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager

import pytest
from pydantic import SecretStr

from services.mailer.smtp.deadline import StepTimeouts
from services.mailer.smtp.envelope import EmailDeferred, EmailRefused, SmtpEnvelope, sanitize_reply
from services.mailer.smtp.server import SmtpServer
from services.mailer.smtp.session import SmtpSession

GOOD = {
    "CONNECT": "220 ready",
    "EHLO": "250-here\r\n250-SIZE 1000000\r\n250 8BITMIME",
    "MAIL": "250 ok",
    "RCPT": "250 ok",
    "DATA": "354 go on",
    ".": "250 2.0.0 kept",
    "QUIT": "221 bye",
}


class Script:
    """A server with an answer to each command; it keeps the lines that it got."""

    def __init__(self, listener: socket.socket, answers: Mapping[str, str]) -> None:
        self.port: int = listener.getsockname()[1]
        self.lines: list[bytes] = []
        self._listener = listener
        self.answers = dict(answers)

    def run(self) -> None:
        connection, _ = self._listener.accept()
        with connection, connection.makefile("rb") as lines:
            connection.sendall(self._answer("CONNECT"))
            in_data = False
            for line in lines:
                self.lines.append(line)
                if in_data and line != b".\r\n":
                    continue
                command = line.decode().strip().partition(" ")[0].upper()
                answer = self._answer(command)
                in_data = command == "DATA" and answer.startswith(b"354")
                if not answer.strip():
                    return
                connection.sendall(answer)
                if command == "QUIT":
                    return

    def _answer(self, command: str) -> bytes:
        return self.answers.get(command, "500 what?").encode() + b"\r\n"


@contextmanager
def scripted(**changes: str) -> Iterator[Script]:
    answers = GOOD | {name.replace("DOT", "."): answer for name, answer in changes.items()}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        script = Script(listener, answers)
        thread = threading.Thread(target=script.run)
        thread.start()
        yield script
        thread.join(60)
        assert not thread.is_alive()


def server_at(port: int, *, reply: float = 30, acceptance: float = 30, password: str | None = None) -> SmtpServer:
    return SmtpServer(
        host="127.0.0.1",
        port=port,
        security="none",
        tls=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        user="ann" if password else None,
        password=SecretStr(password) if password else None,
        timeouts=StepTimeouts(reply=reply, acceptance=acceptance),
    )


def send(port: int, sent: SmtpEnvelope, *, timeout: float = 30) -> str:
    with closing(SmtpSession(server_at(port, reply=timeout))) as session:
        return session.send(sent)


def envelope(content: bytes = b"Subject: x\r\n\r\nbody\r\n", *, to: str = "ann@example.org") -> SmtpEnvelope:
    return SmtpEnvelope(
        sender="blur@example.org", recipient=to, utf8=not to.isascii(), content=io.BytesIO(content), size=len(content)
    )


def test_an_email_that_is_taken() -> None:
    with scripted() as server:
        assert send(server.port, envelope()) == "250 2.0.0 kept"
    assert b"mail FROM:<blur@example.org> SIZE=20\r\n" in server.lines
    assert b"rcpt TO:<ann@example.org>\r\n" in server.lines


def test_lines_that_begin_with_a_dot_arrive() -> None:
    with scripted() as server:
        send(server.port, envelope(b"\r\n.\r\n..\r\n.x\r\ny.\r\n"))
    start = server.lines.index(b"DATA\r\n") + 1
    assert server.lines[start:-1] == [b"\r\n", b"..\r\n", b"...\r\n", b"..x\r\n", b"y.\r\n", b".\r\n"]


@pytest.mark.parametrize(("stage", "reply"), [("RCPT", "550 5.1.1 no such user"), ("DOT", "554 5.7.1 this is spam")])
def test_what_ends_an_email(stage: str, reply: str) -> None:
    with scripted(**{stage: reply}) as server, pytest.raises(EmailRefused) as refused:
        send(server.port, envelope())
    assert str(refused.value) == reply


@pytest.mark.parametrize(
    ("stage", "reply"),
    [
        ("CONNECT", "554 no service for you"),
        ("CONNECT", "421 too busy"),
        ("RCPT", "421 going down"),
        ("DOT", "452 4.3.1 disk full"),
    ],
)
def test_what_is_retried(stage: str, reply: str) -> None:
    with scripted(**{stage: reply}) as server, pytest.raises(EmailDeferred) as not_taken:
        send(server.port, envelope())
    assert str(not_taken.value) == reply


@pytest.mark.parametrize("stage", ["EHLO", "DOT"])
def test_a_lost_connection_is_retried(stage: str) -> None:
    with scripted(**{stage: ""}) as server, pytest.raises(EmailDeferred):
        send(server.port, envelope())


@pytest.mark.parametrize("farewell", ["", "500 no", "nonsense"])
def test_what_happens_after_the_email_was_taken_does_not_matter(farewell: str) -> None:
    with scripted(QUIT=farewell) as server:
        assert send(server.port, envelope()) == "250 2.0.0 kept"


def test_an_address_beyond_ascii_needs_a_server_that_knows_them() -> None:
    with scripted() as server, pytest.raises(EmailRefused, match="only addresses in ASCII"):
        send(server.port, envelope(to="анна@example.org"))
    with scripted(EHLO="250-here\r\n250 SMTPUTF8") as server:
        send(server.port, envelope(to="анна@example.org"))
    assert "rcpt TO:<анна@example.org>\r\n".encode() in server.lines


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(EmailDeferred, match="refused"):
        send(port, envelope())


def test_the_deadline_is_for_a_whole_reply() -> None:
    """A server that sends a byte now and then never lets a timeout for each byte pass."""
    stopped = threading.Event()

    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            while not stopped.wait(0.05):
                try:
                    connection.sendall(b"2")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        begin = time.monotonic()
        try:
            with pytest.raises(EmailDeferred):
                send(listener.getsockname()[1], envelope(), timeout=0.4)
            assert time.monotonic() - begin < 20
        finally:
            stopped.set()
            thread.join()


def test_a_server_that_does_not_read_is_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        script = Script(listener, GOOD)
        begin = time.monotonic()

        def read_up_to_data() -> None:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as lines:
                connection.sendall(script._answer("CONNECT"))
                for line in lines:
                    connection.sendall(script._answer(line.decode().strip().partition(" ")[0].upper()))
                    if line == b"DATA\r\n":
                        left.wait(60)
                        return

        left = threading.Event()
        thread = threading.Thread(target=read_up_to_data)
        thread.start()
        try:
            with pytest.raises(EmailDeferred):
                send(script.port, envelope(b"x" * 70 + b"\r\n" + b"y\r\n" * 3_000_000), timeout=0.5)
            assert time.monotonic() - begin < 50
        finally:
            left.set()
            thread.join()


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("550 5.1.1 no such user", "550 5.1.1 no such user"),
        ("550 first\nsecond\r\n third", "550 first second third"),
        ("550 <Ann@Example.org>: unknown", "550 <(address)>: unknown"),
        ("550 \x1b[31mred\u202e", "550 [31mred"),
        ("x" * 1000, "x" * 300),
    ],
)
def test_a_reply_becomes_one_line_without_the_address(reply: str, expected: str) -> None:
    assert sanitize_reply(reply, "ann@example.org") == expected
