"""Events of orders, posted to real TLS servers: what arrives, how often, and what is recorded."""

import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from imageblur_client import WebhookVerificationError, verify_webhook
from sqlalchemy import select, update

from services.common.db.clock import SECOND, now
from services.common.db.engine import Database
from services.common.db.models import Image, Order, WebhookEvent, WebhookSecret
from services.common.db.orders import image_claims, image_outcomes, orders
from services.common.db.orders.image_outcomes import Failure, Success
from services.common.db.webhooks import events, secrets
from services.common.domain.addresses import parse_networks
from services.common.domain.errors import Reason
from services.common.domain.webhooks import WebhookState
from services.common.infra.blobs import BlobStore
from services.common.infra.leases import Leases
from services.common.infra.messaging.broker import Broker
from services.common.infra.messaging.messages import WEBHOOK_QUEUE
from services.common.infra.outbound.connect import GuardedConnect
from services.common.infra.outbound.host_shares import HostShares
from services.common.infra.outbound.https import HttpsClient
from services.common.infra.signing.webhook_secrets import WebhookSecrets
from services.common.use_cases.after_commit import AfterCommit
from services.common.use_cases.order_lifecycle import make_lifecycle
from services.mailer.webhooks.send_webhook import RenewWebhookLeases, SendWebhook
from services.scheduler.sweep import Sweep
from tests.integration.mailer.conftest import ON_BOTH
from tests.support.certificates import Authority
from tests.support.factories import end_retention, place_order
from tests.support.https import HttpsServer, answer, hang

SECRETS = WebhookSecrets("k" * 40)
RESULT = Success(size=1, sha256="ab" * 32, width=8, height=8, format="PNG")
MakeSender = Callable[..., SendWebhook]


@pytest.fixture
def receiver(authority: Authority) -> Iterator[HttpsServer]:
    with HttpsServer(authority) as server:
        yield server


@pytest.fixture
def make_sender(database: Database, queues: Broker, authority: Authority) -> MakeSender:
    def make(*, allowed: str = "127.0.0.1/32", seconds: float = 30, connections: int = 4) -> SendWebhook:
        return SendWebhook(
            database=database,
            after_commit=AfterCommit(database=database, broker=queues),
            leases=Leases(RenewWebhookLeases(database)),
            client=HttpsClient(
                connect=GuardedConnect(allowed=parse_networks(allowed)),
                tls=ssl.create_default_context(cafile=str(authority.roots)),
            ),
            secrets=SECRETS,
            hosts=HostShares(connections),
            seconds=seconds,
        )

    return make


@pytest.fixture
def sweep(database: Database, queues: Broker, blobs: BlobStore) -> Sweep:
    return Sweep(database, blobs, queues, window=10)


def finish(database: Database, image_id: UUID, outcome: Success | Failure = RESULT) -> list[UUID]:
    """End an image as a worker does; return the events to enqueue."""
    with database.write() as session:
        claim = image_claims.claim(session, image_id, lease_seconds=60)
        assert claim
        ended = image_outcomes.finish(session, claim, outcome, window=10)
    assert ended
    return list(ended.follow_up.webhook_event_ids)


def end_order(database: Database, url: str, **values: Any) -> UUID:
    """Place an order of one image and end it; return its event."""
    placed = place_order(database, 1, webhook_url=url, principal="key:1", **values)
    (event_id,) = finish(database, placed.image_ids[0])
    return event_id


def event(database: Database, event_id: UUID) -> WebhookEvent:
    with database.read() as session:
        return session.scalars(select(WebhookEvent).where(WebhookEvent.id == event_id)).one()


def make_due(database: Database, queues: Broker, sweep: Sweep) -> None:
    """Let the delay of all events be over, and the sweep find them."""
    queues.client.flushall()
    with database.write() as session:
        session.execute(update(WebhookEvent).where(WebhookEvent.not_before > 0).values(not_before=1))
    sweep.webhooks()


@ON_BOTH
def test_an_event_arrives_signed_and_is_recorded(
    database: Database, receiver: HttpsServer, make_sender: MakeSender
) -> None:
    event_id = end_order(database, receiver.url("/hook?token=x"))
    make_sender()(event_id)
    (request,) = receiver.requests
    assert (request.method, request.target) == ("POST", "/hook?token=x")
    assert request.headers["content-type"] == "application/json"
    received = verify_webhook(SECRETS.secret("key:1", 1), request.headers, request.body)
    assert received["type"] == "order.finished"
    assert received["data"]["state"] == "SUCCEEDED"
    assert received["data"]["counts"] == {"total": 1, "succeeded": 1, "failed": 0, "cancelled": 0}
    row = event(database, event_id)
    assert received["data"]["order_id"] == str(row.order_id)
    assert (row.state, row.attempts, row.message) == ("DELIVERED", 1, "HTTP 200")
    assert b"example.org" not in request.body  # the order's address
    make_sender()(event_id)  # a repeated message
    assert len(receiver.requests) == 1


@ON_BOTH
def test_each_end_of_an_order_has_its_event(database: Database, blobs: BlobStore, queues: Broker) -> None:
    def types(order_id: UUID) -> list[str]:
        with database.read() as session:
            found = session.scalars(select(WebhookEvent).where(WebhookEvent.order_id == order_id))
            return sorted(row.type for row in found)

    lifecycle = make_lifecycle(database, blobs, queues, window=10)
    url, bad = "https://example.org/", Failure(Reason.CORRUPT, "damaged")
    mixed = place_order(database, 2, webhook_url=url, window=2)
    assert not finish(database, mixed.image_ids[0])
    assert finish(database, mixed.image_ids[1], bad)
    failed = place_order(database, 1, webhook_url=url)
    assert finish(database, failed.image_ids[0], bad)
    cancelled = place_order(database, 1, webhook_url=url)
    lifecycle.cancel(cancelled.id)
    lifecycle.cancel(cancelled.id)
    without = place_order(database, 1)
    assert not finish(database, without.image_ids[0])
    with database.write() as session:
        end_retention(session, mixed.id)
    assert lifecycle.expire([mixed.id]) == 1
    assert lifecycle.expire([mixed.id]) == 0
    assert types(mixed.id) == ["order.expired", "order.partially_failed"]
    assert types(failed.id) == ["order.failed"]
    assert types(cancelled.id) == ["order.cancelled"]
    assert types(without.id) == []
    with database.read() as session:
        expired = session.scalars(select(Order).where(Order.id == mixed.id)).one()
    assert expired.webhook_url is None
    assert len(queues.subjects(WEBHOOK_QUEUE)) == 2  # of the lifecycle's; workers enqueue those of images


def test_a_revision_has_an_event_of_its_own(database: Database) -> None:
    from services.common.db.orders import revisions
    from services.common.domain.spec import BlurSpec

    placed = place_order(database, 1, webhook_url="https://example.org/", originals_seconds=600)
    assert finish(database, placed.image_ids[0])
    with database.write() as session:
        order = orders.lock(session, placed.id)
        assert order
        revisions.revise_all(session, order, BlurSpec().to_json())
        session.execute(update(Image).values(enqueued_at=1))
    (event_id,) = finish(database, placed.image_ids[0])
    assert event(database, event_id).type == "order.revised"


@ON_BOTH
def test_a_refused_event_is_posted_again_with_the_same_id_until_it_is_taken(
    database: Database, queues: Broker, receiver: HttpsServer, make_sender: MakeSender, sweep: Sweep
) -> None:
    send = make_sender()
    receiver.handler = answer("500 Internal Server Error")
    event_id = end_order(database, receiver.url())
    send(event_id)
    row = event(database, event_id)
    assert (row.state, row.attempts, row.message) == ("QUEUED", 1, "HTTP 500")
    assert row.not_before > row.created_at
    send(event_id)  # too early: nothing is posted
    assert len(receiver.requests) == 1
    receiver.handler = answer("503 ResourceExhausted", Retry_After="3000")
    make_due(database, queues, sweep)
    assert queues.subjects(WEBHOOK_QUEUE) == [str(event_id)]
    send(event_id)
    row = event(database, event_id)
    assert row.not_before - row.started_at >= 2_990_000_000  # type: ignore[operator]
    receiver.handler = answer("204 No Content")
    make_due(database, queues, sweep)
    send(event_id)
    assert event(database, event_id).state == "DELIVERED"
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
    assert len({request.body for request in receiver.requests}) == 1
    assert len(receiver.requests) == 3


def read_clock(database: Database) -> int:
    """What the clock of the database says."""
    with database.read() as session:
        return session.scalar(select(now())) or 0


def test_delays_grow_to_an_hour_and_an_event_is_given_up_after_a_day(
    database: Database, queues: Broker, receiver: HttpsServer, make_sender: MakeSender, sweep: Sweep
) -> None:
    send = make_sender()
    receiver.handler = answer("404 Not Found")
    event_id = end_order(database, receiver.url())
    for attempt in range(12):
        delay = min(5 * 2**attempt, 3600) * SECOND
        begin = read_clock(database)
        send(event_id)
        assert begin + delay <= event(database, event_id).not_before <= read_clock(database) + delay
        make_due(database, queues, sweep)
    with database.write() as session:
        session.execute(update(WebhookEvent).values(give_up_at=WebhookEvent.started_at))
    send(event_id)
    row = event(database, event_id)
    assert (row.state, row.message) == ("FAILED", "HTTP 404")
    make_due(database, queues, sweep)
    assert not queues.subjects(WEBHOOK_QUEUE)
    with database.write() as session:
        assert events.resend(session, [event_id]) == [event_id]
    receiver.handler = answer()
    send(event_id)
    assert event(database, event_id).state == "DELIVERED"
    with database.write() as session:
        assert events.resend(session, [event_id]) == [event_id]
    send(event_id)
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1


@pytest.mark.parametrize(
    ("status", "state", "message"),
    [
        ("302 Found", "QUEUED", "HTTP 302: redirects are not followed"),
        ("410 Gone", "FAILED", "HTTP 410: the receiver wants no more events of this order"),
        ("429 Too Many Requests", "QUEUED", "HTTP 429"),
    ],
)
def test_answers_other_than_2xx(
    database: Database, receiver: HttpsServer, make_sender: MakeSender, *, status: str, state: str, message: str
) -> None:
    with HttpsServer(receiver.authority) as other:
        receiver.handler = answer(status, Location=other.url())
        event_id = end_order(database, receiver.url())
        make_sender()(event_id)
        assert not other.connections
    row = event(database, event_id)
    assert (row.state, row.message) == (state, message)


def test_an_inner_address_gets_nothing_and_the_reason_is_seen(
    database: Database, receiver: HttpsServer, make_sender: MakeSender
) -> None:
    event_id = end_order(database, receiver.url())
    make_sender(allowed="")(event_id)
    assert receiver.connections == 0
    row = event(database, event_id)
    assert row.state == "QUEUED"
    assert row.message == "the address of localhost is not public, and the operator has not allowed its network"


def test_a_slow_receiver_costs_an_attempt(database: Database, receiver: HttpsServer, make_sender: MakeSender) -> None:
    release = threading.Event()
    receiver.handler = hang(release)
    event_id = end_order(database, receiver.url())
    make_sender(seconds=1)(event_id)
    release.set()
    row = event(database, event_id)
    assert (row.state, row.attempts, row.message) == ("QUEUED", 1, "localhost did not answer in time")


def test_a_slow_receiver_costs_no_other_one_its_connections(
    database: Database, receiver: HttpsServer, make_sender: MakeSender
) -> None:
    release = threading.Event()
    receiver.handler = hang(release)
    send = make_sender(seconds=60, connections=2)
    slow, crowded = end_order(database, receiver.url()), end_order(database, receiver.url())
    with HttpsServer(receiver.authority) as other:
        elsewhere = end_order(database, other.url(host="127.0.0.1"))
        thread = threading.Thread(target=send, args=(slow,))
        thread.start()
        receiver.wait_requests(1)
        send(crowded)  # the host has as many connections as it may have
        send(elsewhere)
        assert event(database, elsewhere).state == "DELIVERED"
        release.set()
        thread.join(60)
    row = event(database, slow)
    assert (row.state, row.attempts) == ("QUEUED", 1)
    row = event(database, crowded)
    assert (row.state, row.attempts) == ("QUEUED", 0)
    assert len(receiver.requests) == 1


@ON_BOTH
def test_the_event_of_a_mailer_that_died_is_posted_again(
    database: Database, queues: Broker, receiver: HttpsServer, make_sender: MakeSender, sweep: Sweep
) -> None:
    event_id = end_order(database, receiver.url())
    with database.write() as session:
        claim = events.claim_event(session, event_id, lease_seconds=-1)
        assert claim
    sweep.webhooks()
    assert event(database, event_id).state == "QUEUED"
    make_due(database, queues, sweep)
    make_sender()(event_id)
    assert event(database, event_id).state == "DELIVERED"
    with database.write() as session:
        assert not events.finish_delivered(session, claim, message="too late")


@ON_BOTH
def test_a_lost_message_is_sent_again(database: Database, queues: Broker, sweep: Sweep) -> None:
    event_id = end_order(database, "https://example.org/")
    with database.write() as session:
        session.execute(update(WebhookEvent).values(enqueued_at=1))
    sweep.webhooks()
    assert queues.subjects(WEBHOOK_QUEUE) == [str(event_id)]


@ON_BOTH
def test_an_order_that_a_worker_of_the_version_before_has_ended_gets_its_event(
    database: Database, queues: Broker, sweep: Sweep
) -> None:
    event_id = end_order(database, "https://example.org/", originals_seconds=60)
    with database.write() as session:
        session.delete(session.get_one(WebhookEvent, event_id))
        session.execute(update(Order).values(finished_at=Order.finished_at - 120_000_000))
    sweep.webhooks()
    sweep.webhooks()
    with database.read() as session:
        (row,) = session.scalars(select(WebhookEvent)).all()
    assert row.type == "order.finished"
    assert queues.subjects(WEBHOOK_QUEUE) == [str(row.id)]


def test_events_go_with_their_order_and_old_ones_are_deleted(database: Database, receiver: HttpsServer) -> None:
    kept, deleted = end_order(database, receiver.url()), end_order(database, receiver.url())
    with database.write() as session:
        orders.delete_order(session, event(database, deleted).order_id)
    with database.write() as session:
        session.execute(update(WebhookEvent).values(state="FAILED", finished_at=1))
        events.delete_old(session)
        assert session.scalars(select(WebhookEvent.id)).all() == [kept]
        session.execute(update(Order).values(webhook_url=None))
        events.delete_old(session)
        assert session.scalars(select(WebhookEvent.id)).all() == []


def test_a_purged_queue_posts_nothing_more_and_the_events_can_be_sent_again(
    database: Database, receiver: HttpsServer, make_sender: MakeSender
) -> None:
    event_id = end_order(database, receiver.url())
    with database.write() as session:
        assert events.fail_queued(session) == 1
    make_sender()(event_id)
    assert not receiver.requests
    with database.read() as session:
        assert events.list_failed(session, limit=5) == ([event_id], 1)
        assert [row.id for row in events.list_events(session, state=WebhookState.FAILED, limit=5)] == [event_id]


def test_a_rotated_secret_signs_together_with_the_former_one_for_a_day(
    database: Database, receiver: HttpsServer, make_sender: MakeSender
) -> None:
    with database.write() as session:
        assert secrets.rotate(session, "key:1") == 2
    make_sender()(end_order(database, receiver.url()))
    (request,) = receiver.requests
    for version in (1, 2):
        assert verify_webhook(SECRETS.secret("key:1", version), request.headers, request.body)
    with database.write() as session:
        session.execute(update(WebhookSecret).values(rotated_at=1))
    make_sender()(end_order(database, receiver.url()))
    _, request = receiver.requests
    assert verify_webhook(SECRETS.secret("key:1", 2), request.headers, request.body)
    with pytest.raises(WebhookVerificationError, match="no signature"):
        verify_webhook(SECRETS.secret("key:1", 1), request.headers, request.body)
    with database.write() as session:
        assert secrets.rotate(session, "key:1") == 3
