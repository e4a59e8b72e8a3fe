"""A mailing while the broker refuses writes: it goes on by itself, and nobody gets an e-mail twice."""

import time
from collections import Counter
from collections.abc import Callable, Iterator

import dramatiq
import pytest

from services.common.db.engine import Database
from services.common.infra.blobs import BlobStore
from services.common.infra.messaging import dramatiq_private as private
from services.common.infra.messaging.broker import Broker
from services.common.infra.messaging.dramatiq_worker import RESTART_DELAY_SECONDS
from services.common.infra.messaging.messages import MAILING_QUEUE
from services.mailer.actors import register
from services.scheduler.sweep import Sweep
from tests.integration.mailer.conftest import MakeBulkMailer
from tests.support.mail_factories import mailing, make_mailing, make_subscribers
from tests.support.smtp import SmtpSink
from tests.support.valkey import REFUSALS, Refusal, ValkeyServer

CONNECTIONS = 2


@pytest.fixture
def worker(queues: Broker, make_bulk_mailer: MakeBulkMailer) -> Iterator[dramatiq.Worker]:
    """A worker that sends mailings as the mailer does, in batches of five."""
    before = dramatiq.worker.CONSUMER_RESTART_DELAY_SECS, dramatiq.worker.POST_PROCESS_MESSAGE_RETRY_DELAY_SECS
    private.set_restart_delay(RESTART_DELAY_SECONDS)
    send = make_bulk_mailer(batch_size=5, connections=CONNECTIONS)
    register(queues, send_email=print, send_mailing=send, run_operator_job=print, send_webhook=print)
    worker = dramatiq.Worker(queues, queues={MAILING_QUEUE}, worker_threads=CONNECTIONS, worker_timeout=100)
    worker.queue_prefetch = CONNECTIONS
    worker.start()
    yield worker
    worker.stop()
    dramatiq.worker.CONSUMER_RESTART_DELAY_SECS, dramatiq.worker.POST_PROCESS_MESSAGE_RETRY_DELAY_SECS = before


@pytest.fixture
def sweep(database: Database, blobs: BlobStore, queues: Broker) -> Sweep:
    return Sweep(database, blobs, queues, window=1, mailing_connections=CONNECTIONS)


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_mailing_goes_on_after_the_broker_has_refused_writes(
    database: Database, sweep: Sweep, valkey_server: ValkeyServer, smtp_sink: SmtpSink, refusal: Refusal
) -> None:
    make_subscribers(database, 60)
    mailing_id = make_mailing(database)
    sweep.mailings()
    smtp_sink.wait_received(10)
    with valkey_server.refusing_writes(refusal):
        _poll(sweep, lambda: False, within=1.5)
    _poll(sweep, lambda: mailing(database, mailing_id).state == "DONE", within=90)
    assert mailing(database, mailing_id).state == "DONE"
    reached = Counter(received.recipients[0] for received in smtp_sink.received)
    assert reached == Counter(f"s{number}@example.org" for number in range(60))


def _poll(sweep: Sweep, done: Callable[[], bool], within: float) -> None:
    end = time.monotonic() + within
    while time.monotonic() < end and not done():
        sweep.mailings()
        time.sleep(0.3)
