import contextlib
import threading
from collections import Counter
from uuid import UUID

import pytest
from dramatiq import Message

from services.common.broker import Broker
from services.common.db import subscribers
from services.common.db.engine import Database
from services.common.messages import MAIL_QUEUE
from services.common.tokens import Tokens
from services.mailer.use_cases import PrepareMailing, SendLetter
from tests.integration.mailer.conftest import ON_BOTH, MakeMailer
from tests.integration.mailer.making import (
    letter,
    letters_of,
    mailing,
    make_mailing,
    make_subscriber,
    make_subscribers,
)
from tests.support.smtp import Received, SmtpSink


def text_of(received: Received) -> str:
    body = received.message.get_body(("plain",))
    assert body
    return str(body.get_content())


def enqueued(queues: Broker) -> list[UUID]:
    """Letters that the broker has messages for."""
    found: dict[bytes, bytes] = queues.client.hgetall(f"dramatiq:{MAIL_QUEUE}.msgs")  # type: ignore[assignment]
    return [UUID(Message.decode(message).args[0]) for message in found.values()]


@ON_BOTH
def test_a_confirmation_carries_a_token_that_confirms(
    database: Database, send: SendLetter, tokens: Tokens, smtp_sink: SmtpSink
) -> None:
    subscriber = make_subscriber(database, "eve@example.org", confirmed=False)
    (row,) = letters_of(database, subscriber_id=subscriber)
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
    (row,) = letters_of(database, subscriber_id=subscriber)
    make_mailer(public_url="https://blur.example.org")(row.id)
    token = text_of(smtp_sink.received[0]).partition("https://blur.example.org/confirm?token=")[2].split()[0]
    assert tokens.read("confirm", token) == (subscriber, 1)


def test_who_has_unsubscribed_gets_no_confirmation(database: Database, send: SendLetter, smtp_sink: SmtpSink) -> None:
    subscriber = make_subscriber(database, "eve@example.org", confirmed=False)
    (row,) = letters_of(database, subscriber_id=subscriber)
    with database.write() as session:
        subscribers.unsubscribe(session, subscriber_id=subscriber)
    send(row.id)
    assert smtp_sink.attempts == 0
    assert letter(database, row.id).state == "CANCELLED"


def test_a_weekly_letter_tells_numbers_and_can_be_ended(
    database: Database, queues: Broker, make_mailer: MakeMailer, tokens: Tokens, smtp_sink: SmtpSink
) -> None:
    subscriber = make_subscriber(database, "eve@example.org")
    mailing_id = make_mailing(database)
    PrepareMailing(database, queues)(mailing_id)
    assert mailing(database, mailing_id).state == "SENDING"
    (letter_id,) = enqueued(queues)
    make_mailer(public_url="https://blur.example.org")(letter_id)
    (received,) = smtp_sink.received
    assert received.message["Subject"] == "ImageBlur this week: 12 orders, 340 images"
    assert received.message["List-Id"] == "ImageBlur <weekly.example.org>"
    link = str(received.message["List-Unsubscribe"]).strip("<>")
    assert link.startswith("https://blur.example.org/unsubscribe?token=")
    assert tokens.read("unsubscribe", link.partition("=")[2]) == (subscriber, 1)
    assert link in text_of(received)
    assert mailing(database, mailing_id).state == "DONE"


def test_who_unsubscribes_before_it_is_sent_gets_nothing(
    database: Database, queues: Broker, send: SendLetter, smtp_sink: SmtpSink
) -> None:
    subscriber = make_subscriber(database, "eve@example.org")
    make_subscriber(database, "bob@example.org")
    mailing_id = make_mailing(database)
    PrepareMailing(database, queues)(mailing_id)
    with database.write() as session:
        subscribers.unsubscribe(session, subscriber_id=subscriber)
    for letter_id in enqueued(queues):
        send(letter_id)
    assert [received.recipients for received in smtp_sink.received] == [("bob@example.org",)]
    assert [row.state for row in letters_of(database, subscriber_id=subscriber)] == ["CANCELLED"]
    assert mailing(database, mailing_id).state == "DONE"


def test_one_refused_address_does_not_hold_up_the_others(
    database: Database, queues: Broker, send: SendLetter, smtp_sink: SmtpSink
) -> None:
    make_subscribers(database, 5)
    mailing_id = make_mailing(database)
    PrepareMailing(database, queues)(mailing_id)
    smtp_sink.refuse({"s2@example.org": "550 5.1.1 no such user"})
    for letter_id in enqueued(queues):
        send(letter_id)
    assert {received.recipients[0] for received in smtp_sink.received} == {f"s{n}@example.org" for n in (0, 1, 3, 4)}
    assert Counter(row.state for row in letters_of(database, mailing_id=mailing_id)) == {"SENT": 4, "FAILED": 1}
    assert mailing(database, mailing_id).state == "DONE"


@ON_BOTH
def test_1200_subscribers_get_a_letter_each_though_the_mailing_is_prepared_twice_at_once(
    database: Database, queues: Broker
) -> None:
    make_subscribers(database, 1200)
    mailing_id = make_mailing(database)
    prepare = PrepareMailing(database, queues)
    threads = [threading.Thread(target=prepare, args=(mailing_id,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    prepare(mailing_id)
    rows = letters_of(database, mailing_id=mailing_id)
    assert len({row.subscriber_id for row in rows}) == len(rows) == 1200
    messages = enqueued(queues)
    assert len(messages) == 1200
    assert set(messages) == {row.id for row in rows}
    assert mailing(database, mailing_id).state == "SENDING"


@ON_BOTH
def test_each_subscriber_is_reached_once_though_all_messages_come_twice(
    database: Database, queues: Broker, send: SendLetter, smtp_sink: SmtpSink
) -> None:
    make_subscribers(database, 30)
    mailing_id = make_mailing(database)
    PrepareMailing(database, queues, batch=7)(mailing_id)
    messages = enqueued(queues) * 2

    def work() -> None:
        while messages:
            with contextlib.suppress(IndexError):
                send(messages.pop())

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reached = Counter(received.recipients[0] for received in smtp_sink.received)
    assert reached == {f"s{number}@example.org": 1 for number in range(30)}
    assert mailing(database, mailing_id).state == "DONE"


def test_a_mailing_goes_on_where_a_killed_mailer_left_it(
    database: Database, queues: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_subscribers(database, 25)
    mailing_id = make_mailing(database)

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(queues, "send", killed)
        with pytest.raises(Killed):
            PrepareMailing(database, queues, batch=10)(mailing_id)
    assert mailing(database, mailing_id).state == "PREPARING"
    PrepareMailing(database, queues, batch=10)(mailing_id)
    assert len(letters_of(database, mailing_id=mailing_id)) == 25
    # Those of the lost batch have rows, and the sweep enqueues them.
    assert len(enqueued(queues)) == 15
