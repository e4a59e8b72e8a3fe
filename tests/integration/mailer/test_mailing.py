"""Mailings to all subscribers: batches, retries, killed mailers, an unavailable server, cancelling."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import update

from services.common.db.engine import Database
from services.common.db.mail import batches, mailings, subscribers
from services.common.db.models import Email, Installation, Mailing
from services.common.domain.errors import ConfigurationError
from services.common.infra.messaging.broker import Broker
from services.common.infra.messaging.messages import MAIL_QUEUE, MAILING_QUEUE
from services.common.infra.rate_limiter import RateLimiter
from services.common.infra.signing.tokens import Tokens
from services.mailer.sending.send_mailing import SendMailing
from services.mailer.smtp import send_rate as send_rate_module
from services.mailer.smtp.envelope import SmtpEnvelope
from services.mailer.smtp.send_rate import SendRate
from services.mailer.smtp.session import SmtpSession
from services.scheduler.start_mailings import StartMailings
from services.scheduler.sweep import Sweep
from services.scheduler.weekly_hour import WeeklyHour
from tests.integration.mailer.conftest import ON_BOTH, MakeBulkMailer
from tests.support.email_lint import lint
from tests.support.mail_factories import emails_of, mailing, make_mailing, make_subscriber, make_subscribers
from tests.support.smtp import SmtpSink

PAST = 1


class Killed(BaseException):
    """As by kill -9: nothing after it is done."""


def run(send: SendMailing, mailing_id: UUID, queues: Broker) -> None:
    """Handle messages about the mailing until there is none."""
    send(mailing_id)
    while queues.subjects(MAILING_QUEUE):
        queues.client.flushdb()
        send(mailing_id)


def states(database: Database, mailing_id: UUID) -> Counter[str]:
    return Counter(row.state for row in emails_of(database, mailing_id=mailing_id))


def reached(sink: SmtpSink) -> Counter[str]:
    return Counter(received.recipients[0] for received in sink.received)


def everyone(count: int) -> Counter[str]:
    return Counter(f"s{number}@example.org" for number in range(count))


@ON_BOTH
def test_a_newsletter_tells_numbers_and_can_be_ended(
    database: Database, queues: Broker, make_bulk_mailer: MakeBulkMailer, tokens: Tokens, smtp_sink: SmtpSink
) -> None:
    subscriber = make_subscriber(database, "eve@example.org")
    mailing_id = make_mailing(database, {"en": "Subject: News\n\nWe did $images images.\n", "ru": "Новости"})
    run(make_bulk_mailer(public_url="https://blur.example.org"), mailing_id, queues)
    (received,) = smtp_sink.received
    message = lint(received.content)
    assert message["Subject"] == "News"
    assert message["List-Id"] == "ImageBlur <newsletter.example.org>"
    assert "List-Unsubscribe-Post" not in message, "that needs a signature"
    link = str(message["List-Unsubscribe"]).strip("<>")
    assert link.startswith("https://blur.example.org/unsubscribe?token=")
    assert tokens.read("unsubscribe", link.partition("=")[2]) == (subscriber, 1)
    body = message.get_body(("plain",))
    assert body
    assert link in body.get_content()
    assert "We did 340 images." in body.get_content()
    assert mailing(database, mailing_id).state == "DONE"


@ON_BOTH
def test_every_subscriber_is_reached_once_by_many_mailers_at_once(
    database: Database, make_bulk_mailer: MakeBulkMailer, smtp_sink: SmtpSink
) -> None:
    make_subscribers(database, 130)
    mailing_id = make_mailing(database)
    threads = [threading.Thread(target=_until_nothing, args=(make_bulk_mailer(), mailing_id)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reached(smtp_sink) == everyone(130)
    assert mailing(database, mailing_id).state == "DONE"


def _until_nothing(send: SendMailing, mailing_id: UUID) -> None:
    for _ in range(20):
        send(mailing_id)


def test_a_batch_is_followed_by_another_and_no_email_is_enqueued(
    database: Database, queues: Broker, make_bulk_mailer: MakeBulkMailer
) -> None:
    make_subscribers(database, 25)
    mailing_id = make_mailing(database)
    send = make_bulk_mailer(batch_size=10)
    send(mailing_id)
    assert queues.subjects(MAILING_QUEUE) == [str(mailing_id)]
    assert states(database, mailing_id) == {"SENT": 10}, "e-mails are written as they are sent"
    assert not queues.subjects(MAIL_QUEUE)
    queues.client.flushdb()
    send(mailing_id)
    queues.client.flushdb()
    send(mailing_id)
    assert not queues.subjects(MAILING_QUEUE)
    assert states(database, mailing_id) == {"SENT": 25}


@ON_BOTH
def test_what_a_killed_mailer_had_is_sent_and_only_the_email_on_its_way_may_come_twice(
    database: Database,
    sweep: Sweep,
    make_bulk_mailer: MakeBulkMailer,
    smtp_sink: SmtpSink,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_subscribers(database, 25)
    mailing_id = make_mailing(database)

    class Dying(SmtpSession):
        def send(self, envelope: SmtpEnvelope, *before_end: Callable[[], None]) -> str:
            super().send(envelope, *before_end)
            if len(smtp_sink.received) == 4:
                raise Killed
            return "250 kept"

    with monkeypatch.context() as patch:
        patch.setattr(batches, "return_unsent", _never)
        with pytest.raises(Killed):
            make_bulk_mailer(open_session=Dying)(mailing_id)
    assert states(database, mailing_id) == {"SENT": 3, "SENDING": 7}
    sweep.emails()
    assert states(database, mailing_id) == {"SENT": 3, "SENDING": 7}, "its lease is still good"
    _let_leases_run_out(database)
    sweep.emails()
    sweep.mailings()
    assert states(database, mailing_id) == {"SENT": 3, "QUEUED": 7}
    assert sweep.broker.subjects(MAILING_QUEUE) == [str(mailing_id)] * 2
    assert not sweep.broker.subjects(MAIL_QUEUE), "e-mails of mailings have no messages of their own"
    run(make_bulk_mailer(), mailing_id, sweep.broker)
    (repeated,) = reached(smtp_sink) - everyone(25)
    assert sum(reached(smtp_sink).values()) == 26
    assert set(reached(smtp_sink)) == set(everyone(25))
    assert len({str(received.message["Message-ID"]) for received in smtp_sink.to(repeated)}) == 1
    sweep.mailings()
    assert mailing(database, mailing_id).state == "DONE"


def _never(*_: object, **__: object) -> None:
    raise Killed


def _let_leases_run_out(database: Database) -> None:
    with database.write() as session:
        session.execute(update(Email).where(Email.state == "SENDING").values(lease_until=PAST))


def test_the_sweep_sends_what_is_missing_and_no_more(database: Database, sweep: Sweep, queues: Broker) -> None:
    sweep.mailings()
    assert not queues.subjects(MAILING_QUEUE)
    make_subscribers(database, 3)
    mailing_id = make_mailing(database)
    for _ in range(3):
        sweep.mailings()
        assert queues.subjects(MAILING_QUEUE) == [str(mailing_id)] * 2


@ON_BOTH
def test_who_unsubscribes_before_it_is_sent_gets_nothing(
    database: Database, queues: Broker, make_bulk_mailer: MakeBulkMailer, smtp_sink: SmtpSink
) -> None:
    make_subscribers(database, 4)
    mailing_id = make_mailing(database)

    class Unsubscribing(SmtpSession):
        def send(self, envelope: SmtpEnvelope, *before_end: Callable[[], None]) -> str:
            if not smtp_sink.received:
                with database.write() as session:
                    for address in everyone(4):
                        if address != envelope.recipient:
                            subscribers.unsubscribe(session, email_key=address)
            return super().send(envelope, *before_end)

    run(make_bulk_mailer(open_session=Unsubscribing), mailing_id, queues)
    assert len(smtp_sink.received) == 1
    assert states(database, mailing_id) == {"SENT": 1, "CANCELLED": 3}
    assert mailing(database, mailing_id).state == "DONE"


def cancel(database: Database, mailing_id: UUID) -> bool:
    with database.write() as session:
        return mailings.cancel_mailing(session, mailing_id)


@ON_BOTH
def test_a_mailing_can_be_cancelled_while_it_is_sent(
    database: Database, sweep: Sweep, queues: Broker, make_bulk_mailer: MakeBulkMailer, smtp_sink: SmtpSink
) -> None:
    make_subscribers(database, 30)
    mailing_id = make_mailing(database)
    smtp_sink.reply_to("s0@example.org", "451 4.3.0 try later")

    class Cancelling(SmtpSession):
        def send(self, envelope: SmtpEnvelope, *before_end: Callable[[], None]) -> str:
            if len(smtp_sink.received) == 15:
                assert cancel(database, mailing_id)
            return super().send(envelope, *before_end)

    run(make_bulk_mailer(open_session=Cancelling), mailing_id, queues)
    assert len(smtp_sink.received) in {15, 16}
    assert mailing(database, mailing_id).state == "CANCELLED"
    assert set(states(database, mailing_id)) == {"SENT", "CANCELLED"}
    assert not cancel(database, mailing_id), "it has ended"
    sweep.mailings()
    assert not queues.subjects(MAILING_QUEUE)


def _wait_no_more(database: Database) -> None:
    with database.write() as session:
        session.execute(update(Mailing).values(not_before=0))
        session.execute(update(Email).where(Email.state == "QUEUED").values(not_before=0))


@ON_BOTH
def test_a_server_that_is_away_costs_no_email_an_attempt(
    database: Database, queues: Broker, make_bulk_mailer: MakeBulkMailer, smtp_sink: SmtpSink
) -> None:
    make_subscribers(database, 12)
    mailing_id = make_mailing(database)
    send = make_bulk_mailer()
    smtp_sink.close()
    for troubles in range(1, 4):
        run(send, mailing_id, queues)
        assert mailing(database, mailing_id).troubles == troubles
        _wait_no_more(database)
    attempts = Counter(row.attempts for row in emails_of(database, mailing_id=mailing_id))
    assert attempts[0] >= 7, "only the e-mail in hand counts an attempt"
    smtp_sink.start()
    run(send, mailing_id, queues)
    assert reached(smtp_sink) == everyone(12)


def test_emails_share_a_connection(
    database: Database, queues: Broker, make_bulk_mailer: MakeBulkMailer, smtp_sink: SmtpSink
) -> None:
    make_subscribers(database, 20)
    run(make_bulk_mailer(batch_size=20), make_mailing(database), queues)
    assert len(smtp_sink.received) == 20
    assert smtp_sink.connections == 1


def test_a_connection_that_the_server_has_ended_is_opened_anew(
    database: Database, queues: Broker, make_bulk_mailer: MakeBulkMailer, smtp_sink: SmtpSink
) -> None:
    make_subscribers(database, 10)
    mailing_id = make_mailing(database)

    class Cut(SmtpSession):
        def send(self, envelope: SmtpEnvelope, *before_end: Callable[[], None]) -> str:
            if len(smtp_sink.received) == 5:
                smtp_sink.close()
                smtp_sink.start()
            return super().send(envelope, *before_end)

    run(make_bulk_mailer(open_session=Cut), mailing_id, queues)
    assert reached(smtp_sink) == everyone(10)
    assert mailing(database, mailing_id).troubles == 0


def start_weekly(database: Database, queues: Broker, texts: Path) -> UUID | None:
    with database.write() as session:
        session.execute(update(Installation).values(installed_at=0))
    schedule = StartMailings(database, queues, WeeklyHour("mon", 12, ZoneInfo("UTC")), texts)
    return schedule.start_weekly(datetime(2026, 11, 23, 12, tzinfo=UTC))


def test_the_content_is_that_of_the_hour_at_which_it_was_ordered(
    database: Database, queues: Broker, make_bulk_mailer: MakeBulkMailer, smtp_sink: SmtpSink, tmp_path: Path
) -> None:
    make_subscriber(database, "eve@example.org")
    text = tmp_path / "en.txt"
    text.write_text("As it was.", "utf-8")
    mailing_id = start_weekly(database, queues, tmp_path)
    assert mailing_id
    text.write_text("As it is.", "utf-8")
    queues.client.flushdb()
    run(make_bulk_mailer(), mailing_id, queues)
    body = smtp_sink.received[0].message.get_body(("plain",))
    assert body
    assert "As it was." in body.get_content()


def test_a_mailing_whose_text_cannot_be_read_is_not_ordered(database: Database, queues: Broker, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"IMAGEBLUR_MAILING_TEXT_DIR: .*nowhere"):
        start_weekly(database, queues, tmp_path / "nowhere")
    with database.read() as session:
        assert mailings.list_recent(session) == []


def send_rate(queues: Broker, rate: float) -> SendRate:
    return SendRate(limiter=RateLimiter(queues.client), server="sink", rate=rate, stopping=threading.Event())


def test_the_rate_holds_over_all_mailers_and_order_emails_pass(queues: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    rates = [send_rate(queues, 50) for _ in range(2)]
    taken: list[float] = []

    def take(rate: SendRate) -> None:
        for _ in range(10):
            rate.wait(bulk=True)
            taken.append(time.monotonic())

    begin = time.monotonic()
    threads = [threading.Thread(target=take, args=(rate,)) for rate in rates]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(taken) - begin >= 19 / 50, "twenty e-mails at fifty a second, the first at once"
    # An order e-mail is sent at once, and delays the mailing by one e-mail: here by a minute.
    queues.client.flushdb()
    assert rates[0]._take(1 / 60, bulk=True) == 0
    monkeypatch.setattr(send_rate_module, "BURST_SECONDS", 600)
    full = [rate._take(1 / 60, bulk=False) for rate in rates * 5]
    assert full == [0.0] * 10
    assert rates[0]._take(1 / 60, bulk=True) > 9 * 60


def test_order_emails_have_a_limit_too(queues: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send_rate_module, "BURST_SECONDS", 1200)
    rate = send_rate(queues, 1 / 60)
    taken = [rate._take(1 / 60, bulk=False) for _ in range(40)]
    assert taken.count(0.0) == 21, "twenty ahead of the first one"
    assert taken[-1] > 0


def test_the_progress_of_a_mailing_is_known(database: Database, make_bulk_mailer: MakeBulkMailer) -> None:
    make_subscribers(database, 25)
    mailing_id = make_mailing(database)
    make_bulk_mailer()(mailing_id)
    with database.read() as session:
        (progress,) = mailings.list_recent(session)
    assert (progress.mailing.id, progress.mailing.state, progress.mailing.recipients) == (mailing_id, "SENDING", 25)
    assert progress.emails == {"SENT": 10}
