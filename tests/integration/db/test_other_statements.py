"""Migrations, uploads, idempotency, subscribers and mailings, on both databases."""

from importlib.resources import files
from uuid import uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from services.common import migrations
from services.common.db import idempotency, mailings, subscribers, unowned_blobs
from services.common.db.engine import Database
from services.common.db.idempotency import Request
from services.common.db.models import Base, Subscriber
from services.common.errors import ConfigurationError, InvalidArgument


def test_migrations_make_the_tables_of_the_models(database: Database) -> None:
    migrations.check(database)
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_the_revision_that_services_ask_for_is_the_newest() -> None:
    assert ScriptDirectory(str(files(migrations))).get_current_head() == migrations.HEAD


def test_a_database_at_another_revision_is_refused_by_name(database_url: str) -> None:
    database = Database(database_url)
    with pytest.raises(ConfigurationError, match="IMAGEBLUR_DATABASE_URL: the database is at revision none"):
        migrations.check(database)
    database.close()


def test_an_upload_given_up_for_dead_cannot_be_adopted(database: Database) -> None:
    dead, alive = uuid4(), uuid4()
    with database.write() as session:
        unowned_blobs.begin_upload(session, dead)
        unowned_blobs.begin_upload(session, alive)
        assert unowned_blobs.give_up(session, silent_seconds=60, limit=9) == []
        unowned_blobs.abandon(session, dead)
        assert unowned_blobs.give_up(session, silent_seconds=60, limit=9) == [dead]
        assert not unowned_blobs.adopt(session, dead)
        assert unowned_blobs.adopt(session, alive)
        unowned_blobs.removed(session, dead)
        assert unowned_blobs.give_up(session, silent_seconds=0, limit=9) == []


def test_a_silent_upload_is_given_up(database: Database) -> None:
    order_id = uuid4()
    with database.write() as session:
        unowned_blobs.begin_upload(session, order_id)
    with database.write() as session:
        assert unowned_blobs.give_up(session, silent_seconds=-1, limit=9) == [order_id]


def test_a_repeated_request_gets_the_first_answer_and_another_one_is_refused(database: Database) -> None:
    request = Request("me", "BlurOrder", uuid4(), "same")
    first = uuid4()
    with database.write() as session:
        assert idempotency.remember(session, request, first) is None
    with database.write() as session:
        assert idempotency.remember(session, request, uuid4()) == first
        assert idempotency.answered(session, request) == first
    with database.read() as session, pytest.raises(InvalidArgument, match="request_id"):
        idempotency.answered(session, Request("me", "BlurOrder", request.request_id, "other"))


def subscribe(database: Database, email: str, *, confirm: bool = True) -> object:
    with database.write() as session:
        return subscribers.subscribe(session, email=email, email_key=email.casefold(), locale="en", confirm=confirm)


def the_subscriber(database: Database) -> Subscriber:
    with database.read() as session:
        return session.query(Subscriber).one()


def test_one_confirmation_an_hour_whatever_is_asked(database: Database) -> None:
    assert subscribe(database, "A@example.org")
    assert subscribe(database, "a@example.org") is None
    assert the_subscriber(database).state == "PENDING"


def test_confirm_unsubscribe_and_the_old_token(database: Database) -> None:
    subscribe(database, "a@example.org")
    subscriber = the_subscriber(database)
    with database.write() as session:
        assert subscribers.confirm(session, subscriber.id, subscriber.token_version)
        assert subscribers.confirm(session, subscriber.id, subscriber.token_version)
    assert the_subscriber(database).state == "CONFIRMED"
    with database.write() as session:
        subscribers.unsubscribe(session, email_key="a@example.org")
        subscribers.unsubscribe(session, email_key="nobody@example.org")
    assert the_subscriber(database).state == "UNSUBSCRIBED"
    with database.write() as session:
        assert not subscribers.confirm(session, subscriber.id, subscriber.token_version)
    assert subscribe(database, "a@example.org")


def test_a_period_has_one_mailing_and_each_subscriber_one_letter(database: Database) -> None:
    for number in range(5):
        subscribe(database, f"{number}@example.org", confirm=False)
    subscribe(database, "pending@example.org")
    with database.write() as session:
        mailing_id = mailings.insert_mailing(session, period="2026-W48", due_at=0, content="{}")
        assert mailing_id
        assert mailings.insert_mailing(session, period="2026-W48", due_at=0, content="{}") is None
    batches = []
    for _ in range(9):
        with database.write() as session:
            batch = mailings.prepare_batch(session, mailing_id, size=2)
        if batch is None:
            break
        batches.append(batch)
    assert [len(batch) for batch in batches] == [2, 2, 1]
    with database.write() as session:
        assert mailings.prepare_batch(session, mailing_id, size=2) is None
