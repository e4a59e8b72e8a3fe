from uuid import uuid4

import pytest
from sqlalchemy import select, update

from services.common.db.clock import SECOND, now
from services.common.db.engine import Database
from services.common.db.mail import emails
from services.common.db.mail.emails import EmailClaim
from services.common.db.models import Email
from services.common.domain.errors import Unavailable
from services.common.infra.blobs import BlobStore
from services.common.infra.broker import Broker
from services.mailer.smtp.sender import Envelope
from services.mailer.use_cases import RenewLeases
from tests.integration.mailer.conftest import ON_BOTH, MakeMailer
from tests.integration.mailer.making import email, emails_of, make_order


def claimed(database: Database, blobs: BlobStore, *, lease_seconds: float) -> EmailClaim:
    made = make_order(database, blobs, [b"one"])
    with database.write() as session:
        claim = emails.claim(session, made.email_id, lease_seconds=lease_seconds)
    assert claim
    return claim


def seconds_left(database: Database, claim: EmailClaim) -> float:
    with database.read() as session:
        left = session.scalar(select(Email.lease_until - now()).where(Email.id == claim.email_id))
    assert left is not None
    return left / SECOND


@ON_BOTH
def test_a_lease_is_renewed_and_never_made_shorter(database: Database, blobs: BlobStore) -> None:
    short, long = (claimed(database, blobs, lease_seconds=seconds) for seconds in (1, 100))
    RenewLeases(database)([short.owner, long.owner, uuid4()])
    assert 5 < seconds_left(database, short) <= 8
    assert 90 < seconds_left(database, long) <= 100


@ON_BOTH
def test_a_lost_lease_is_not_extended(database: Database, blobs: BlobStore) -> None:
    claim = claimed(database, blobs, lease_seconds=1)
    with database.write() as session:
        session.execute(update(Email).values(owner=uuid4()))
    with database.write() as session:
        assert not emails.extend(session, claim, lease_seconds=60)
        assert emails.insert_parts(session, claim, 3) == []
    assert len(emails_of(database, delivery_id=claim.delivery_id)) == 1


def test_while_a_email_goes_out_its_lease_outlasts_the_deadline(
    database: Database, blobs: BlobStore, make_mailer: MakeMailer
) -> None:
    made = make_order(database, blobs, [b"one"])
    left: list[float] = []

    class Watching:
        def send(self, envelope: Envelope) -> str:
            del envelope
            with database.read() as session:
                left.append((session.scalar(select(Email.lease_until - now())) or 0) / SECOND)
            return "250 kept"

    make_mailer(sender=Watching())(made.email_id)
    assert left[0] > 10, "the deadline is 10 s"


def test_a_short_absence_of_the_database_does_not_repeat_a_email(
    database: Database, blobs: BlobStore, make_mailer: MakeMailer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_order(database, blobs, [b"one"])
    recording = emails.sent
    failures = [Unavailable("the database cannot be reached")] * 2

    def sent(*arguments: object, **options: object) -> bool:
        if failures:
            raise failures.pop()
        return recording(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(emails, "sent", sent)
    make_mailer()(made.email_id)
    assert email(database, made.email_id).state == "SENT"


def test_parts_and_leases_are_left_alone_once_a_email_was_sent(
    database: Database, blobs: BlobStore, queues: Broker, make_mailer: MakeMailer
) -> None:
    claim = claimed(database, blobs, lease_seconds=60)
    with database.write() as session:
        assert emails.sent(session, claim, smtp_reply="250 kept")
    RenewLeases(database)([claim.owner])
    make_mailer()(claim.email_id)
    assert email(database, claim.email_id).lease_until is None
    assert len(queues.subjects("mail")) == 0


class _Hours:
    """A clock by which each look takes an hour."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 3600
        return self.now

    def sleep(self, _: float) -> None:
        """Does not."""


def test_what_was_sent_is_recorded_however_long_the_database_is_away(
    database: Database, blobs: BlobStore, make_mailer: MakeMailer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_order(database, blobs, [b"one"])
    recording = emails.sent
    failures = [Unavailable("the database cannot be reached")] * 12

    def sent(*arguments: object, **options: object) -> bool:
        if failures:
            raise failures.pop()
        return recording(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(emails, "sent", sent)
    monkeypatch.setattr("services.common.db.engine.time", _Hours())
    make_mailer()(made.email_id)
    assert email(database, made.email_id).state == "SENT"
