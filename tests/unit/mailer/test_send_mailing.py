"""Batches of a mailing: outcomes of their e-mails, pauses, and what a mailer that stops returns."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from threading import Event
from uuid import UUID

import pytest
from sqlalchemy import select, update

from services.common.db.engine import Database
from services.common.db.models import Email, Mailing, Subscriber
from services.common.domain.mail import EmailState, MailingState, SubscriberState
from services.mailer.sending.send_mailing import MAX_RETRIES_IN_A_ROW, SendMailing
from services.mailer.smtp.envelope import SmtpEnvelope
from services.mailer.smtp.session import SmtpSession
from tests.support.mail_factories import emails_of, mailing, make_mailing, make_subscribers
from tests.unit.mailer.fakes import DISCONNECT, FakeServer


def states(database: Database, mailing_id: UUID) -> Counter[str]:
    return Counter(row.state for row in emails_of(database, mailing_id=mailing_id))


def addresses(*numbers: int) -> list[str]:
    return [f"s{number}@example.org" for number in numbers]


def reached(server: FakeServer) -> list[str]:
    return sorted(recipient for recipient, _ in server.received)


def make_due(database: Database) -> None:
    """Let the pause of the mailing and the delays of retries be over."""
    with database.write() as session:
        session.execute(update(Mailing).values(not_before=0))
        session.execute(update(Email).where(Email.state == EmailState.QUEUED).values(not_before=0))


def test_a_refused_email_does_not_delay_the_others(
    database: Database, server: FakeServer, send_mailing: SendMailing
) -> None:
    make_subscribers(database, 5)
    mailing_id = make_mailing(database)
    server.refused |= {"s2@example.org": "550 5.1.1 no such user", "s3@example.org": "550 5.7.1 policy"}
    send_mailing(mailing_id)
    assert reached(server) == addresses(0, 1, 4)
    assert states(database, mailing_id) == {EmailState.SENT: 3, EmailState.FAILED: 2}
    assert mailing(database, mailing_id).state == MailingState.DONE
    with database.read() as session:
        suppressed = session.scalars(select(Subscriber.email).where(Subscriber.state == SubscriberState.SUPPRESSED))
        assert list(suppressed) == ["s2@example.org"]


def test_a_deferred_email_is_retried_when_it_is_due(
    database: Database, server: FakeServer, send_mailing: SendMailing
) -> None:
    make_subscribers(database, 5)
    mailing_id = make_mailing(database)
    server.refused["s2@example.org"] = "451 4.7.1 greylisted"
    send_mailing(mailing_id)
    assert states(database, mailing_id) == {EmailState.SENT: 4, EmailState.QUEUED: 1}
    send_mailing(mailing_id)
    assert server.offered == 5, "not before its delay is over"
    server.refused.clear()
    make_due(database)
    send_mailing(mailing_id)
    assert reached(server) == addresses(*range(5))


def test_many_deferred_emails_in_a_row_pause_the_mailing(
    database: Database, server: FakeServer, send_mailing: SendMailing
) -> None:
    make_subscribers(database, 10)
    mailing_id = make_mailing(database)
    server.replies["DOT"] = ["451 4.7.0 too many"] * MAX_RETRIES_IN_A_ROW
    send_mailing(mailing_id)
    assert server.offered == MAX_RETRIES_IN_A_ROW
    paused = mailing(database, mailing_id)
    assert (paused.state, paused.message, paused.troubles) == (MailingState.SENDING, "451 4.7.0 too many", 1)
    assert sorted(row.attempts for row in emails_of(database, mailing_id=mailing_id)) == [0] * 5 + [1] * 5
    send_mailing(mailing_id)
    assert server.offered == MAX_RETRIES_IN_A_ROW, "the mailing is paused"
    make_due(database)
    send_mailing(mailing_id)
    assert reached(server) == addresses(*range(10))
    done = mailing(database, mailing_id)
    assert (done.state, done.message, done.troubles) == (MailingState.DONE, None, 0)


@pytest.mark.parametrize("stage", ["CONNECT", "MAIL", "DOT"])
def test_an_unavailable_server_pauses_the_mailing_at_once(
    database: Database, server: FakeServer, send_mailing: SendMailing, stage: str
) -> None:
    make_subscribers(database, 10)
    mailing_id = make_mailing(database)
    server.replies[stage] = ["421 busy"] if stage == "CONNECT" else [DISCONNECT]
    send_mailing(mailing_id)
    assert states(database, mailing_id) == {EmailState.QUEUED: 10}
    assert sorted(row.attempts for row in emails_of(database, mailing_id=mailing_id)) == [0] * 9 + [1]
    assert mailing(database, mailing_id).troubles == 1


def test_a_mailer_that_stops_returns_what_it_has_not_attempted(
    database: Database, server: FakeServer, send_mailing: SendMailing
) -> None:
    make_subscribers(database, 10)
    mailing_id = make_mailing(database)
    stopping = Event()

    class Stopping(SmtpSession):
        def send(self, envelope: SmtpEnvelope, *before_end: Callable[[], None]) -> str:
            if len(server.received) == 3:
                stopping.set()
            return super().send(envelope, *before_end)

    replace(send_mailing, stopping=stopping, open_session=lambda: Stopping(server))(mailing_id)
    assert states(database, mailing_id) == {EmailState.SENT: 4, EmailState.QUEUED: 6}
    assert {row.attempts for row in emails_of(database, mailing_id=mailing_id, state=EmailState.QUEUED)} == {0}
    send_mailing(mailing_id)
    assert reached(server) == addresses(*range(10))
