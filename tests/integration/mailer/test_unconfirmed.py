"""Orders for addresses that have not confirmed: one plain e-mail, results after a click."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from sqlalchemy import select, update

from services.common.db.engine import Database
from services.common.db.mail import emails, mailboxes, subscribers
from services.common.db.models import ConfirmedMailbox, Delivery, Email, Order
from services.common.domain.errors import InvalidArgument
from services.common.domain.mail import EmailState
from services.common.infra.blobs import BlobStore
from services.common.infra.messaging.broker import Broker
from services.common.infra.signing.tokens import Tokens
from services.common.use_cases.after_commit import AfterCommit
from services.common.use_cases.recipients import Recipients
from services.gateway.subscriptions.use_cases import Subscriptions
from services.mailer.sending.send_email import SendEmail
from tests.integration.mailer.conftest import ON_BOTH, MakeMailer
from tests.support.email_lint import lint
from tests.support.images import encode, photo
from tests.support.mail_factories import MAILBOXES, MadeOrder, delivery, email, emails_of, make_order
from tests.support.smtp import SmtpSink

URL = "https://blur.example.org"
SPAM = "You have won.jpg"
TRUSTED = "key:5f0c9a52-5f4e-4d4b-9f63-8f7d2f1c9a10"

PlaceOrder = Callable[..., MadeOrder]


@pytest.fixture
def order(database: Database, blobs: BlobStore) -> PlaceOrder:
    def make(address: str = "ann@example.org", principal: str = "anonymous") -> MadeOrder:
        return make_order(
            database, blobs, [encode(photo(), "PNG")], filenames=[SPAM], email=address, principal=principal
        )

    return make


@pytest.fixture
def send(make_mailer: MakeMailer) -> SendEmail:
    return make_mailer(
        public_url=URL, recipients=Recipients(hasher=MAILBOXES, anyone=False, trusted_principals={TRUSTED})
    )


@pytest.fixture
def subscriptions(database: Database, queues: Broker, tokens: Tokens) -> Subscriptions:
    return Subscriptions(database, AfterCommit(database=database, broker=queues), tokens, True, MAILBOXES)


def token_in(received: bytes) -> str:
    body = lint(received).get_body(("plain",))
    assert body
    (link,) = [line for line in body.get_content().split() if line.startswith(f"{URL}/receive?token=")]
    return str(link).partition("=")[2]


def has_archive(received: bytes) -> bool:
    return any(part.get_content_type() == "application/zip" for part in lint(received).walk())


@ON_BOTH
def test_a_stranger_gets_one_plain_email_and_the_results_after_a_click(
    database: Database, order: PlaceOrder, send: SendEmail, subscriptions: Subscriptions, smtp_sink: SmtpSink
) -> None:
    first, second = order(), order("Ann+more@example.org")
    send(first.email_id)
    send(second.email_id)
    (plain,) = smtp_sink.received
    assert {part.get_content_type() for part in lint(plain.content).walk()} == {
        "multipart/alternative",
        "text/plain",
        "text/html",
    }
    assert b"won" not in plain.content
    assert email(database, second.email_id).state == EmailState.QUEUED
    assert "asks it to confirm" in (delivery(database, second.order_id).message or "")

    token = token_in(plain.content)
    subscriptions.confirm(token)
    subscriptions.confirm(token)
    (again,) = [row for row in _emails_of_order(database, first) if row.id != first.email_id]
    assert email(database, second.email_id).not_before == 0, "it waits no longer"
    with database.write() as session:
        session.execute(update(Email).where(Email.id == second.email_id).values(enqueued_at=1))
    send(again.id)
    send(second.email_id)
    assert [has_archive(received.content) for received in smtp_sink.received] == [False, True, True]
    send(order().email_id)
    assert has_archive(smtp_sink.received[-1].content)


def _emails_of_order(database: Database, made: MadeOrder) -> list[Email]:
    with database.read() as session:
        query = select(Email).join(Delivery, Delivery.id == Email.delivery_id).where(Delivery.order_id == made.order_id)
        return list(session.scalars(query))


def test_orders_of_trusted_keys_go_to_any_address(order: PlaceOrder, send: SendEmail, smtp_sink: SmtpSink) -> None:
    send(order(principal=TRUSTED).email_id)
    assert has_archive(smtp_sink.received[0].content)
    send(order("bob@example.org", principal=f"key:{uuid4()}").email_id)
    assert not has_archive(smtp_sink.received[1].content)


def test_a_link_to_an_order_of_a_trusted_key_makes_no_one_trusted(
    database: Database, order: PlaceOrder, send: SendEmail, smtp_sink: SmtpSink
) -> None:
    made = order("carl@example.org", principal=TRUSTED)
    with database.write() as session:
        session.execute(update(Order).where(Order.id == made.order_id).values(email_principal="anonymous"))
    send(made.email_id)
    assert not has_archive(smtp_sink.received[0].content)


@ON_BOTH
def test_who_confirmed_the_newsletter_gets_results(
    database: Database, order: PlaceOrder, send: SendEmail, subscriptions: Subscriptions, smtp_sink: SmtpSink
) -> None:
    subscriptions.subscribe(email="ann@example.org", email_key="ann@example.org", locale="en")
    with database.write() as session:
        (row,) = emails_of(database, kind="CONFIRM")
        assert row.subscriber_id
        assert not mailboxes.is_confirmed(session, MAILBOXES.hashes("ann@example.org"), email_key="ann@example.org")
    subscriptions.confirm(subscriptions.tokens.make("confirm", row.subscriber_id, 1))
    send(order().email_id)
    assert has_archive(smtp_sink.received[-1].content)
    with database.write() as session:
        subscribers.unsubscribe(session, subscriber_id=row.subscriber_id)
    send(order("ANN@example.org").email_id)
    assert has_archive(smtp_sink.received[-1].content), "the end of a newsletter is not that of results"


def test_the_token_of_an_order_that_has_expired_is_refused(
    database: Database, order: PlaceOrder, send: SendEmail, subscriptions: Subscriptions, smtp_sink: SmtpSink
) -> None:
    send(order().email_id)
    with database.write() as session:
        session.execute(update(Order).values(email=None, mailbox=None, state="EXPIRED"))
    with pytest.raises(InvalidArgument, match="expired"):
        subscriptions.confirm(token_in(smtp_sink.received[0].content))
    with database.read() as session:
        assert session.scalars(select(ConfirmedMailbox)).all() == []


def test_no_address_is_stored_with_a_confirmation(
    database: Database, order: PlaceOrder, send: SendEmail, subscriptions: Subscriptions, smtp_sink: SmtpSink
) -> None:
    send(order().email_id)
    subscriptions.confirm(token_in(smtp_sink.received[0].content))
    with database.read() as session:
        (row,) = session.scalars(select(ConfirmedMailbox))
    assert row.mailbox == MAILBOXES.hash("ann@example.org")
    assert "ann" not in row.mailbox


@ON_BOTH
def test_of_two_mailers_that_write_to_a_stranger_at_once_one_waits(
    database: Database, order: PlaceOrder, send: SendEmail, smtp_sink: SmtpSink
) -> None:
    first, second = sorted((order(), order()), key=lambda made: made.email_id)
    with database.write() as session:
        assert emails.claim_email(session, first.email_id, lease_seconds=60), "another mailer has it"
    send(second.email_id)
    assert smtp_sink.received == []
    assert email(database, second.email_id).attempts == 0
