"""Every job of the scheduler, and every command that changes the database, is recorded or has a reason why not."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from unittest.mock import Mock
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, update

from services.common import migrations
from services.common.db.engine import Database
from services.common.db.models import AuditEntry, Image, Installation, Order
from services.common.infra.blobs import BlobStore
from services.common.infra.messaging.broker import Broker
from services.scheduler.jobs import schedule
from services.scheduler.start_mailings import StartMailings
from services.scheduler.sweep import Sweep
from services.scheduler.weekly_hour import WeeklyHour
from tests.support.factories import new_images, place_order

SERVICES = Path(__file__).parents[2] / "services"
RECORDED = {"originals", "expiry", "weekly mailing", "scheduled mailings"}
NOT_RECORDED = {
    "images": "hands work that a worker has lost to another one",
    "emails": "as images",
    "webhooks": "as images",
    "mailings": "ends mailings whose e-mails have all ended: the mailing's row has the time",
    "blobs without an order": "removes what no order owns any more; the deletion of the order is recorded",
    "blobs of ended images": "as above",
    "uploads": "removes uploads that were never completed: there was no order",
    "backlog": "only measures",
    "activity": "only summarizes",
    "times": "corrects times from before the clock was set back: what is due becomes due",
}
COMMANDS = {
    "services.common.migrations": "recorded: MigrateDatabase",
    "services.gateway create-key": "recorded: CreateApiKey",
    "services.common.infra.health_probe": "only asks",
    "services.blur_worker.child.engine_server": "runs child processes of blur workers",
    "services.stack.readiness": "only asks",
    "services.stack.demo": "a client: its calls are recorded",
    "services.stack.embedded.mailbox": "the mailbox of one machine",
    "services.stack.thread_runner": "runs services",
    "services.common.backup": "copies the database and changes nothing in it",
    **dict.fromkeys(
        (f"services.{name}" for name in ("gateway", "web", "scheduler", "mailer", "blur_worker", "stack")),
        "a service: its calls and jobs are recorded",
    ),
}


class SilentBroker:
    """Takes messages and has none."""

    def send(self, _messages: object) -> None:
        pass

    def announce(self, *_order_ids: UUID, ended: bool = False) -> None:
        pass

    def subjects(self, _queue: str) -> list[str]:
        return []


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    database = Database(sqlite_url)
    yield database
    database.close()


def entries(database: Database) -> list[tuple[str, str, str]]:
    with database.read() as session:
        found = session.scalars(select(AuditEntry).order_by(AuditEntry.created_at)).all()
    return [(entry.principal, entry.action, entry.subject) for entry in found]


def test_every_job_is_recorded_or_has_a_reason() -> None:
    scheduler = schedule(cast("Sweep", Mock()), cast("StartMailings", Mock()), sweep_seconds=5)
    assert {job.id for job in scheduler.get_jobs()} == RECORDED | NOT_RECORDED.keys()


def test_every_command_is_recorded_or_has_a_reason() -> None:
    packages = {
        f"services.{path.parent.relative_to(SERVICES)}".replace("/", ".") for path in SERVICES.rglob("__main__.py")
    }
    with_main = {
        f"services.{path.relative_to(SERVICES).with_suffix('')}".replace("/", ".")
        for path in SERVICES.rglob("*.py")
        if path.name != "__main__.py"
        and re.search(r'^if __name__ == "__main__":', path.read_text("utf-8"), re.MULTILINE)
    }
    assert packages | with_main <= COMMANDS.keys()


def test_the_scheduler_records_what_it_expires_and_removes(
    database: Database, blobs: BlobStore, queues: Broker
) -> None:
    sweep = Sweep(database, blobs, queues, window=10)
    sweep.expired()
    sweep.originals()
    assert entries(database) == []
    for _ in range(2):
        place_order(database, new_images(count=1), originals_seconds=60)
    with database.write() as session:
        session.execute(update(Image).values(state="SUCCEEDED", finished_at=1, format="JPEG"))
        session.execute(update(Order).values(state="SUCCEEDED", finished_at=1, succeeded=1, originals_until=1))
    sweep.originals()
    with database.write() as session:
        session.execute(update(Order).values(expires_at=1))
    sweep.expired()
    assert entries(database) == [("scheduler", "DeleteOriginals", "orders"), ("scheduler", "ExpireOrders", "orders")]


def test_the_scheduler_records_the_mailing_of_the_week(database: Database) -> None:
    broker: Any = SilentBroker()
    with database.write() as session:
        session.execute(update(Installation).values(installed_at=0))
    mailings = StartMailings(database, cast("Broker", broker), WeeklyHour("mon", 12, ZoneInfo("UTC")))
    monday = datetime(2026, 11, 30, 13, tzinfo=UTC)
    mailing_id = mailings.start_weekly(monday)
    mailings.start_weekly(monday)
    assert entries(database) == [("scheduler", "StartMailing", f"mailings/{mailing_id}")]


def test_a_migration_is_recorded_but_not_the_making_of_a_database(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/{uuid4()}.db")
    migrations.upgrade(database, "0021")
    assert entries(database) == []
    migrations.upgrade(database)
    migrations.upgrade(database)
    assert entries(database) == [("command line", "MigrateDatabase", "database")]
    database.close()


def test_the_first_key_is_recorded(sqlite_url: str) -> None:
    command = [sys.executable, "-m", "services.gateway", "create-key", "Ada"]
    environment = {**os.environ, "IMAGEBLUR_DATABASE_URL": sqlite_url}
    subprocess.run(command, check=True, capture_output=True, env=environment, timeout=60)
    database = Database(sqlite_url)
    ((principal, action, subject),) = entries(database)
    assert (principal, action) == ("command line", "CreateApiKey")
    assert subject.startswith("apiKeys/")
    database.close()
