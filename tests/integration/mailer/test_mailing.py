"""Mailings to all subscribers: batches, retries, what a killed mailer leaves, trouble with the server, cancelling."""

import threading
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, update

from services.common.db.engine import Database
from services.common.db.mail import batches, mailings, subscribers
from services.common.db.models import Email, Installation, Mailing, Subscriber
from services.common.domain.errors import ConfigurationError
from services.common.infra.blobs import BlobStore
from services.common.infra.broker import Broker
from services.common.infra.messages import MAIL_QUEUE, MAILING_QUEUE
from services.common.infra.rate_limiter import RateLimiter
from services.common.infra.tokens import Tokens
from services.mailer.mailing import SendMailing
from services.mailer.smtp.rate_limit import TokenBucket
from services.mailer.smtp.sender import Envelope
from services.mailer.smtp.smtp_sender import SmtpLine
from services.scheduler.mailing_schedule import MailingSchedule
from services.scheduler.sweep import Sweep
from services.scheduler.weekly_schedule import WeeklyHour
from tests.integration.mailer.conftest import ON_BOTH, MakeBulkMailer
from tests.integration.mailer.making import emails_of, mailing, make_mailing, make_subscriber, make_subscribers
from tests.support.email_lint import lint
from tests.support.smtp import SmtpSink

PAST = 1


class Killed(BaseException):
    """As by kill -9: nothing after it is done."""


@pytest.fixture
def sweep(database: Database, blobs: BlobStore, queues: Broker) -> Sweep:
    return Sweep(database, blobs, queues, window=1, mailing_connections=2)


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
    assert message["List-Id"] == "ImageBlur <weekly.example.org>"
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
    send = make_bulk_mailer(batch=10)
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

    class Dying(SmtpLine):
        def send(self, envelope: Envelope) -> str:
            super().send(envelope)
            if len(smtp_sink.received) == 4:
                raise Killed
            return "250 kept"

    with monkeypatch.context() as patch:
        patch.setattr(batches, "give_back", _never)
        with pytest.raises(Killed):
            make_bulk_mailer(line=Dying)(mailing_id)
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


def _never(*_: object) -> None:
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

    class Unsubscribing(SmtpLine):
        def send(self, envelope: Envelope) -> str:
            if not smtp_sink.received:
                with database.write() as session:
                    for address in everyone(4):
                        if address != envelope.recipient:
                            subscribers.unsubscribe(session, email_key=address)
            return super().send(envelope)

    run(make_bulk_mailer(line=Unsubscribing), mailing_id, queues)
    assert len(smtp_sink.received) == 1
    assert states(database, mailing_id) == {"SENT": 1, "CANCELLED": 3}
    assert mailing(database, mailing_id).state == "DONE"


def cancel(database: Database, mailing_id: UUID) -> bool:
    with database.write() as session:
        return mailings.cancel(session, mailing_id)


@ON_BOTH
def test_a_mailing_can_be_cancelled_while_it_is_sent(
    database: Database, sweep: Sweep, queues: Broker, make_bulk_mailer: MakeBulkMailer, smtp_sink: SmtpSink
) -> None:
    make_subscribers(database, 30)
    mailing_id = make_mailing(database)
    smtp_sink.reply_to("s0@example.org", "451 4.3.0 try later")

    class Cancelling(SmtpLine):
        def send(self, envelope: Envelope) -> str:
            if len(smtp_sink.received) == 15:
                assert cancel(database, mailing_id)
            return super().send(envelope)

    run(make_bulk_mailer(line=Cancelling), mailing_id, queues)
    assert len(smtp_sink.received) in {15, 16}
    assert mailing(database, mailing_id).state == "CANCELLED"
    assert set(states(database, mailing_id)) == {"SENT", "CANCELLED"}
    assert not cancel(database, mailing_id), "it has ended"
    sweep.mailings()
    assert not queues.subjects(MAILING_QUEUE)


def test_one_refused_address_does_not_hold_up_the_others(
    database: Database, queues: Broker, make_bulk_mailer: MakeBulkMailer, smtp_sink: SmtpSink
) -> None:
    make_subscribers(database, 5)
    mailing_id = make_mailing(database)
    smtp_sink.refuse({"s2@example.org": "550 5.1.1 no such user", "s3@example.org": "550 5.7.1 policy"})
    run(make_bulk_mailer(), mailing_id, queues)
    assert reached(smtp_sink) == Counter(f"s{n}@example.org" for n in (0, 1, 4))
    assert states(database, mailing_id) == {"SENT": 3, "FAILED": 2}
    assert mailing(database, mailing_id).state == "DONE"
    assert suppressed(database) == ["s2@example.org"]


def suppressed(database: Database) -> list[str]:
    with database.read() as session:
        found = select(Subscriber.email).where(Subscriber.state == "SUPPRESSED")
        return list(session.scalars(found))


def test_a_email_that_is_put_off_is_tried_again_later(
    database: Database, queues: Broker, make_bulk_mailer: MakeBulkMailer, smtp_sink: SmtpSink
) -> None:
    make_subscribers(database, 5)
    mailing_id = make_mailing(database)
    smtp_sink.reply_to("s2@example.org", "451 4.7.1 greylisted")
    send = make_bulk_mailer()
    run(send, mailing_id, queues)
    assert states(database, mailing_id) == {"SENT": 4, "QUEUED": 1}
    run(send, mailing_id, queues)
    assert smtp_sink.attempts == 5, "its time has not come"
    with database.write() as session:
        session.execute(update(Email).where(Email.state == "QUEUED").values(not_before=0))
    run(send, mailing_id, queues)
    assert reached(smtp_sink) == everyone(5)


def test_many_emails_that_are_put_off_in_turn_put_the_mailing_off(
    database: Database, queues: Broker, make_bulk_mailer: MakeBulkMailer, smtp_sink: SmtpSink
) -> None:
    make_subscribers(database, 30)
    mailing_id = make_mailing(database)
    smtp_sink.reply_to_data(*["451 4.7.0 too many"] * 5)
    send = make_bulk_mailer(batch=20)
    run(send, mailing_id, queues)
    assert smtp_sink.attempts == 5
    found = mailing(database, mailing_id)
    assert (found.state, found.message, found.troubles) == ("SENDING", "451 4.7.0 too many", 1)
    run(send, mailing_id, queues)
    assert smtp_sink.attempts == 5, "the server is left in peace for a while"
    _wait_no_more(database)
    run(send, mailing_id, queues)
    assert reached(smtp_sink) == everyone(30)
    found = mailing(database, mailing_id)
    assert (found.state, found.message, found.troubles) == ("DONE", None, 0)


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


def test_a_mailer_that_stops_gives_back_what_it_has_not_begun(
    database: Database, queues: Broker, make_bulk_mailer: MakeBulkMailer, smtp_sink: SmtpSink
) -> None:
    make_subscribers(database, 20)
    mailing_id = make_mailing(database)
    stopping = threading.Event()

    class Stopping(SmtpLine):
        def send(self, envelope: Envelope) -> str:
            if len(smtp_sink.received) == 3:
                stopping.set()
            return super().send(envelope)

    bucket = TokenBucket(RateLimiter(queues.client), "sink", None, stopping)
    make_bulk_mailer(batch=20, bucket=bucket, line=Stopping)(mailing_id)
    assert states(database, mailing_id) == {"SENT": 4, "QUEUED": 16}
    assert {row.attempts for row in emails_of(database, mailing_id=mailing_id, state="QUEUED")} == {0}
    run(make_bulk_mailer(batch=20), mailing_id, queues)
    assert reached(smtp_sink) == everyone(20)


def test_emails_share_a_connection(
    database: Database, queues: Broker, make_bulk_mailer: MakeBulkMailer, smtp_sink: SmtpSink
) -> None:
    make_subscribers(database, 20)
    run(make_bulk_mailer(batch=20), make_mailing(database), queues)
    assert len(smtp_sink.received) == 20
    assert smtp_sink.connections == 1


def test_a_connection_that_the_server_has_ended_is_opened_anew(
    database: Database, queues: Broker, make_bulk_mailer: MakeBulkMailer, smtp_sink: SmtpSink
) -> None:
    make_subscribers(database, 10)
    mailing_id = make_mailing(database)

    class Cut(SmtpLine):
        def send(self, envelope: Envelope) -> str:
            if len(smtp_sink.received) == 5:
                smtp_sink.close()
                smtp_sink.start()
            return super().send(envelope)

    run(make_bulk_mailer(line=Cut), mailing_id, queues)
    assert reached(smtp_sink) == everyone(10)
    assert mailing(database, mailing_id).troubles == 0


def make_weekly(database: Database, queues: Broker, texts: Path) -> UUID | None:
    with database.write() as session:
        session.execute(update(Installation).values(installed_at=0))
    schedule = MailingSchedule(database, queues, WeeklyHour("mon", 12, ZoneInfo("UTC")), texts)
    return schedule.make_weekly(datetime(2026, 11, 23, 12, tzinfo=UTC))


def test_the_content_is_that_of_the_hour_at_which_it_was_ordered(
    database: Database, queues: Broker, make_bulk_mailer: MakeBulkMailer, smtp_sink: SmtpSink, tmp_path: Path
) -> None:
    make_subscriber(database, "eve@example.org")
    text = tmp_path / "en.txt"
    text.write_text("As it was.", "utf-8")
    mailing_id = make_weekly(database, queues, tmp_path)
    assert mailing_id
    text.write_text("As it is.", "utf-8")
    queues.client.flushdb()
    run(make_bulk_mailer(), mailing_id, queues)
    body = smtp_sink.received[0].message.get_body(("plain",))
    assert body
    assert "As it was." in body.get_content()


def test_a_mailing_whose_text_cannot_be_read_is_not_ordered(database: Database, queues: Broker, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"IMAGEBLUR_MAILING_TEXT_DIR: .*nowhere"):
        make_weekly(database, queues, tmp_path / "nowhere")
    with database.read() as session:
        assert mailings.progress(session) == []


def test_the_rate_holds_over_all_mailers_and_order_emails_pass(queues: Broker) -> None:
    buckets = [TokenBucket(RateLimiter(queues.client), "sink", 50, threading.Event()) for _ in range(2)]
    taken: list[float] = []

    def take(bucket: TokenBucket) -> None:
        for _ in range(10):
            bucket.wait(bulk=True)
            taken.append(time.monotonic())

    begin = time.monotonic()
    threads = [threading.Thread(target=take, args=(bucket,)) for bucket in buckets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(taken) - begin >= 19 / 50, "twenty e-mails at fifty a second, the first at once"
    # One that somebody waits for goes at once, and what it took is taken from the mailing.
    full = [bucket._take(50, bulk=False) for bucket in buckets * 5]
    assert full == [0.0] * 10
    assert buckets[0]._take(50, bulk=True) > 0


def test_emails_that_somebody_waits_for_have_a_limit_too(queues: Broker) -> None:
    bucket = TokenBucket(RateLimiter(queues.client), "sink", 10, threading.Event())
    taken = [bucket._take(10, bulk=False) for _ in range(40)]
    assert 21 <= taken.count(0.0) <= 30
    assert taken[-1] > 0


def test_the_progress_of_a_mailing_is_known(database: Database, make_bulk_mailer: MakeBulkMailer) -> None:
    make_subscribers(database, 25)
    mailing_id = make_mailing(database)
    make_bulk_mailer()(mailing_id)
    with database.read() as session:
        (progress,) = mailings.progress(session)
    assert (progress.mailing.id, progress.mailing.state, progress.mailing.recipients) == (mailing_id, "SENDING", 25)
    assert progress.emails == {"SENT": 10}
