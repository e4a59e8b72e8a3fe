"""Outcomes of single e-mails: the mail server's reply, and the rows, messages and metrics that follow from it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import select, update

from services.common.db.clock import SECOND, now
from services.common.db.engine import Database
from services.common.db.mail import deliveries, emails, subscribers
from services.common.db.models import Email
from services.common.db.orders import expiry, orders
from services.common.domain.errors import Reason, Unavailable
from services.common.domain.mail import EmailState, SubscriberState
from services.common.domain.orders import DeliveryState
from services.common.domain.retries import MAX_COPIES
from services.common.infra.messaging.messages import MAIL_QUEUE
from services.mailer.content.drafter import EmailDrafter
from services.mailer.mime.composer import EmailComposer
from services.mailer.sending import recording
from services.mailer.sending.send_email import SendEmail
from services.mailer.smtp.envelope import SmtpEnvelope
from services.mailer.smtp.send_rate import MailerStopping
from services.mailer.smtp.session import SmtpSession
from tests.support.factories import end_retention
from tests.support.fakes import FakeBlobs, FakeBroker, HourlyClock
from tests.support.mail_factories import delivery, email, emails_of, enqueue_again, make_order, make_subscriber
from tests.unit.mailer.fakes import DISCONNECT, Disconnect, FakeConnection, FakeServer, NoLimit

NO_MAILBOX = "550 5.1.1 no such user"


def count(outcome: str, kind: str = "ORDER_READY") -> float:
    return REGISTRY.get_sample_value("imageblur_emails_total", {"kind": kind, "outcome": outcome}) or 0.0


def test_an_accepted_email_ends_its_delivery(
    database: Database, blobs: FakeBlobs, broker: FakeBroker, server: FakeServer, send_email: SendEmail
) -> None:
    order = make_order(database, blobs, [b"one"])
    before = count("SENT")
    send_email(order.email_id)
    row = email(database, order.email_id)
    assert (row.state, row.smtp_reply, row.owner) == (EmailState.SENT, "250 2.0.0 kept", None)
    ended = delivery(database, order.order_id)
    assert (ended.state, ended.message) == (DeliveryState.SENT, "250 2.0.0 kept")
    assert broker.announced == [(order.order_id, False), (order.order_id, True)]
    assert count("SENT") == before + 1
    send_email(order.email_id)
    assert server.offered == 1, "a repeated message does nothing"


@pytest.mark.parametrize(
    ("stage", "reply"),
    [
        ("RCPT", NO_MAILBOX),
        ("RCPT", "553 5.1.3 bad address"),
        ("DATA", "554 5.7.1 not from you"),
        ("DOT", "554 5.7.1 this is spam"),
        ("DOT", "552 5.3.4 too large"),
        ("MAIL", "552 5.3.4 too large"),
    ],
)
def test_a_permanent_reply_fails_the_delivery(
    database: Database, blobs: FakeBlobs, server: FakeServer, send_email: SendEmail, *, stage: str, reply: str
) -> None:
    order = make_order(database, blobs, [b"one"])
    server.replies[stage] = [reply]
    # A mailbox that does not exist is counted apart: no operator has to look at it.
    label = "NO_MAILBOX" if " 5.1." in reply else "FAILED"
    before = count(label)
    send_email(order.email_id)
    assert email(database, order.email_id).state == EmailState.FAILED
    ended = delivery(database, order.order_id)
    assert (ended.state, ended.reason, ended.message) == (DeliveryState.FAILED, Reason.MAIL_REFUSED, reply)
    assert count(label) == before + 1


@pytest.mark.parametrize(
    ("stage", "reply"),
    [
        ("CONNECT", "Connection refused"),
        ("MAIL", "550 5.7.1 sender not allowed"),
        ("MAIL", "530 5.7.0 log in first"),
        ("MAIL", "451 4.3.0 try later"),
        ("MAIL", DISCONNECT),
        ("RCPT", "450 4.2.0 greylisted"),
        ("RCPT", "421 going down"),
        ("RCPT", DISCONNECT),
        ("DATA", "451 4.3.0 try later"),
        ("DATA", DISCONNECT),
        ("DOT", "452 4.3.1 disk full"),
        ("DOT", DISCONNECT),
    ],
)
def test_any_other_reply_and_a_lost_connection_are_retried(
    database: Database,
    blobs: FakeBlobs,
    server: FakeServer,
    send_email: SendEmail,
    *,
    stage: str,
    reply: str | Disconnect,
) -> None:
    order = make_order(database, blobs, [b"one"])
    server.replies[stage] = [reply]
    before = count("RETRY")
    send_email(order.email_id)
    row, open_delivery = email(database, order.email_id), delivery(database, order.order_id)
    assert (row.state, row.attempts, row.owner, row.enqueued_at) == (EmailState.QUEUED, 1, None, None)
    assert row.not_before > 0
    assert open_delivery.state == DeliveryState.SENDING
    assert (reply if isinstance(reply, str) else "closed") in (open_delivery.message or "")
    assert count("RETRY") == before + 1
    enqueue_again(database)
    send_email(order.email_id)
    assert delivery(database, order.order_id).state == DeliveryState.SENT
    assert email(database, order.email_id).attempts == 2


def test_the_last_retry_fails_the_delivery(
    database: Database, blobs: FakeBlobs, server: FakeServer, send_email: SendEmail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MAX_EMAIL_ATTEMPTS", 3)
    order = make_order(database, blobs, [b"one"])
    server.replies["DOT"] = ["451 4.3.0 try later"] * 3
    for _ in range(3):
        enqueue_again(database)
        send_email(order.email_id)
    ended = delivery(database, order.order_id)
    assert (ended.state, ended.reason) == (DeliveryState.FAILED, Reason.MAIL_UNREACHABLE)
    assert ended.message == "451 4.3.0 try later"


@pytest.mark.parametrize(
    ("reply", "state"),
    [
        (NO_MAILBOX, SubscriberState.SUPPRESSED),
        ("550 5.7.1 policy", SubscriberState.PENDING),
        ("552 5.2.2 mailbox full", SubscriberState.PENDING),
        ("554 5.7.26 unauthenticated", SubscriberState.PENDING),
    ],
)
def test_a_subscriber_without_a_mailbox_is_suppressed(
    database: Database, server: FakeServer, send_email: SendEmail, reply: str, state: SubscriberState
) -> None:
    subscriber_id = make_subscriber(database, "eve@example.org", confirmed=False)
    (row,) = emails_of(database, subscriber_id=subscriber_id)
    server.refused["eve@example.org"] = reply
    send_email(row.id)
    assert email(database, row.id).state == EmailState.FAILED
    with database.read() as session:
        subscriber = subscribers.get(session, subscriber_id)
    assert subscriber
    assert subscriber.state == state


def test_order_emails_and_subscriptions_do_not_affect_each_other(
    database: Database, blobs: FakeBlobs, server: FakeServer, send_email: SendEmail
) -> None:
    subscriber_id = make_subscriber(database, "ann@example.org")
    server.refused["ann@example.org"] = NO_MAILBOX
    send_email(make_order(database, blobs, [b"one"], email="ann@example.org").email_id)
    with database.write() as session:
        subscriber = subscribers.get(session, subscriber_id)
        assert subscriber
        assert subscriber.state == SubscriberState.CONFIRMED
        subscribers.suppress(session, subscriber_id, NO_MAILBOX)
    server.refused.clear()
    send_email(make_order(database, blobs, [b"one"], email="ann@example.org").email_id)
    assert len(server.received) == 1


def test_what_is_not_wanted_any_more_is_cancelled(
    database: Database, blobs: FakeBlobs, server: FakeServer, send_email: SendEmail
) -> None:
    before = count("CANCELLED", "CONFIRM")
    deleted, expired = (make_order(database, blobs, [b"one"]) for _ in range(2))
    with database.write() as session:
        orders.delete_order(session, deleted.order_id)
        end_retention(session, expired.order_id)
        assert expiry.expire(session, expired.order_id).ended_order_ids
    unsubscribed = make_subscriber(database, "eve@example.org", confirmed=False)
    (confirmation,) = emails_of(database, subscriber_id=unsubscribed)
    make_subscriber(database, "bob@example.org")
    with database.write() as session:
        subscribers.unsubscribe(session, subscriber_id=unsubscribed)
        goodbye = subscribers.unsubscribe(session, email_key="bob@example.org")
    assert goodbye
    make_subscriber(database, "bob@example.org")
    for email_id in (deleted.email_id, expired.email_id, confirmation.id, goodbye):
        send_email(email_id)
    assert server.offered == 0
    states = [email(database, email_id).state for email_id in (expired.email_id, confirmation.id, goodbye)]
    assert states == [EmailState.CANCELLED] * 3
    assert count("CANCELLED", "CONFIRM") == before + 1


def test_a_claim_that_is_lost_before_smtp_sends_nothing(
    database: Database, blobs: FakeBlobs, server: FakeServer, send_email: SendEmail, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = make_order(database, blobs, [b"one"])
    compose = EmailComposer.compose

    def cancel_meanwhile(self: EmailComposer, *arguments: Any) -> SmtpEnvelope:
        with database.write() as session:
            orders.lock(session, order.order_id)
            deliveries.cancel_open(session, order.order_id)
        return compose(self, *arguments)

    monkeypatch.setattr(EmailComposer, "compose", cancel_meanwhile)
    before = count("LOST")
    send_email(order.email_id)
    assert server.offered == 0
    assert delivery(database, order.order_id).state == DeliveryState.CANCELLED
    assert count("LOST") == before + 1


def test_a_missing_result_is_retried_until_the_last_attempt(
    database: Database, blobs: FakeBlobs, server: FakeServer, send_email: SendEmail, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = make_order(database, blobs, [b"one"])
    blobs.blobs.clear()
    send_email(order.email_id)
    assert email(database, order.email_id).state == EmailState.QUEUED
    monkeypatch.setattr(recording, "MAX_EMAIL_ATTEMPTS", 2)
    enqueue_again(database)
    send_email(order.email_id)
    assert delivery(database, order.order_id).reason == Reason.INTERNAL
    assert server.offered == 0


def test_an_unexpected_error_is_retried(
    database: Database, blobs: FakeBlobs, send_email: SendEmail, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = make_order(database, blobs, [b"one"])
    monkeypatch.setattr(EmailComposer, "compose", lambda *_: 1 / 0)
    send_email(order.email_id)
    assert email(database, order.email_id).state == EmailState.QUEUED
    assert delivery(database, order.order_id).message == "unexpected error"


def test_a_mailer_that_stops_gives_the_email_its_attempt_back(
    database: Database, blobs: FakeBlobs, server: FakeServer, send_email: SendEmail, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = make_order(database, blobs, [b"one"])

    def stop(_: object, *, bulk: bool) -> None:
        raise MailerStopping(bulk)

    monkeypatch.setattr(NoLimit, "wait", stop)
    send_email(order.email_id)
    row = email(database, order.email_id)
    assert (row.state, row.attempts, row.enqueued_at) == (EmailState.QUEUED, 0, None)
    assert server.offered == 0


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ("ann@example.org", "ann@example.org"),
        ("ann@example.org", "Ann@EXAMPLE.org"),
        ("ann@example.org", "ann+victim@example.org"),
        ("ann.bo@gmail.com", "a.n.n.b.o+x@googlemail.com"),
    ],
)
def test_a_mailbox_gets_no_more_emails_an_hour_than_allowed(
    database: Database, blobs: FakeBlobs, send_email: SendEmail, one: str, same: str
) -> None:
    send_email = replace(send_email, emails_per_hour=1)
    first, second = (make_order(database, blobs, [b"one"], email=address) for address in (one, same))
    send_email(first.email_id)
    send_email(second.email_id)
    row = email(database, second.email_id)
    assert (row.state, row.attempts) == (EmailState.QUEUED, 0)
    assert "in an hour" in (delivery(database, second.order_id).message or "")


def test_the_lease_outlasts_an_outage_of_the_database_while_the_email_is_sent(
    database: Database, blobs: FakeBlobs, send_email: SendEmail, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = make_order(database, blobs, [b"one"])
    left: list[float] = []

    def send(_: SmtpSession, envelope: SmtpEnvelope, before_end: Callable[[], None]) -> str:
        del envelope, before_end
        with database.read() as session:
            left.append((session.scalar(select(Email.lease_until - now())) or 0) / SECOND)
        return "250 kept"

    monkeypatch.setattr(SmtpSession, "send", send)
    send_email(order.email_id)
    assert left[0] > 60


def test_a_claim_that_was_lost_while_the_server_read_the_email_keeps_it_from_being_sent(
    database: Database, blobs: FakeBlobs, server: FakeServer, send_email: SendEmail, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = make_order(database, blobs, [b"one"])
    send_email = replace(send_email, sender=replace(send_email.sender, lease_seconds=0.0))  # it has run out at once
    send = FakeConnection.send

    def lose_claim(connection: FakeConnection, data: Any) -> None:
        with database.write() as session:
            session.execute(update(Email).values(owner=uuid4()))
        send(connection, data)

    monkeypatch.setattr(FakeConnection, "send", lose_claim)
    send_email(order.email_id)
    assert server.offered == 1
    assert server.received == []
    assert email(database, order.email_id).state == EmailState.SENDING, "it is another mailer's"


def test_an_email_that_the_server_may_have_is_not_sent_for_ever(
    database: Database, blobs: FakeBlobs, server: FakeServer, send_email: SendEmail
) -> None:
    order = make_order(database, blobs, [b"one"])
    server.replies["DOT"] = [DISCONNECT] * 10
    for _ in range(MAX_COPIES + 2):
        send_email(order.email_id)
        enqueue_again(database)
    assert server.offered == MAX_COPIES
    row = delivery(database, order.order_id)
    assert row.state == DeliveryState.FAILED
    assert "did not report whether it accepts" in (row.message or "")


@pytest.mark.parametrize("failures", [2, 12])
def test_what_was_sent_is_recorded_however_long_the_database_is_unavailable(
    database: Database,
    blobs: FakeBlobs,
    server: FakeServer,
    send_email: SendEmail,
    monkeypatch: pytest.MonkeyPatch,
    *,
    failures: int,
) -> None:
    order = make_order(database, blobs, [b"one"])
    finish_sent = emails.finish_sent
    errors = [Unavailable("the database cannot be reached")] * failures

    def fail_first(*arguments: Any, **options: Any) -> bool:
        if errors:
            raise errors.pop()
        return finish_sent(*arguments, **options)

    monkeypatch.setattr(emails, "finish_sent", fail_first)
    monkeypatch.setattr("services.common.db.engine.time", HourlyClock())
    send_email(order.email_id)
    assert email(database, order.email_id).state == EmailState.SENT
    assert len(server.received) == 1


def test_parts_are_inserted_once_however_often_the_first_is_tried(
    database: Database, blobs: FakeBlobs, broker: FakeBroker, server: FakeServer, send_email: SendEmail
) -> None:
    assert isinstance(send_email.draft, EmailDrafter)
    send_email = replace(send_email, draft=replace(send_email.draft, capacity=150_000))
    order = make_order(database, blobs, [bytes([number]) * 60_000 for number in range(5)])
    server.replies["DOT"] = ["451 4.3.0 try later"]
    send_email(order.email_id)
    enqueue_again(database)
    send_email(order.email_id)
    rows = emails_of(database, delivery_id=delivery(database, order.order_id).id)
    assert [row.part for row in rows] == [1, 2, 3]
    assert broker.subjects(MAIL_QUEUE) == [str(row.id) for row in rows[1:]]
    assert delivery(database, order.order_id).state == DeliveryState.SENDING
