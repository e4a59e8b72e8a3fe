"""Bounces: the envelope's sender, the mailbox on a real IMAP server, and what is sent to addresses that bounced."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import select, update
from structlog.testing import capture_logs

from services.common.db.engine import Database
from services.common.db.mail import mailings, subscribers, suppressions
from services.common.db.models import Email, Subscriber, SuppressedAddress
from services.common.domain.errors import Unavailable
from services.common.domain.mail import EmailKind, EmailState, Suppression
from services.common.infra.blobs import BlobStore
from services.common.infra.messaging.broker import Broker
from services.common.use_cases.after_commit import AfterCommit
from services.common.use_cases.mail_reports import RecordMailReports
from services.mailer.bounces.imap_mailbox import ImapServer
from services.mailer.bounces.read_bounces import BounceReader, ReadBounces
from services.mailer.mime.addresses import BounceAddress, parse_sender
from services.mailer.mime.message import SenderIdentity
from services.mailer.sending.send_email import SendEmail
from tests.integration.mailer.conftest import ON_BOTH, MakeBulkMailer
from tests.support.certificates import Authority
from tests.support.imap import PASSWORD, USER, ImapMailbox, imap_server
from tests.support.mail_factories import (
    MAILBOXES,
    delivery,
    email,
    emails_of,
    make_mailing,
    make_order,
    make_subscriber,
)
from tests.support.mail_reports import bounce, complaint, hard_bounce
from tests.support.smtp import SmtpSink
from tests.support.waiting import eventually

NEVER = threading.Event()


@pytest.fixture(scope="module")
def mailbox_server() -> Iterator[ImapMailbox]:
    with imap_server() as mailbox:
        yield mailbox


@pytest.fixture
def mailbox(mailbox_server: ImapMailbox) -> ImapMailbox:
    """The mailbox; what an earlier test has put there is read."""
    _folder(mailbox_server)(lambda folder: [folder.mark(uid, understood=True) for uid in folder.list_new()])
    return mailbox_server


def _server(mailbox: ImapMailbox, **changes: object) -> ImapServer:
    values: dict[str, object] = {
        "host": "127.0.0.1",
        "port": mailbox.port,
        "security": "none",
        "user": USER,
        "password": PASSWORD,
        "folder": "INBOX",
    }
    return ImapServer(**(values | changes))  # type: ignore[arg-type]


def _folder(mailbox: ImapMailbox) -> Callable[[Callable[..., object]], None]:
    def run(use: Callable[..., object]) -> None:
        with _server(mailbox).open() as folder:
            use(folder)

    return run


@pytest.fixture
def record(database: Database, queues: Broker) -> RecordMailReports:
    after_commit = AfterCommit(database=database, broker=queues)
    return RecordMailReports(database=database, after_commit=after_commit, hasher=MAILBOXES)


@pytest.fixture
def read(mailbox: ImapMailbox, record: RecordMailReports) -> ReadBounces:
    return ReadBounces(mailbox=_server(mailbox), record=record)


def state(database: Database, address: str) -> tuple[str, str | None]:
    with database.read() as session:
        row = session.scalars(select(Subscriber).where(Subscriber.email == address)).one()
        return row.state, row.suppression


@ON_BOTH
def test_a_newsletter_that_comes_back_is_matched_by_the_address_it_came_back_to(
    database: Database, make_bulk_mailer: MakeBulkMailer, smtp_sink: SmtpSink, mailbox: ImapMailbox, read: ReadBounces
) -> None:
    for address in ("ann@example.org", "bob@example.org", "eve@example.org"):
        make_subscriber(database, address)
    bounces = BounceAddress.parse("bounces+{id}@example.org")
    identity = SenderIdentity(sender=parse_sender("ImageBlur <blur@example.org>"), bounces=bounces)
    mailing_id = make_mailing(database)
    make_bulk_mailer(identity=identity)(mailing_id)
    sent = {received.recipients[0]: received for received in smtp_sink.received}
    ids = {row.id.hex: row.id for row in emails_of(database, mailing_id=mailing_id)}
    for received in sent.values():
        assert received.sender.startswith("bounces+")
        assert received.message["From"] == "ImageBlur <blur@example.org>"
        assert f"<{ids[_tag(received.sender)]}@example.org>" == received.message["Message-ID"]
    mailbox.put(hard_bounce(ids[_tag(sent["ann@example.org"].sender)], verp=True))
    mailbox.put(complaint(ids[_tag(sent["bob@example.org"].sender)]))
    mailbox.put(b"To: bounces@example.org\nSubject: on holiday\n\nback soon\n")
    mailbox.put(bounce(uuid4(), status="5.1.1"))
    before = len(mailbox.flags()) - 4
    assert read(NEVER) == 4
    assert read(NEVER) == 0, "they are marked as read"
    assert state(database, "ann@example.org") == ("SUPPRESSED", "NO_MAILBOX")
    assert state(database, "bob@example.org") == ("SUPPRESSED", "COMPLAINT")
    assert state(database, "eve@example.org") == ("CONFIRMED", None)
    assert ["Flagged" in flags for flags in mailbox.flags()[before:]] == [False, False, True, True], "for people"
    (progress,) = _recent(database)
    assert (progress.reports["HARD"], progress.reports["COMPLAINT"]) == (1, 1)


def _tag(sender: str) -> str:
    return sender.partition("+")[2].partition("@")[0]


def _recent(database: Database) -> list[mailings.MailingProgress]:
    with database.read() as session:
        return mailings.list_recent(session)


@ON_BOTH
def test_an_address_that_does_not_exist_gets_no_other_results_and_the_order_says_why(
    database: Database, blobs: BlobStore, send: SendEmail, smtp_sink: SmtpSink, record: RecordMailReports
) -> None:
    first = make_order(database, blobs, [b"result"])
    send(first.email_id)
    assert delivery(database, first.order_id).state == "SENT"
    assert record(hard_bounce(first.email_id)).suppressed
    found = delivery(database, first.order_id)
    assert (found.state, found.reason) == ("FAILED", "MAIL_REFUSED")
    assert "5.1.1" in str(found.message)
    assert email(database, first.email_id).report == "HARD"
    second = make_order(database, blobs, [b"result"])
    send(second.email_id)
    assert delivery(database, second.order_id).state == "FAILED"
    assert "gets no e-mails: 5.1.1" in str(delivery(database, second.order_id).message)
    assert len(smtp_sink.received) == 1
    with database.write() as session:
        assert suppressions.lift(session, MAILBOXES.address_hashes("ANN@example.org"))
    third = make_order(database, blobs, [b"result"])
    send(third.email_id)
    assert delivery(database, third.order_id).state == "SENT"


def test_results_that_came_back_for_now_are_sent_again_when_asked(
    database: Database, blobs: BlobStore, send: SendEmail, record: RecordMailReports
) -> None:
    first = make_order(database, blobs, [b"result"])
    send(first.email_id)
    assert not record(bounce(first.email_id, status="5.2.2")).suppressed
    assert delivery(database, first.order_id).state == "FAILED", "they did not arrive"
    second = make_order(database, blobs, [b"result"])
    send(second.email_id)
    assert delivery(database, second.order_id).state == "SENT"


def test_results_are_still_sent_to_who_complained_about_a_newsletter_not_to_who_never_asked(
    database: Database, blobs: BlobStore, send: SendEmail, record: RecordMailReports
) -> None:
    make_subscriber(database, "ann@example.org")
    mailing_id = make_mailing(database)
    with database.write() as session:
        subscriber_id = session.scalars(select(Subscriber.id)).one()
        newsletter = uuid4()
        values = {"id": newsletter, "kind": EmailKind.NEWSLETTER, "mailing_id": mailing_id}
        session.add(Email(**values, subscriber_id=subscriber_id, state=EmailState.SENT, attempts=1))
    assert record(complaint(newsletter)).suppressed
    order = make_order(database, blobs, [b"result"])
    send(order.email_id)
    assert delivery(database, order.order_id).state == "SENT", "its reader ordered them"
    assert record(complaint(order.email_id)).suppressed
    again = make_order(database, blobs, [b"result"])
    send(again.email_id)
    assert delivery(database, again.order_id).state == "FAILED"
    with database.read() as session:
        assert session.scalars(select(SuppressedAddress.suppression)).all() == ["COMPLAINT"]


def test_an_address_that_bounced_is_not_asked_to_confirm(
    database: Database, send: SendEmail, smtp_sink: SmtpSink
) -> None:
    with database.write() as session:
        suppressions.suppress(session, MAILBOXES.hash_address("ann@example.org"), Suppression.NO_MAILBOX, "5.1.1")
        email_id = subscribers.subscribe(
            session, email="ann@example.org", email_key="ann@example.org", locale="en", confirm=True
        )
    assert email_id
    send(email_id)
    assert email(database, email_id).state == "FAILED"
    assert not smtp_sink.received


def test_a_mailer_reads_the_mailbox_while_it_runs_and_after_an_outage(
    database: Database, queues: Broker, read: ReadBounces, mailbox: ImapMailbox
) -> None:
    make_subscriber(database, "ann@example.org", confirmed=False)
    (confirmation,) = emails_of(database)
    with database.write() as session:
        session.execute(update(Email).values(state=EmailState.SENT))
    answers = [Unavailable("down"), Unavailable("down")]

    def failing_first(message: bytes) -> object:
        if answers:
            raise answers.pop()
        return read.record(message)

    reader = BounceReader(ReadBounces(mailbox=read.mailbox, record=failing_first), queues.client, seconds=0.05)  # type: ignore[arg-type]
    mailbox.put(hard_bounce(confirmation.id))
    with capture_logs() as logs:
        reader.after_worker_boot(queues, None)  # type: ignore[arg-type]
        try:
            eventually(lambda: state(database, "ann@example.org") == ("SUPPRESSED", "NO_MAILBOX"))
        finally:
            reader.before_worker_shutdown(queues, None)  # type: ignore[arg-type]
    assert [entry["event"] for entry in logs if entry["log_level"] == "warning"] == ["bounces not read"]


def test_a_mailer_that_is_killed_while_it_reads_holds_up_the_others_for_seconds(
    database: Database, queues: Broker, read: ReadBounces, mailbox: ImapMailbox
) -> None:
    make_subscriber(database, "ann@example.org", confirmed=False)
    (confirmation,) = emails_of(database)
    with database.write() as session:
        session.execute(update(Email).values(state=EmailState.SENT))
    killed = BounceReader(read, queues.client, seconds=60)
    assert killed._lock()
    killed._renew()
    assert 0 < queues.client.ttl("imageblur:bounces") <= 15
    mailbox.put(hard_bounce(confirmation.id))
    reader = BounceReader(read, queues.client, seconds=0.05)
    reader.after_worker_boot(queues, None)  # type: ignore[arg-type]
    try:
        eventually(lambda: state(database, "ann@example.org")[0] == "SUPPRESSED", within=40)
    finally:
        reader.before_worker_shutdown(queues, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("changes", [{"password": "wrong"}, {"folder": "Nowhere"}, {"port": 1}])
def test_a_mailbox_that_cannot_be_read_is_unavailable(mailbox: ImapMailbox, changes: dict[str, object]) -> None:
    with pytest.raises(Unavailable, match="the mailbox of bounces cannot be read"), _server(mailbox, **changes).open():
        pass


def test_the_connection_is_encrypted_and_the_certificate_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path / "ca")
    certificate, key = authority.issue("imap", "127.0.0.1")
    with imap_server("--cert", str(certificate), "--key", str(key)) as mailbox:
        server = _server(mailbox, security="starttls")
        with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"), server.open():
            pass
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.roots))
        with server.open() as folder:
            assert folder.list_new() == []


@pytest.mark.parametrize(
    "pattern", ["", "nobody", "a{id}{id}@example.org", "a@{id}.org", "a{x}@example.org", f"{'x' * 40}+{{id}}@a.org"]
)
def test_an_address_for_bounces_is_checked(pattern: str) -> None:
    with pytest.raises(ValueError, match="must be an address such as"):
        BounceAddress.parse(pattern)
