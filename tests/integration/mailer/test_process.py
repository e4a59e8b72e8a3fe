"""The mailer as a process, set by environment variables."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.common import migrations
from services.common.db.engine import Database
from services.common.infra.blobs import BlobStore
from services.common.infra.messaging.broker import Broker
from services.common.infra.messaging.messages import send_email, send_mailing
from services.mailer.sending.send_mailing import BATCH_SIZE
from tests.support.mail_factories import email, mailing, make_mailing, make_order, make_subscriber, make_subscribers
from tests.support.smtp import HANG, SmtpSink
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
        "IMAGEBLUR_UNCONFIRMED_ADDRESSES": "results",
        "IMAGEBLUR_SMTP_TIMEOUT_SECONDS": "60",
    }


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/x.db")
    migrations.upgrade(database)
    yield database
    database.close()


def test_it_sends_until_sigterm(
    made: Database, blobs: BlobStore, queues: Broker, environment: dict[str, str], smtp_sink: SmtpSink
) -> None:
    order = make_order(made, blobs, [b"one"])
    make_subscriber(made, "eve@example.org")
    mailing_id = make_mailing(made)
    with subprocess.Popen([sys.executable, "-m", "services.mailer"], env=environment, stderr=subprocess.PIPE) as mailer:
        try:
            queues.send([send_email(order.email_id), send_mailing(mailing_id)])
            smtp_sink.wait_received(2)
            eventually(lambda: mailing(made, mailing_id).state == "DONE")
            eventually(lambda: email(made, order.email_id).state == "SENT")
            mailer.send_signal(signal.SIGTERM)
            _, log = mailer.communicate(timeout=60)
        finally:
            mailer.kill()
    assert mailer.returncode == 0
    assert b"ready" in log
    assert b"@example.org" not in log, "addresses are not logged"


def test_an_order_email_does_not_wait_for_a_mailing_that_hangs(
    made: Database, blobs: BlobStore, queues: Broker, environment: dict[str, str], smtp_sink: SmtpSink
) -> None:
    make_subscribers(made, 3 * BATCH_SIZE)
    for number in range(3 * BATCH_SIZE):
        smtp_sink.reply_to(f"s{number}@example.org", HANG)
    mailing_id = make_mailing(made)
    order = make_order(made, blobs, [b"one"])
    environment |= {"IMAGEBLUR_MAILER_THREADS": "1"}
    with subprocess.Popen([sys.executable, "-m", "services.mailer"], env=environment, start_new_session=True) as mailer:
        try:
            # More messages than the mailer has threads for mailings: they must not take the one for other e-mails.
            queues.send(send_mailing(mailing_id) for _ in range(4))
            eventually(lambda: smtp_sink.attempts == 2)
            queues.send([send_email(order.email_id)])
            eventually(lambda: smtp_sink.to("ann@example.org"))
            assert smtp_sink.attempts == 3, "a mailing has as many connections as are set"
        finally:
            os.killpg(mailer.pid, signal.SIGKILL)  # not its main alone: it would wait for the e-mails that hang


def test_on_sigterm_it_gives_up_what_was_not_sent_whole_and_waits_for_replies_to_what_was(
    made: Database, blobs: BlobStore, queues: Broker, environment: dict[str, str], smtp_sink: SmtpSink
) -> None:
    begun, whole = (make_order(made, blobs, [b"one"], email=f"{name}@example.org") for name in ("begun", "whole"))
    release = threading.Event()
    smtp_sink.hold_rcpt("begun@example.org")
    smtp_sink.hold_data("whole@example.org", release)
    with subprocess.Popen(
        [sys.executable, "-m", "services.mailer"], env=environment | {"IMAGEBLUR_SMTP_ACCEPT_SECONDS": "60"}
    ) as mailer:
        try:
            queues.send([send_email(begun.email_id), send_email(whole.email_id)])
            eventually(lambda: smtp_sink.held == 2)
            mailer.send_signal(signal.SIGTERM)
            eventually(lambda: email(made, begun.email_id).state == "QUEUED")
            assert email(made, begun.email_id).attempts == 0, "it counts as no attempt"
            assert mailer.poll() is None
            release.set()
            assert mailer.wait(timeout=60) == 0
        finally:
            mailer.kill()
    assert email(made, whole.email_id).state == "SENT"
    assert [received.recipients for received in smtp_sink.received] == [("whole@example.org",)]


def test_it_does_not_start_on_a_database_of_another_version(environment: dict[str, str]) -> None:
    ended = subprocess.run([sys.executable, "-m", "services.mailer"], env=environment, capture_output=True, check=False)
    assert ended.returncode == os.EX_CONFIG
    assert b"IMAGEBLUR_DATABASE_URL: the database is at revision none" in ended.stderr
    assert b"Traceback" not in ended.stderr
