from uuid import uuid4

from sqlalchemy import select, update

from services.common.db.clock import SECOND, now
from services.common.db.engine import Database
from services.common.db.mail import emails
from services.common.db.mail.emails import EmailClaim, SendDecision
from services.common.db.models import Email
from services.common.infra.blobs import BlobStore
from services.common.infra.messaging.broker import Broker
from services.mailer.sending.leases import RenewEmailLeases
from services.scheduler.expired_leases import ExpiredLeases
from services.scheduler.sweep import Sweep
from tests.integration.mailer.conftest import ON_BOTH, MakeMailer
from tests.support.mail_factories import email, emails_of, make_order


def claimed(database: Database, blobs: BlobStore, *, lease_seconds: float) -> EmailClaim:
    made = make_order(database, blobs, [b"one"])
    with database.write() as session:
        claim = emails.claim_email(session, made.email_id, lease_seconds=lease_seconds)
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
    RenewEmailLeases(database)([short.owner, long.owner, uuid4()])
    assert 40 < seconds_left(database, short) <= 68
    assert 70 < seconds_left(database, long) <= 100


@ON_BOTH
def test_a_lost_lease_is_not_extended(database: Database, blobs: BlobStore) -> None:
    claim = claimed(database, blobs, lease_seconds=1)
    with database.write() as session:
        session.execute(update(Email).values(owner=uuid4()))
    with database.write() as session:
        assert emails.confirm_claim(session, claim, lease_seconds=60) is SendDecision.LOST
        assert emails.insert_missing_parts(session, claim, 3) == []
    assert len(emails_of(database, delivery_id=claim.delivery_id)) == 1


def test_parts_and_leases_are_left_alone_once_an_email_was_sent(
    database: Database, blobs: BlobStore, queues: Broker, make_mailer: MakeMailer
) -> None:
    claim = claimed(database, blobs, lease_seconds=60)
    with database.write() as session:
        assert emails.finish_sent(session, claim, smtp_reply="250 kept")
    RenewEmailLeases(database)([claim.owner])
    make_mailer()(claim.email_id)
    assert email(database, claim.email_id).lease_until is None
    assert len(queues.subjects("mail")) == 0


@ON_BOTH
def test_a_clock_that_jumps_takes_no_email_from_a_mailer_that_lives(
    database: Database, blobs: BlobStore, queues: Broker
) -> None:
    """All leases run out at once; those of living mailers are renewed before the sweep gives them up."""
    clock = 100.0
    sweep = Sweep(database, blobs, queues, window=1, expired_leases=ExpiredLeases(4.0, lambda: clock))
    living, dead = (claimed(database, blobs, lease_seconds=60) for _ in range(2))
    with database.write() as session:
        session.execute(update(Email).values(lease_until=now() - 3600 * SECOND))
    sweep.emails()
    assert {email(database, claim.email_id).state for claim in (living, dead)} == {"SENDING"}
    RenewEmailLeases(database)([living.owner])
    clock += 4.0
    sweep.emails()
    assert email(database, living.email_id).owner == living.owner
    assert email(database, dead.email_id).owner is None
