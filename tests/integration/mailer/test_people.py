"""A person's data: exported and erased. And the commands for it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from services.common import migrations
from services.common.db.engine import Database
from services.common.db.mail import subscribers
from services.common.db.models import Email, Order, Subscriber
from services.common.domain.orders import result_key
from services.common.infra.blobs import BlobStore, MissingBlob
from services.common.people import People
from tests.integration.mailer.conftest import ON_BOTH
from tests.support.mail_factories import make_order, make_subscriber


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    database = Database(f"sqlite:///{tmp_path}/x.db")
    migrations.upgrade(database)
    database.close()
    return os.environ | {
        "IMAGEBLUR_DATABASE_URL": f"sqlite:///{tmp_path}/x.db",
        "IMAGEBLUR_BLOB_URL": str(tmp_path / "blobs"),
        "IMAGEBLUR_SECRET_KEY": "k" * 40,
    }


def command(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


@ON_BOTH
def test_a_persons_data_is_handed_out_and_erased(database: Database, blobs: BlobStore) -> None:
    make_subscriber(database, "ann@example.org")
    make_subscriber(database, "bob@example.org")
    made = make_order(database, blobs, [b"one"], email="Ann@example.org")
    other = make_order(database, blobs, [b"two"], email="bob@example.org")
    people = People(database, blobs)
    exported = json.loads(json.dumps(people.export("ann@example.org")))
    assert exported["subscription"]["state"] == "CONFIRMED"
    (order,) = exported["orders"]
    assert (order["id"], order["email"]) == (str(made.order_id), "Ann@example.org")
    assert order["images"][0]["filename"] == "secret 1.png"
    assert order["deliveries"][0]["requested_at"].endswith("+00:00")
    assert people.erase("ann@example.org") == 1
    with database.read() as session:
        assert list(session.scalars(select(Subscriber.email))) == ["bob@example.org"]
        assert list(session.scalars(select(Order.id))) == [other.order_id]
        assert len(session.scalars(select(Email)).all()) == 1
    with pytest.raises(MissingBlob):
        blobs.get(result_key(made.order_id, 1))
    assert blobs.get(result_key(other.order_id, 1)) == b"two"
    assert people.export("ann@example.org") == {"address": "ann@example.org", "subscription": None, "orders": []}


def test_commands_about_people(environment: dict[str, str], tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/x.db")
    subscriber = make_subscriber(database, "ann@example.org")
    with database.write() as session:
        subscribers.suppress(session, subscriber, "550 5.1.1 unknown")
    ended = command(environment, "services.common.people", "export", "ann@example.org")
    assert json.loads(ended.stdout)["subscription"]["reason"] == "550 5.1.1 unknown"
    assert command(environment, "services.common.people", "lift", "ann@example.org").stdout == "may subscribe again\n"
    ended = command(environment, "services.common.people", "erase", "ann@example.org")
    assert ended.stdout == "subscription gone, 0 orders deleted\n", ended.stderr
    with database.read() as session:
        assert subscribers.get(session, subscriber) is None
    database.close()
