"""The mailer as it is run: a process of its own, told by its environment."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.common import migrations
from services.common.blobs import BlobStore
from services.common.broker import Broker
from services.common.db.engine import Database
from services.common.messages import send_letter, send_mailing
from tests.integration.mailer.making import letter, mailing, make_mailing, make_order, make_subscriber
from tests.support.smtp import SmtpSink
from tests.support.valkey import ValkeyServer
from tests.support.waiting import eventually


@pytest.fixture
def environment(tmp_path: Path, valkey_server: ValkeyServer, smtp_sink: SmtpSink) -> dict[str, str]:
    return os.environ | {
        "IMAGEBLUR_DATABASE_URL": f"sqlite:///{tmp_path}/x.db",
        "IMAGEBLUR_BROKER_URL": valkey_server.url,
        "IMAGEBLUR_BLOB_URL": str(tmp_path / "blobs"),
        "IMAGEBLUR_SECRET_KEY": "k" * 40,
        "IMAGEBLUR_SMTP_PORT": str(smtp_sink.port),
        "IMAGEBLUR_SMTP_TIMEOUT_SECONDS": "5",
    }


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/x.db")
    migrations.upgrade(database)
    yield database
    database.close()


def test_it_sends_until_it_is_told_to_stop(
    made: Database, blobs: BlobStore, queues: Broker, environment: dict[str, str], smtp_sink: SmtpSink
) -> None:
    order = make_order(made, blobs, [b"one"])
    make_subscriber(made, "eve@example.org")
    mailing_id = make_mailing(made)
    with subprocess.Popen([sys.executable, "-m", "services.mailer"], env=environment, stderr=subprocess.PIPE) as mailer:
        try:
            queues.send([send_letter(order.letter_id), send_mailing(mailing_id)])
            smtp_sink.wait_received(2, within=20)
            eventually(lambda: mailing(made, mailing_id).state == "DONE")
            eventually(lambda: letter(made, order.letter_id).state == "SENT")
            mailer.send_signal(signal.SIGTERM)
            _, said = mailer.communicate(timeout=20)
        finally:
            mailer.kill()
    assert mailer.returncode == 0
    assert b"ready" in said
    assert b"@example.org" not in said, "addresses do not belong into logs"


def test_it_does_not_start_on_a_database_of_another_version(environment: dict[str, str]) -> None:
    ended = subprocess.run([sys.executable, "-m", "services.mailer"], env=environment, capture_output=True, check=False)
    assert ended.returncode == os.EX_CONFIG
    assert b"IMAGEBLUR_DATABASE_URL: the database is at revision none" in ended.stderr
    assert b"Traceback" not in ended.stderr
