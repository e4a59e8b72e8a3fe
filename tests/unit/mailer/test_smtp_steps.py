"""Deadlines of each step of a session: slow servers get their e-mails once, those that do not answer are given up."""

import base64
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from services.common.infra.outbound import shared_lookup
from services.common.infra.outbound.shared_lookup import SharedLookup
from services.mailer.smtp import name_lookup
from services.mailer.smtp.envelope import AcceptanceUnknown, MailServerUnavailable, SmtpEnvelope
from services.mailer.smtp.open_sessions import OpenSessions
from services.mailer.smtp.send_rate import MailerStopping
from services.mailer.smtp.session import SmtpSession
from tests.support.waiting import eventually
from tests.unit.mailer.test_smtp import GOOD, envelope, scripted, server_at

LARGE = b"Subject: x\r\n\r\n" + b"y" * 70 * 20_000 + b"\r\n"


class SlowServer:
    """Answers each command after a delay of its own, and reads a message slowly."""

    def __init__(self, *, delays: dict[str, float], pause: float) -> None:
        self.messages: list[bytes] = []
        self.rest: bytes = b""
        """What came of a message that did not end."""
        self._delays = delays
        self._pause = pause
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.port: int = self._listener.getsockname()[1]
        self.reading = threading.Event()
        """Set when a message begins."""
        self.closed = threading.Event()

    def run(self) -> None:
        connection, _ = self._listener.accept()
        with connection, self._listener:
            self._answer(connection, "CONNECT")
            buffer = b""
            while data := connection.recv(4096):
                buffer += data
                while b"\r\n" in buffer:
                    line, _, buffer = buffer.partition(b"\r\n")
                    command = line.decode().partition(" ")[0].upper()
                    self._answer(connection, command)
                    if command == "DATA":
                        buffer = self._read_message(connection, buffer)
                        self._answer(connection, ".")
        self.closed.set()

    def _read_message(self, connection: socket.socket, message: bytes) -> bytes:
        self.reading.set()
        while not message.endswith(b"\r\n.\r\n"):
            time.sleep(self._pause)
            data = connection.recv(65_536)
            message += data
            if not data:
                self.rest = message
                raise ConnectionAbortedError
        self.messages.append(message)
        return b""

    def _answer(self, connection: socket.socket, command: str) -> None:
        time.sleep(self._delays.get(command, 0))
        connection.sendall(GOOD.get(command, "500 what?").encode() + b"\r\n")


@contextmanager
def slow(pause: float = 0.0, **delays: float) -> Iterator[SlowServer]:
    server = SlowServer(delays={name.replace("DOT", "."): delay for name, delay in delays.items()}, pause=pause)

    def run() -> None:
        try:
            server.run()
        except OSError:
            server.closed.set()

    thread = threading.Thread(target=run)
    thread.start()
    yield server
    thread.join(60)
    assert not thread.is_alive()


def test_a_slow_but_steady_server_gets_a_large_email() -> None:
    with slow(pause=0.12) as server:
        begin = time.monotonic()
        session = SmtpSession(server_at(server.port, reply=3.5, acceptance=60))
        assert session.send(envelope(LARGE)) == "250 2.0.0 kept"
        assert time.monotonic() - begin > 3.6, "it took longer than any step may"
        session.close()
    assert server.messages == [LARGE + b".\r\n"]


STEPS = ("CONNECT", "EHLO", "MAIL", "RCPT", "DATA")


def test_each_step_has_its_own_time() -> None:
    with slow(**dict.fromkeys(STEPS, 0.5)) as server:
        session = SmtpSession(server_at(server.port, reply=2))
        assert session.send(envelope()) == "250 2.0.0 kept", "2.5 s in all"
        session.close()


@pytest.mark.parametrize("step", STEPS)
def test_no_step_has_more_than_its_time(step: str) -> None:
    with slow(**{step: 1.0}) as server:
        session = SmtpSession(server_at(server.port, reply=0.3))
        with pytest.raises(MailServerUnavailable, match="timed out") as error:
            session.send(envelope())
        assert not isinstance(error.value, AcceptanceUnknown), "it can be sent again without a second copy"
    assert server.messages == []


def test_a_server_that_thinks_after_the_end_gets_one_copy() -> None:
    with slow(DOT=2.5) as server:
        session = SmtpSession(server_at(server.port, reply=2, acceptance=60))
        assert session.send(envelope()) == "250 2.0.0 kept"
        session.close()
    assert len(server.messages) == 1


def test_silence_after_the_end_leaves_it_unknown_whether_the_email_was_accepted() -> None:
    with slow(DOT=1.5) as server:
        session = SmtpSession(server_at(server.port, acceptance=0.3))
        with pytest.raises(AcceptanceUnknown, match=r"did not report whether it accepts the e-mail: .*timed out"):
            session.send(envelope())


def _raise_lost() -> None:
    raise LookupError("the claim was lost")


def test_an_email_that_is_not_to_be_sent_after_all_is_not_ended() -> None:
    with slow() as server:
        session = SmtpSession(server_at(server.port))
        with pytest.raises(LookupError):
            session.send(envelope(), _raise_lost)
    assert server.messages == []
    assert b"quit" not in server.rest.lower(), "within a message that would be a line of it"


def _in_thread(session: SmtpSession, sent: SmtpEnvelope) -> Callable[[], object]:
    """Send in a thread; the result is what came of it."""
    outcome: list[object] = []

    def run() -> None:
        try:
            outcome.append(session.send(sent))
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()

    def join() -> object:
        thread.join(60)
        return outcome[0]

    return join


def test_an_email_is_interrupted_before_its_end() -> None:
    with slow(pause=0.05) as server:
        sessions = OpenSessions(server_at(server.port))
        join = _in_thread(sessions.open(), envelope(LARGE * 20))
        assert server.reading.wait(60)
        sessions.interrupt()
        begin = time.monotonic()
        assert isinstance(join(), MailerStopping)
        assert time.monotonic() - begin < 20, "the whole e-mail takes this server more than half a minute"
    assert server.messages == []
    with pytest.raises(MailerStopping):
        sessions.open().send(envelope())


def test_a_session_is_interrupted_while_it_waits_for_the_greeting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sessions = OpenSessions(server_at(listener.getsockname()[1], reply=60))
        join = _in_thread(sessions.open(), envelope())
        connection, _ = listener.accept()
        with connection:
            time.sleep(0.2)
            sessions.interrupt()
            assert isinstance(join(), MailerStopping)


def test_the_reply_to_a_whole_email_is_awaited_though_the_mailer_is_to_stop() -> None:
    with slow(DOT=1.0) as server:
        sessions = OpenSessions(server_at(server.port))
        session = sessions.open()
        join = _in_thread(session, envelope())
        eventually(lambda: server.messages)
        sessions.interrupt()
        assert join() == "250 2.0.0 kept"
        session.close()


def test_a_name_server_that_hangs_costs_a_timeout_and_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    answers, asked = threading.Event(), threading.Semaphore(0)

    def hang(*_: object, **__: object) -> list[object]:
        asked.release()
        answers.wait(60)
        return [(2, 1, 6, "", ("127.0.0.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    lookup = SharedLookup(shared_lookup._list_addresses)
    for _ in range(3):
        with pytest.raises(TimeoutError, match=r"relay\.example\.org was not resolved"):
            lookup("relay.example.org", 0.05)
    assert asked.acquire(timeout=30)
    assert not asked.acquire(blocking=False), "one look-up for all"
    answers.set()
    assert lookup("relay.example.org", 30) == ["127.0.0.1"]


def test_the_own_name_is_asked_for_again_after_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    def time_out(*_: object) -> str:
        raise TimeoutError("too slow")

    name_lookup._own_name.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(name_lookup, "_find_own_name", time_out)
        assert name_lookup.own_name() == "[127.0.0.1]"
    monkeypatch.setattr(name_lookup, "_find_own_name", lambda *_: "blur.example.org")
    assert name_lookup.own_name() == "blur.example.org"
    name_lookup._own_name.cache_clear()


def test_an_unknown_name_is_the_mail_server_s_fault() -> None:
    server = server_at(1)
    object.__setattr__(server, "host", "no-such-host.invalid")
    with pytest.raises(MailServerUnavailable):
        SmtpSession(server).send(envelope())


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_a_password_with_umlauts_is_sent_in_utf_8(mechanism: str) -> None:
    with scripted(EHLO=f"250-here\r\n250 AUTH {mechanism}", AUTH="235 2.7.0 welcome") as script:
        if mechanism == "LOGIN":
            script.answers |= {"AUTH": "334 UGFzc3dvcmQ6", base64.b64encode("grün".encode()).decode().upper(): "235 in"}
        session = SmtpSession(server_at(script.port, password="grün"))
        assert session.send(envelope()) == "250 2.0.0 kept"
        session.close()
    sent = b"".join(script.lines)
    expected = "\0ann\0grün" if mechanism == "PLAIN" else "grün"
    assert base64.b64encode(expected.encode()) in sent


def test_a_password_with_umlauts_answers_a_challenge() -> None:
    answer = "ann 1d04b2c5b3d3b6a4b8a4b4d7c9d5e0a2"
    with scripted(EHLO="250-here\r\n250 AUTH CRAM-MD5", AUTH="334 PDEyMz4=") as script:
        session = SmtpSession(server_at(script.port, password="grün"))
        with pytest.raises(MailServerUnavailable, match="500"):  # the script does not know the answer
            session.send(envelope())
    line = base64.b64decode(script.lines[2])
    assert line.startswith(b"ann ")
    assert len(line) == len(answer)


def test_a_wrong_password_is_a_sentence() -> None:
    with (
        scripted(EHLO="250-here\r\n250 AUTH PLAIN", AUTH="535 5.7.8 wrong") as script,
        pytest.raises(MailServerUnavailable, match=r"535 5\.7\.8 wrong"),
    ):
        SmtpSession(server_at(script.port, password="grün")).send(envelope())
