"""What an operator does at a terminal, over the real servers; and a person's data."""

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
from services.common.infra.broker import Broker
from services.common.people import People
from services.common.use_cases.order_lifecycle import make_lifecycle
from tests.integration.mailer.conftest import ON_BOTH
from tests.integration.mailer.making import make_order, make_subscriber
from tests.support.email_lint import lint
from tests.support.smtp import SmtpSink


@pytest.fixture
def environment(tmp_path: Path, smtp_sink: SmtpSink) -> dict[str, str]:
    database = Database(f"sqlite:///{tmp_path}/x.db")
    migrations.upgrade(database)
    database.close()
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "ru.txt").write_text("Subject: Новости\n\nЗаказов: $orders", "utf-8")
    return os.environ | {
        "IMAGEBLUR_DATABASE_URL": f"sqlite:///{tmp_path}/x.db",
        "IMAGEBLUR_BLOB_URL": str(tmp_path / "blobs"),
        "IMAGEBLUR_SECRET_KEY": "k" * 40,
        "IMAGEBLUR_SMTP_PORT": str(smtp_sink.port),
        "IMAGEBLUR_MAILING_TEXT_DIR": str(texts),
        "IMAGEBLUR_PUBLIC_URL": "https://blur.example.org",
    }


def command(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_a_check_tells_the_conversation_and_explains_it(environment: dict[str, str], smtp_sink: SmtpSink) -> None:
    ended = command(environment, "services.mailer", "check", "me@example.org")
    assert ended.returncode == 0, ended.stderr
    assert lint(smtp_sink.received[0].content)["Subject"] == "ImageBlur can send mail"
    lines = ended.stdout.splitlines()
    assert "! IMAGEBLUR_MAIL_FROM: e-mails come from 'localhost', a domain that other servers refuse" in lines
    assert "> rcpt TO:<(address)>" in lines
    assert any(line.startswith("    354 ") and line.endswith("-- it waits for the e-mail") for line in lines)
    assert lines[-1] == "taken: 250 2.0.0 kept"


def test_a_check_that_fails_says_why(environment: dict[str, str], smtp_sink: SmtpSink) -> None:
    smtp_sink.refuse({"me@example.org": "550 5.7.1 relaying denied"})
    ended = command(environment, "services.mailer", "check", "me@example.org")
    assert ended.returncode == 1
    assert "550 5.7.1 relaying denied  -- not allowed: this server does not relay" in ended.stdout
    assert ended.stdout.splitlines()[-1] == "NOT taken: 550 5.7.1 relaying denied"
    assert not smtp_sink.received
    smtp_sink.close()
    ended = command(environment, "services.mailer", "check", "me@example.org")
    assert "NOT taken: [Errno" in ended.stdout


def test_a_mailing_is_looked_at_and_tried_before_it_goes_out(
    environment: dict[str, str], smtp_sink: SmtpSink, tmp_path: Path
) -> None:
    ended = command(environment, "services.mailer", "preview-mailing", str(tmp_path / "preview"))
    assert ended.returncode == 0, ended.stderr
    assert "ru: Новости" in ended.stdout
    assert "Заказов: 0" in (tmp_path / "preview" / "mailing.ru.txt").read_text("utf-8")
    assert "<h1" in (tmp_path / "preview" / "mailing.en.html").read_text("utf-8")
    assert smtp_sink.attempts == 0
    ended = command(environment, "services.mailer", "test-mailing", "me@example.org", "--locale", "ru")
    assert ended.returncode == 0, ended.stderr
    message = lint(smtp_sink.received[0].content)
    assert message["Subject"] == "Новости"
    assert message["List-Unsubscribe"].startswith("<https://blur.example.org/unsubscribe?token=")


@ON_BOTH
def test_a_persons_data_is_handed_out_and_erased(database: Database, blobs: BlobStore, queues: Broker) -> None:
    make_subscriber(database, "ann@example.org")
    make_subscriber(database, "bob@example.org")
    made = make_order(database, blobs, [b"one"], email="Ann@example.org")
    other = make_order(database, blobs, [b"two"], email="bob@example.org")
    people = People(database, make_lifecycle(database, blobs, queues, window=1))
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
