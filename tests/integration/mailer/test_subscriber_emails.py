from uuid import UUID

from services.common.db.engine import Database
from services.common.db.mail import subscribers
from services.common.infra.signing.tokens import Tokens
from services.mailer.sending.send_email import SendEmail
from tests.integration.mailer.conftest import ON_BOTH, MakeMailer
from tests.support.email_lint import lint
from tests.support.mail_factories import email, emails_of, make_subscriber
from tests.support.smtp import Received, SmtpSink


def text_of(received: Received) -> str:
    body = received.message.get_body(("plain",))
    assert body
    return str(body.get_content())


@ON_BOTH
def test_a_confirmation_carries_a_token_that_confirms(
    database: Database, send: SendEmail, tokens: Tokens, smtp_sink: SmtpSink
) -> None:
    subscriber = make_subscriber(database, "eve@example.org", confirmed=False)
    (row,) = emails_of(database, subscriber_id=subscriber)
    send(row.id)
    (received,) = smtp_sink.received
    assert received.recipients == ("eve@example.org",)
    assert received.message["Subject"] == "Confirm your subscription"
    token = text_of(received).partition("imageblur confirm ")[2].split()[0]
    assert tokens.read("confirm", token) == (subscriber, 1)
    with database.write() as session:
        assert subscribers.confirm(session, *tokens.read("confirm", token))


def test_links_lead_to_the_public_pages(
    database: Database, make_mailer: MakeMailer, tokens: Tokens, smtp_sink: SmtpSink
) -> None:
    subscriber = make_subscriber(database, "eve@example.org", confirmed=False, locale="ru")
    (row,) = emails_of(database, subscriber_id=subscriber)
    make_mailer(public_url="https://blur.example.org")(row.id)
    token = text_of(smtp_sink.received[0]).partition("https://blur.example.org/confirm?token=")[2].split()[0]
    assert tokens.read("confirm", token) == (subscriber, 1)


def test_an_address_that_was_unsubscribed_gets_a_goodbye(
    database: Database, make_mailer: MakeMailer, smtp_sink: SmtpSink
) -> None:
    subscriber = make_subscriber(database, "eve@example.org", locale="ru")
    with database.write() as session:
        goodbye = subscribers.unsubscribe(session, email_key="eve@example.org")
        assert goodbye
        assert subscribers.unsubscribe(session, email_key="eve@example.org") is None, "one goodbye is enough"
    make_mailer(public_url="https://blur.example.org")(goodbye)
    (received,) = smtp_sink.received
    assert lint(received.content)["Subject"] == "Вы отписаны"
    assert "https://blur.example.org" in text_of(received)
    assert email(database, goodbye).subscriber_id == subscriber


@ON_BOTH
def test_a_goodbye_is_sent_only_to_confirmed_addresses_that_anyone_unsubscribed(database: Database) -> None:
    subscriber = make_subscriber(database, "eve@example.org")
    make_subscriber(database, "pending@example.org", confirmed=False)
    with database.write() as session:
        assert subscribers.unsubscribe(session, subscriber_id=subscriber) is None
        assert subscribers.unsubscribe(session, email_key="pending@example.org") is None
        assert subscribers.unsubscribe(session, email_key="nobody@example.org") is None


@ON_BOTH
def test_an_address_that_bounces_is_suppressed_until_that_is_lifted(
    database: Database, send: SendEmail, smtp_sink: SmtpSink
) -> None:
    subscriber = make_subscriber(database, "gone@example.org", confirmed=False)
    smtp_sink.refuse({"gone@example.org": "550 5.1.1 no such user"})
    (row,) = emails_of(database, subscriber_id=subscriber)
    send(row.id)
    assert state_of(database, subscriber) == ("SUPPRESSED", "550 5.1.1 no such user")
    for confirm in (True, False):
        make_subscriber(database, "gone@example.org", confirmed=not confirm)
        assert state_of(database, subscriber) == ("SUPPRESSED", "550 5.1.1 no such user")
    assert len(emails_of(database, subscriber_id=subscriber)) == 1
    with database.write() as session:
        assert subscribers.lift_suppression(session, "gone@example.org")
        assert not subscribers.lift_suppression(session, "gone@example.org")
    make_subscriber(database, "gone@example.org", confirmed=False)
    assert state_of(database, subscriber) == ("PENDING", None)


def state_of(database: Database, subscriber_id: UUID) -> tuple[str, str | None]:
    with database.read() as session:
        subscriber = subscribers.get(session, subscriber_id)
        assert subscriber
        return subscriber.state, subscriber.reason
