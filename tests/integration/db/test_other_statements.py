"""Migrations, uploads, idempotency, subscribers and mailings, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text, update
from sqlalchemy.schema import CreateIndex

from services.common import migrations
from services.common.db import revision
from services.common.db.engine import Database
from services.common.db.mail import batches, emails, mailings, subscribers
from services.common.db.models import Base, Email, Mailing, OperatorJob, Subscriber
from services.common.db.operators import operator_jobs
from services.common.db.operators.operator_jobs import JobAnswer, JobStatus
from services.common.db.queues import outbox
from services.common.domain.errors import ConfigurationError
from services.common.domain.retries import MAX_EMAIL_ATTEMPTS
from services.common.infra.messaging.messages import OperatorJobKind
from tests.support.postgres import PostgresServer


def test_migrations_make_the_tables_of_the_models(database: Database) -> None:
    migrations.check(database)
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
        if database.is_sqlite:  # PostgreSQL writes the conditions anew
            made = {_words(sql) for sql in connection.scalars(text("SELECT sql FROM sqlite_master")) if sql}
            indices = [index for table in Base.metadata.tables.values() for index in table.indexes]
            assert {_words(str(CreateIndex(index).compile(database.engine))) for index in indices} <= made


def _words(sql: str) -> str:
    return " ".join(sql.replace('"', "").split())


def test_the_revision_that_services_ask_for_is_the_newest() -> None:
    assert ScriptDirectory(str(files(migrations))).get_current_head() == revision.HEAD


def test_a_start_sees_whether_there_is_something_to_migrate(tmp_path: Path) -> None:
    path = tmp_path / "a folder?" / "imageblur.db"
    assert not revision.is_current(path)
    assert not path.exists()
    path.parent.mkdir()
    path.write_bytes(b"no database" * 100)
    assert not revision.is_current(path)
    path.unlink()
    database = Database(f"sqlite:///{tmp_path / 'imageblur.db'}")
    for upgrade_to in (None, "0021", revision.HEAD):
        if upgrade_to:
            migrations.upgrade(database, upgrade_to)
        assert revision.is_current(tmp_path / "imageblur.db") == (upgrade_to == revision.HEAD)
    database.close()


def test_a_database_at_another_revision_is_refused_by_name(empty_database: Database) -> None:
    with pytest.raises(ConfigurationError, match="IMAGEBLUR_DATABASE_URL: the database is at revision none"):
        migrations.check(empty_database)


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_cannot_store_every_name_is_refused_in_a_sentence(
    postgres_server: PostgresServer, encoding: str
) -> None:
    url = postgres_server.create_database(encoding)
    database = Database(url)
    try:
        for use in (migrations.upgrade, migrations.check):
            with pytest.raises(ConfigurationError, match=f"the database has the encoding {encoding}"):
                use(database)
    finally:
        database.close()
        postgres_server.drop_database(url)


def test_an_upgrade_keeps_emails_and_goes_on_with_a_mailing_that_was_being_prepared(empty_database: Database) -> None:
    migrations.upgrade(empty_database, "0002")
    mailing, first, second, email = (uuid4().hex for _ in range(4))
    with empty_database.engine.connect() as connection:
        for subscriber in (first, second):
            connection.execute(
                text(
                    "INSERT INTO subscribers (id, email_key, email, locale, state, token_version)"
                    f" VALUES ('{subscriber}', '{subscriber}', '{subscriber}@example.org', 'en', 'CONFIRMED', 1)"
                )
            )
        cursor = min(first, second)
        connection.execute(
            text(
                "INSERT INTO mailings (id, period, state, content, due_at, cursor_id, enqueued_at, created_at)"
                f" VALUES ('{mailing}', '2026-W47', 'PREPARING', '{{}}', 1, '{cursor}', 1, 1)"
            )
        )
        connection.execute(
            text(
                "INSERT INTO letters"
                " (id, kind, part, mailing_id, subscriber_id, state, attempts, not_before, enqueued_at)"
                f" VALUES ('{email}', 'WEEKLY', 1, '{mailing}', '{cursor}', 'QUEUED', 0, 0, 1)"
            )
        )
        connection.commit()
    migrations.upgrade(empty_database)
    with empty_database.write() as session:
        batch = batches.claim_batch(session, UUID(mailing), size=9, lease_seconds=60)
    assert batch
    assert {recipient.claim.email_id.hex == email for recipient in batch.recipients} == {True, False}
    assert {recipient.claim.subscriber_id for recipient in batch.recipients} == {UUID(first), UUID(second)}
    with empty_database.write() as session:
        assert not outbox.enqueue_due_emails(session, limit=9)


def subscribe(database: Database, email: str, *, confirm: bool = True) -> object:
    with database.write() as session:
        return subscribers.subscribe(session, email=email, email_key=email.casefold(), locale="en", confirm=confirm)


def the_subscriber(database: Database) -> Subscriber:
    with database.read() as session:
        return session.query(Subscriber).one()


def test_a_period_has_one_mailing_and_each_subscriber_one_email(database: Database) -> None:
    for number in range(5):
        subscribe(database, f"{number}@example.org", confirm=False)
    subscribe(database, "pending@example.org")
    with database.write() as session:
        mailing_id = mailings.insert_mailing(session, period="2026-W48", due_at=0, content="{}")
        assert mailing_id
        assert mailings.insert_mailing(session, period="2026-W48", due_at=0, content="{}") is None
    claimed = []
    for _ in range(9):
        with database.write() as session:
            batch = batches.claim_batch(session, mailing_id, size=2, lease_seconds=60)
        if batch is None:
            break
        claimed.append(batch)
    assert [len(batch.recipients) for batch in claimed] == [2, 2, 1]
    assert len({recipient.claim.subscriber_id for batch in claimed for recipient in batch.recipients}) == 5
    with database.write() as session:
        assert batches.claim_batch(session, mailing_id, size=2, lease_seconds=60) is None


def test_many_subscribe_a_new_address_at_once(database: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        emails_due = list(pool.map(lambda _: subscribe(database, "new@example.org"), range(16)))
    assert sum(email is not None for email in emails_due) == 1
    assert the_subscriber(database).state == "PENDING"


def test_a_mailing_whose_last_emails_end_at_once_is_ended_by_the_sweep(database: Database) -> None:
    subscribe(database, "a@example.org", confirm=False)
    with database.write() as session:
        mailing_id = mailings.insert_mailing(session, period="2026-W48", due_at=0, content="{}")
        assert mailing_id
        batch = batches.claim_batch(session, mailing_id, size=2, lease_seconds=60)
        assert batch
    with database.write() as session:
        mailings.finish_mailings(session)
        assert session.get_one(Mailing, mailing_id).state == "SENDING"
    with database.write() as session:
        # As two transactions leave it that each saw the other's e-mail open.
        ended = {"state": "SENT", "owner": None, "lease_until": None}
        session.execute(update(Email).where(Email.id == batch.recipients[0].claim.email_id).values(**ended))
    with database.write() as session:
        mailings.finish_mailings(session)
    with database.read() as session:
        assert session.get_one(Mailing, mailing_id).state == "DONE"


def test_a_email_that_kills_its_mailers_is_given_up(database: Database) -> None:
    email_id = subscribe(database, "a@example.org")
    assert isinstance(email_id, UUID)
    for _ in range(MAX_EMAIL_ATTEMPTS):
        with database.write() as session:
            claimed = emails.claim_email(session, email_id, lease_seconds=-1)
        assert claimed
        with database.write() as session:
            assert emails.release_expired(session, claimed)
        with database.write() as session:
            assert emails.claim_email(session, email_id, lease_seconds=60) is None, "a repeated message comes too early"
        with database.write() as session:
            outbox.enqueue_due_emails(session, limit=9)
    with database.read() as session:
        assert session.get_one(Email, email_id).state == "FAILED"


def test_an_operator_job_is_taken_once_and_forgotten_when_nobody_waits(database: Database) -> None:
    with database.write() as session:
        asked, withdrawn, old = (
            operator_jobs.insert_job(session, OperatorJobKind.CHECK_MAIL, {"address": "a"}) for _ in range(3)
        )
        session.execute(update(OperatorJob).where(OperatorJob.id == old).values(created_at=1))
    with database.write() as session:
        assert operator_jobs.delete_job(session, withdrawn)
        assert operator_jobs.claim_job(session, withdrawn) is None
        task = operator_jobs.claim_job(session, asked)
        assert task
        assert (task.kind, task.values) == (OperatorJobKind.CHECK_MAIL, {"address": "a"})
        assert operator_jobs.claim_job(session, asked) is None
        assert operator_jobs.get_status(session, asked) == JobStatus(claimed=True)
        answer = JobAnswer(refused=False, values={"taken": True})
        operator_jobs.finish_job(session, asked, answer)
        assert operator_jobs.get_status(session, asked) == JobStatus(claimed=True, answer=answer)
        operator_jobs.delete_abandoned(session)
        assert operator_jobs.get_status(session, old) == JobStatus(claimed=False)
        assert not operator_jobs.delete_job(session, asked), "it was begun"
        assert session.query(OperatorJob).count() == 0
