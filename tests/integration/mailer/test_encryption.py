"""Encrypted connections and logging in, with a certificate made for the test."""

import io
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword, Session
from aiosmtpd.smtp import Envelope as Received
from pydantic import SecretStr

from services.mailer.smtp.deadline import StepTimeouts
from services.mailer.smtp.envelope import EmailDeferred, SmtpEnvelope
from services.mailer.smtp.server import SmtpServer
from services.mailer.smtp.session import SmtpSession
from tests.support.smtp import _Listener


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate of 127.0.0.1, in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("certificate")
    made = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=test"]
    made += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(folder / "key"), "-out", str(folder / "crt")]
    subprocess.run([openssl, "req", "-x509", *made], check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_bytes((folder / "key").read_bytes() + (folder / "crt").read_bytes())
    return both


class Relay:
    """A mail server that wants to be logged in to."""

    def __init__(self, certificate: Path, *, starttls: bool) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        self.taken: list[bytes] = []
        self.over_tls: list[bool] = []
        # With TLS from the first byte, aiosmtpd does not know that it has any, and warns of logging in without.
        tls: dict[str, Any] = {"ssl_context": context, "auth_require_tls": False}
        options = {"tls_context": context, "require_starttls": True, "auth_required": True} if starttls else tls
        self.listener = _Listener(self, hostname="127.0.0.1", port=0, authenticator=self._check, **options)

    def _check(self, server: SMTP, session: Session, envelope: Received, mechanism: str, data: object) -> AuthResult:
        del server, envelope, mechanism
        self.over_tls.append(session.ssl is not None)
        return AuthResult(success=data == LoginPassword(b"me", "öffne dich".encode()), handled=False)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Received) -> str:  # noqa: N802
        del server, session
        assert isinstance(envelope.content, bytes)
        self.taken.append(envelope.content)
        return "250 2.0.0 kept"


@pytest.fixture
def starttls_relay(certificate: Path) -> Iterator[Relay]:
    relay = Relay(certificate, starttls=True)
    relay.listener.start()
    yield relay
    relay.listener.stop()


@pytest.fixture
def tls_relay(certificate: Path) -> Iterator[Relay]:
    relay = Relay(certificate, starttls=False)
    relay.listener.start()
    yield relay
    relay.listener.stop()


def send(relay: Relay, certificate: Path | None, sent: SmtpEnvelope, *, tls: bool, password: str = "öffne dich") -> str:
    context = ssl.create_default_context(cafile=certificate)
    port: int = relay.listener.port
    server = SmtpServer(
        host="127.0.0.1",
        port=port,
        security="tls" if tls else "starttls",
        tls=context,
        user="me",
        password=SecretStr(password),
        timeouts=StepTimeouts(reply=10, acceptance=10),
    )
    with closing(SmtpSession(server)) as session:
        return session.send(sent)


def envelope() -> SmtpEnvelope:
    content = b"Subject: x\r\n\r\n" + b"y" * 70 + b"\r\n" + b"z" * 100_000
    content = (
        content[:80] + b"\r\n".join(content[start : start + 70] for start in range(80, len(content), 70)) + b"\r\n"
    )
    return SmtpEnvelope(
        sender="blur@example.org", recipient="ann@example.org", utf8=False, content=io.BytesIO(content), size=1
    )


def test_starttls_and_login(starttls_relay: Relay, certificate: Path) -> None:
    sent = envelope()
    assert send(starttls_relay, certificate, sent, tls=False) == "250 2.0.0 kept"
    sent.content.seek(0)
    assert starttls_relay.taken == [sent.content.read()]
    assert starttls_relay.over_tls == [True]


def test_tls_and_login(tls_relay: Relay, certificate: Path) -> None:
    assert send(tls_relay, certificate, envelope(), tls=True) == "250 2.0.0 kept"
    assert len(tls_relay.over_tls) == len(tls_relay.taken) == 1


def test_a_wrong_password_is_the_operators_to_put_right(starttls_relay: Relay, certificate: Path) -> None:
    with pytest.raises(EmailDeferred, match=r"^535 "):
        send(starttls_relay, certificate, envelope(), tls=False, password="wrong")


def test_a_certificate_of_nobody_is_not_trusted(starttls_relay: Relay) -> None:
    with pytest.raises(EmailDeferred, match="certificate verify failed"):
        send(starttls_relay, None, envelope(), tls=False)
    assert starttls_relay.over_tls == []
