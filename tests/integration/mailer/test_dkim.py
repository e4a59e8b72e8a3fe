"""Signatures over e-mails that are hashed as they are written, as the library's verifier sees the whole."""

import base64
import io
import os
import re
import shutil
import subprocess
from pathlib import Path
from uuid import UUID

import dkim
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.db.engine import Database
from services.common.domain.errors import ConfigurationError
from services.common.infra.messaging.broker import Broker
from services.mailer.content.email_content import Content, Newsletter
from services.mailer.content.render import Renderer
from services.mailer.mime import message
from services.mailer.mime.addresses import parse_recipient, parse_sender
from services.mailer.mime.dkim import BodyHash, DkimSigner
from services.mailer.mime.message import SenderIdentity
from tests.integration.mailer.conftest import MakeBulkMailer
from tests.support.email_lint import lint
from tests.support.mail_factories import make_mailing, make_subscriber
from tests.support.smtp import SmtpSink
from tests.unit.mailer.samples import URL, newsletter
from tests.unit.mailer.test_render import ALL

EMAIL = UUID("7f6f0a0e-53a1-4a6c-8a40-8d2c9c1cf0aa")
RENDER = Renderer()


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An RSA key, made by openssl as in docs/deliverability.md."""
    if shutil.which("openssl") is None and os.environ.get("CI") != "true":
        pytest.skip("there is no openssl to make a key with")
    path = tmp_path_factory.mktemp("dkim") / "key.pem"
    _openssl("genrsa", "-traditional", "-out", str(path), "2048")
    return path


@pytest.fixture(scope="module")
def identity(key: Path) -> SenderIdentity:
    sender = parse_sender("Размытие <blur@mail.example.org>")
    return SenderIdentity(
        sender=sender, reply_to=parse_sender("help@example.org"), signer=DkimSigner.load(key, "s2026", sender.domain)
    )


@pytest.fixture(scope="module")
def record(key: Path) -> bytes:
    """What DNS answers."""
    public = _openssl("rsa", "-in", str(key), "-pubout", "-outform", "DER")
    return b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)


def _openssl(*arguments: str) -> bytes:
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True).stdout


def written(content: Content, identity: SenderIdentity, *, to: str = "ann@example.org", archive: bytes = b"") -> bytes:
    built = message.build(EMAIL, identity, parse_recipient(to), RENDER(content, "ru"))
    if isinstance(content, Newsletter):
        message.add_list_headers(built, content, identity)
    target = io.BytesIO()
    attachment = [archive[:10], archive[10:]] if archive else None
    signature, size = message.write(built, attachment, target, identity.signer)
    assert size == len(signature + target.getvalue())
    return signature + target.getvalue()


def verifies(raw: bytes, record: bytes) -> bool:
    asked: list[bytes] = []

    def answer(name: bytes, timeout: float = 5) -> bytes:
        del timeout
        asked.append(name)
        return record

    valid = dkim.verify(raw, dnsfunc=answer)
    assert asked == [b"s2026._domainkey.mail.example.org."]
    return bool(valid)


@pytest.mark.parametrize("content", ALL, ids=lambda content: content.template)
def test_every_email_verifies(content: Content, identity: SenderIdentity, record: bytes) -> None:
    raw = written(content, identity, archive=b"zip" * 1000)
    assert lint(raw)["Reply-To"] == "help@example.org"
    assert verifies(raw, record)


def test_an_email_in_utf8_verifies(identity: SenderIdentity, record: bytes) -> None:
    assert verifies(written(newsletter(URL), identity, to="анна@почта.рф"), record)


def test_both_unsubscribe_headers_are_inside_the_signature(identity: SenderIdentity, record: bytes) -> None:
    raw = written(newsletter(URL), identity)
    parsed = lint(raw)
    assert parsed["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    signed = re.sub(r"\s", "", re.search(r"h=([^;]*);", str(parsed["DKIM-Signature"]))[1]).split(":")  # type: ignore[index]
    assert {"list-unsubscribe", "list-unsubscribe-post", "from", "to", "subject", "date", "message-id"} <= set(signed)
    for before, after in ((URL.encode(), URL.encode()[:-1] + b"x"), (b"=One-Click", b"=One-Clack")):
        assert not verifies(raw.replace(before, after, 1), record)


def test_what_is_changed_or_added_on_the_way_does_not_verify(identity: SenderIdentity, record: bytes) -> None:
    raw = written(newsletter(URL), identity)
    assert not verifies(raw.replace(b"\r\n\r\n", b"\r\n\r\nx", 1), record)
    for name in (b"Subject", b"From", b"Reply-To", b"To"):
        assert not verifies(name + b": other@example.org\r\n" + raw, record), name


@settings(max_examples=50)
@given(st.lists(st.sampled_from([b"a", b"\r\n", b"\r", b"\n", b" ", b"", b"bc\r\n"])))
def test_a_body_is_hashed_the_same_whatever_its_pieces(pieces: list[bytes]) -> None:
    whole, split = BodyHash(), BodyHash()
    whole.update(b"".join(pieces))
    for piece in pieces:
        split.update(piece)
    assert whole.digest() == split.digest()


def test_a_mailing_is_signed_as_it_arrives(
    database: Database,
    queues: Broker,
    make_bulk_mailer: MakeBulkMailer,
    smtp_sink: SmtpSink,
    signed: tuple[SenderIdentity, bytes],
) -> None:
    del queues
    identity, record = signed
    make_subscriber(database, "eve@example.org")
    make_bulk_mailer(public_url="https://blur.example.org", identity=identity)(make_mailing(database))
    (received,) = smtp_sink.received
    assert lint(received.content)["List-Unsubscribe-Post"]
    assert verifies(received.content, record)


@pytest.fixture
def signed(identity: SenderIdentity, record: bytes) -> tuple[SenderIdentity, bytes]:
    return identity, record


def test_an_unusable_key_is_reported_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    with pytest.raises(ConfigurationError, match=r"IMAGEBLUR_DKIM_KEY_FILE: .* cannot be read"):
        DkimSigner.load(path, "s", "example.org")
    path.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    with pytest.raises(ConfigurationError, match=r"IMAGEBLUR_DKIM_KEY_FILE: .*openssl genrsa -traditional"):
        DkimSigner.load(path, "s", "example.org")
    assert DkimSigner.load(None, "s", "example.org") is None
