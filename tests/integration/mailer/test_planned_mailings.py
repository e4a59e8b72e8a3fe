"""Mailings at a time, by each reader's clock, within a window, at a rate, paused and resumed."""

import json
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import delete, select, update

from services.common.db.clock import SECOND, from_datetime
from services.common.db.engine import Database
from services.common.db.mail import mailings
from services.common.db.models import Email, Mailing, MailingPart, Subscriber
from services.common.domain.mailing_times import MailingPlan, SendingWindow
from services.common.infra.messaging.broker import Broker
from services.common.infra.messaging.messages import MAILING_QUEUE
from services.mailer.sending.send_mailing import SendMailing
from services.mailer.smtp.envelope import SmtpEnvelope
from services.mailer.smtp.session import SmtpSession
from services.scheduler.start_mailings import StartMailings
from services.scheduler.sweep import Sweep
from services.scheduler.weekly_hour import WeeklyHour
from tests.integration.mailer.conftest import ON_BOTH, MakeBulkMailer
from tests.support.mail_factories import emails_of, mailing, make_mailing, make_subscriber, make_subscribers
from tests.support.smtp import SmtpSink

NUMBERS = {"orders": 0, "images": 0, "failed": 0}
CONTENT = json.dumps({**NUMBERS, "from": "2026-11-16T09:00", "to": "2026-11-23T09:00", "text": {"en": "Hi"}})
HOUR = timedelta(hours=1)


@pytest.fixture
def schedule(database: Database, queues: Broker) -> StartMailings:
    return StartMailings(database, queues, WeeklyHour("mon", 12, ZoneInfo("UTC")), None, 2)


def plan_mailing(database: Database, **plan: object) -> UUID:
    with database.write() as session:
        mailing_id = mailings.insert_mailing(
            session,
            period=f"manual:{uuid4()}",
            due_at=1,
            content=CONTENT,
            plan=MailingPlan(**plan),  # type: ignore[arg-type]
        )
    assert mailing_id
    return mailing_id


def in_zone(database: Database, address: str, zone: str | None) -> UUID:
    subscriber_id = make_subscriber(database, address)
    with database.write() as session:
        session.execute(update(Subscriber).where(Subscriber.id == subscriber_id).values(time_zone=zone))
    return subscriber_id


def run(send: SendMailing, mailing_id: UUID, rounds: int = 8) -> None:
    for _ in range(rounds):
        send(mailing_id)


def reached(sink: SmtpSink) -> Counter[str]:
    return Counter(received.recipients[0] for received in sink.received)


def backdate(database: Database, seconds: float) -> None:
    """What passing time does."""
    with database.write() as session:
        session.execute(update(Mailing).values(due_at=Mailing.due_at - int(seconds * SECOND)))
        session.execute(update(MailingPart).values(not_before=MailingPart.not_before - int(seconds * SECOND)))


@ON_BOTH
def test_a_mailing_waits_for_its_time(  # noqa: PLR0917 - fixtures
    database: Database,
    schedule: StartMailings,
    sweep: Sweep,
    make_bulk_mailer: MakeBulkMailer,
    queues: Broker,
    smtp_sink: SmtpSink,
) -> None:
    make_subscribers(database, 3)
    mailing_id = plan_mailing(database, send_at=datetime.now(UTC) + HOUR)
    schedule.start_scheduled()
    sweep.mailings()
    run(make_bulk_mailer(), mailing_id)
    assert (mailing(database, mailing_id).state, len(smtp_sink.received)) == ("PREPARING", 0)
    make_subscriber(database, "late@example.org")
    backdate(database, 3600)
    schedule.start_scheduled()
    assert queues.subjects(MAILING_QUEUE) == [str(mailing_id)] * 2
    found = mailing(database, mailing_id)
    assert (found.state, found.recipients) == ("SENDING", 4)
    assert found.content != CONTENT, "its numbers are those of now"
    run(make_bulk_mailer(), mailing_id)
    assert reached(smtp_sink).total() == 4
    assert mailing(database, mailing_id).state == "DONE"


@ON_BOTH
def test_each_reader_gets_it_by_their_own_clock_once(
    database: Database, schedule: StartMailings, sweep: Sweep, make_bulk_mailer: MakeBulkMailer, smtp_sink: SmtpSink
) -> None:
    for zone in ("Asia/Tokyo", "Europe/Paris", "America/New_York", None, "Zone/Unknown"):
        for number in range(3):
            name = (zone or "none").partition("/")[2].lower() or "none"
            in_zone(database, f"{name}{number}@example.org", zone)
    tokyo = ZoneInfo("Asia/Tokyo")
    # In Tokyo it is that time since a minute; in Paris and New York it will be in hours.
    local_time = (datetime.now(tokyo) - timedelta(minutes=1)).replace(tzinfo=None, second=0, microsecond=0)
    mailing_id = plan_mailing(database, local_time=local_time, time_zone="Europe/Moscow")
    schedule.start_scheduled()
    send = make_bulk_mailer(batch_size=2)
    run(send, mailing_id)
    assert reached(smtp_sink) == Counter(f"tokyo{number}@example.org" for number in range(3))
    with database.read() as session:
        assert mailing_id not in mailings.list_sendable(session), "no messages until the next zone is due"
    offset = {zone: _ahead(tokyo, ZoneInfo(zone)) for zone in ("Europe/Paris", "Europe/Moscow", "America/New_York")}
    backdate(database, offset["Europe/Moscow"] + 1)
    run(send, mailing_id)
    assert len(reached(smtp_sink)) == 9, "Tokyo, and those without a known zone as in Moscow"
    # Someone moves from New York to Paris, and someone back to Tokyo; both get it once.
    with database.write() as session:
        for address, zone in (("new_york0@example.org", "Europe/Paris"), ("paris0@example.org", "Asia/Tokyo")):
            session.execute(update(Subscriber).where(Subscriber.email == address).values(time_zone=zone))
    backdate(database, offset["Europe/Paris"] - offset["Europe/Moscow"])
    run(send, mailing_id)
    assert reached(smtp_sink)["new_york0@example.org"] == 1
    assert mailing(database, mailing_id).state == "SENDING"
    backdate(database, offset["America/New_York"])
    run(send, mailing_id, rounds=12)
    assert len(reached(smtp_sink)) == 15
    assert set(reached(smtp_sink).values()) == {1}
    sweep.mailings()
    assert mailing(database, mailing_id).state == "DONE"


def _ahead(zone: ZoneInfo, other: ZoneInfo) -> float:
    now = datetime.now(UTC)
    difference = (now.astimezone(zone).utcoffset() or HOUR) - (now.astimezone(other).utcoffset() or HOUR)
    return difference.total_seconds()


def _window(opens_in: timedelta, closes_in: timedelta, zone: str = "UTC") -> SendingWindow:
    now = datetime.now(ZoneInfo(zone))
    begin, end = (now + opens_in).time(), (now + closes_in).time()
    return SendingWindow(begin=60 * begin.hour + begin.minute, end=60 * end.hour + end.minute)


@ON_BOTH
def test_nothing_is_sent_outside_the_window_not_even_retries(
    database: Database, sweep: Sweep, make_bulk_mailer: MakeBulkMailer, queues: Broker, smtp_sink: SmtpSink
) -> None:
    make_subscribers(database, 4)
    mailing_id = plan_mailing(database, window=_window(HOUR, 2 * HOUR))
    send = make_bulk_mailer(batch_size=2)
    run(send, mailing_id)
    assert not smtp_sink.received
    row = mailing(database, mailing_id)
    opens_in = (row.not_before - from_datetime(datetime.now(UTC))) / SECOND
    assert 3000 < opens_in <= 3600
    queues.client.flushdb()
    sweep.mailings()
    assert not queues.subjects(MAILING_QUEUE)
    _set_window(database, _window(-HOUR, HOUR))
    smtp_sink.reply_to("s0@example.org", "451 4.3.0 later")
    run(send, mailing_id, rounds=2)
    assert reached(smtp_sink).total() == 3
    _set_window(database, _window(HOUR, 2 * HOUR))
    with database.write() as session:
        session.execute(update(Email).values(not_before=0))
    run(send, mailing_id)
    assert reached(smtp_sink).total() == 3
    _set_window(database, _window(-HOUR, HOUR))
    run(send, mailing_id)
    assert reached(smtp_sink).total() == 4


def _set_window(database: Database, window: SendingWindow) -> None:
    with database.write() as session:
        session.execute(update(Mailing).values(window_begin=window.begin, window_end=window.end, not_before=0))


@ON_BOTH
def test_a_window_is_that_of_each_reader(
    database: Database, schedule: StartMailings, make_bulk_mailer: MakeBulkMailer, smtp_sink: SmtpSink
) -> None:
    in_zone(database, "awake@example.org", "Asia/Tokyo")
    in_zone(database, "asleep@example.org", "America/New_York")
    long_ago = (datetime.now(UTC) - timedelta(hours=20)).replace(tzinfo=None)
    window = _window(-HOUR, HOUR, "Asia/Tokyo")
    mailing_id = plan_mailing(database, local_time=long_ago, time_zone="Asia/Tokyo", window=window)
    schedule.start_scheduled()
    smtp_sink.refuse({"awake@example.org": "451 4.3.0 later"})
    run(make_bulk_mailer(), mailing_id)
    assert not smtp_sink.received
    smtp_sink.refuse({})
    (row,) = emails_of(database, mailing_id=mailing_id)
    with database.write() as session:
        session.execute(update(Email).values(not_before=0))
        session.execute(
            update(Subscriber).where(Subscriber.id == row.subscriber_id).values(time_zone="America/New_York")
        )
    run(make_bulk_mailer(), mailing_id)
    assert not smtp_sink.received, "a retry waits for the window, too"
    with database.write() as session:
        session.execute(update(Subscriber).where(Subscriber.id == row.subscriber_id).values(time_zone="Asia/Tokyo"))
    run(make_bulk_mailer(), mailing_id)
    assert reached(smtp_sink) == {"awake@example.org": 1}
    assert mailing(database, mailing_id).state == "SENDING"


def test_a_batch_ends_with_its_window(
    database: Database, make_bulk_mailer: MakeBulkMailer, smtp_sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_subscribers(database, 5)
    mailing_id = plan_mailing(database, window=_window(-HOUR, HOUR))
    real = time.monotonic

    class Slow(SmtpSession):
        def send(self, envelope: SmtpEnvelope, *before_end: Callable[[], None]) -> str:
            reply = super().send(envelope, *before_end)
            if len(smtp_sink.received) == 2:
                monkeypatch.setattr("services.mailer.sending.send_mailing.time.monotonic", lambda: real() + 2 * 3600)
            return reply

    make_bulk_mailer(open_session=Slow)(mailing_id)
    assert len(smtp_sink.received) == 2
    rows = emails_of(database, mailing_id=mailing_id)
    assert Counter((row.state, row.attempts) for row in rows) == {("SENT", 1): 2, ("QUEUED", 0): 3}


def test_a_mailing_keeps_its_rate(database: Database, make_bulk_mailer: MakeBulkMailer, smtp_sink: SmtpSink) -> None:
    make_subscribers(database, 6)
    mailing_id = plan_mailing(database, per_hour=18_000)
    begin = time.time()
    run(make_bulk_mailer(), mailing_id)
    times = sorted(received.at for received in smtp_sink.received)
    assert len(times) == 6
    assert times[-1] - begin >= 5 * 0.2 - 0.05, "five a second"


@ON_BOTH
def test_a_paused_mailing_sends_nothing_and_goes_on_where_it_was(
    database: Database, sweep: Sweep, queues: Broker, make_bulk_mailer: MakeBulkMailer, smtp_sink: SmtpSink
) -> None:
    make_subscribers(database, 10)
    mailing_id = make_mailing(database)

    class Pausing(SmtpSession):
        def send(self, envelope: SmtpEnvelope, *before_end: Callable[[], None]) -> str:
            reply = super().send(envelope, *before_end)
            if len(smtp_sink.received) == 3:
                with database.write() as session:
                    assert mailings.pause(session, mailing_id)
                    assert mailings.pause(session, mailing_id), "it is paused"
            return reply

    run(make_bulk_mailer(batch_size=5, open_session=Pausing), mailing_id)
    assert len(smtp_sink.received) == 3
    rows = emails_of(database, mailing_id=mailing_id)
    assert Counter((row.state, row.attempts) for row in rows) == {("SENT", 1): 3, ("QUEUED", 0): 2}
    queues.client.flushdb()
    sweep.mailings()
    assert not queues.subjects(MAILING_QUEUE)
    assert mailing(database, mailing_id).state == "PREPARING"
    with database.write() as session:
        assert mailings.resume(session, mailing_id)
    sweep.mailings()
    assert queues.subjects(MAILING_QUEUE)
    run(make_bulk_mailer(), mailing_id)
    assert reached(smtp_sink) == Counter(f"s{number}@example.org" for number in range(10))
    assert mailing(database, mailing_id).state == "DONE"
    with database.write() as session:
        assert not mailings.pause(session, mailing_id)
        assert not mailings.resume(session, mailing_id)


def test_a_scheduled_mailing_can_be_paused_resumed_and_cancelled(database: Database, schedule: StartMailings) -> None:
    mailing_id = plan_mailing(database, send_at=datetime.now(UTC) - HOUR)
    with database.write() as session:
        assert mailings.pause(session, mailing_id)
    schedule.start_scheduled()
    assert mailing(database, mailing_id).state == "PREPARING"
    with database.write() as session:
        assert mailings.resume(session, mailing_id)
    schedule.start_scheduled()
    assert mailing(database, mailing_id).started_at
    second = plan_mailing(database, send_at=datetime.now(UTC) - HOUR)
    with database.write() as session:
        assert mailings.cancel_mailing(session, second)
    schedule.start_scheduled()
    assert mailing(database, second).state == "CANCELLED"


def test_a_mailing_by_zone_without_subscribers_ends(
    database: Database, schedule: StartMailings, sweep: Sweep, make_bulk_mailer: MakeBulkMailer
) -> None:
    long_ago = (datetime.now(UTC) - timedelta(hours=30)).replace(tzinfo=None)
    mailing_id = plan_mailing(database, local_time=long_ago)
    schedule.start_scheduled()
    run(make_bulk_mailer(), mailing_id)
    sweep.mailings()
    assert mailing(database, mailing_id).state == "DONE"
    with database.write() as session:
        session.execute(delete(Mailing))
        assert not session.scalars(select(MailingPart)).all()
