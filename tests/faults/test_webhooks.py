"""Receivers of webhooks that are killed, slow, refuse, redirect or are inner ones; mailers and workers that are killed.

What arrives, how often, and what operators see. Likewise for servers of sources.
"""

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
import redis
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import operator_service_pb2 as operator_pb
from imageblur.v1.operator_pb2 import WebhookEventEntry
from imageblur.v1.operator_service_pb2_grpc import OperatorServiceStub
from imageblur.v1.order_pb2 import WEBHOOK_STATE_DELIVERED, WEBHOOK_STATE_QUEUED, ImageState, OrderState
from imageblur_client import verify_webhook
from sqlalchemy import update

from services.common.db.models import WebhookEvent
from tests.faults import audit, leak_checks
from tests.faults.fleet import Fleet, kill_service
from tests.faults.recording_client import Accepted, Customer
from tests.faults.report import Line
from tests.faults.samples import SAMPLES
from tests.support.https import Handler, HttpRequest, HttpsServer, answer, hang
from tests.support.waiting import eventually


@pytest.fixture
def receiver(fleet: Fleet) -> Iterator[HttpsServer]:
    with HttpsServer(fleet.outside) as server:
        yield server


def order(customer: Customer, url: str = "", *images: pb.InputImage) -> Accepted:
    """Place an order with a webhook, of a sample or of these images."""
    name, data = next(iter(SAMPLES.items()))
    header = pb.OrderHeader(webhook_url=url, request_id=str(uuid4()))
    request = pb.BlurOrderRequest(order=header, images=images or [pb.InputImage(filename=name, data=data)])
    placed = customer.call(lambda stub: stub.BlurOrder(request, timeout=15).order)
    accepted = Accepted(placed.order_id, "", (name,) * placed.counts.total, 0, time.time())
    customer.accepted.append(accepted)
    return accepted


def event(customer: Customer, accepted: Accepted) -> WebhookEventEntry | None:
    """What operators see of the order's event."""
    operator = OperatorServiceStub(customer._channels[0])
    request = operator_pb.ListWebhookEventsRequest(order_id=accepted.order_id)
    found = operator.ListWebhookEvents(request, timeout=10).events
    return found[0] if found else None


def delivered(customer: Customer, accepted: Accepted, within: float = 60.0) -> WebhookEventEntry:
    """Wait until the order's event is delivered."""

    def seen() -> WebhookEventEntry | None:
        found = event(customer, accepted)
        return found if found and found.event.state == WEBHOOK_STATE_DELIVERED else None

    delivered = eventually(seen, within, every=0.2)
    assert delivered is not None
    return delivered


def tried(customer: Customer, accepted: Accepted, message: str) -> WebhookEventEntry:
    """Wait until an attempt has failed so, and another will follow."""

    def seen() -> WebhookEventEntry | None:
        found = event(customer, accepted)
        waits = found and found.event.state == WEBHOOK_STATE_QUEUED and found.event.HasField("next_attempt_time")
        return found if found and waits and message in found.event.message else None

    failed = eventually(seen, 60.0, every=0.2)
    assert failed is not None
    return failed


def check(customer: Customer, server: HttpsServer) -> None:
    """All requests are of one event, and signed with the customer's secret."""
    secret = customer.call(lambda stub: stub.GetWebhookSecret(pb.GetWebhookSecretRequest(), timeout=10)).secret
    for request in server.requests:
        assert verify_webhook(secret, request.headers, request.body, tolerance=600)["type"] == "order.finished"
    assert len({request.headers["webhook-id"] for request in server.requests}) == 1


def die(_request: HttpRequest, _connection: ssl.SSLSocket) -> None:
    """Take the event, and close the connection without an answer, as a receiver does that is killed."""


FAULTS: list[tuple[str, Handler | None, str]] = [
    ("receiver is down", None, "cannot be reached"),
    ("receiver is killed before it answers", die, "gave no valid answer"),
    ("receiver answers 500", answer("500 Internal Server Error"), "HTTP 500"),
    ("receiver redirects", answer("302 Found", Location="https://127.0.0.1:1/"), "redirects are not followed"),
]


@pytest.mark.parametrize(("fault", "handler", "message"), FAULTS)
def test_an_event_is_posted_until_it_is_taken(
    fleet: Fleet,
    customer: Customer,
    receiver: HttpsServer,
    tell: Callable[[Line], None],
    *,
    fault: str,
    handler: Handler | None,
    message: str,
) -> None:
    at = time.time()
    if handler:
        receiver.handler = handler
    else:
        receiver.stop()
    accepted = order(customer, receiver.url("/hook"))
    tried(customer, accepted, message)
    attempts = len(receiver.requests)
    receiver.handler = answer("204 No Content")
    if not handler:
        receiver.start()
    seen = delivered(customer, accepted)
    check(customer, receiver)
    assert len(receiver.requests) == attempts + 1
    outcome = f"operators see: {message}; then 1 copy, attempt {seen.event.attempts}"
    repeats = attempts if handler is die else 0  # it may have kept what it did not answer
    tell(Line(fault, "webhook", fleet.kind, outcome, time.time() - at, 0, repeats))


def test_a_mailer_that_is_killed_while_it_posts(
    fleet: Fleet, customer: Customer, receiver: HttpsServer, tell: Callable[[Line], None]
) -> None:
    release = threading.Event()
    receiver.handler = hang(release)
    accepted = order(customer, receiver.url())
    receiver.wait_requests(1, 60)
    at = time.time()
    for record in fleet.records("mailer"):
        kill_service(record.pid)
    receiver.handler = answer()
    release.set()
    delivered(customer, accepted)
    check(customer, receiver)
    repeats = len(receiver.requests) - 1
    assert repeats >= 1
    tell(Line("kill -9 mailer", "posting a webhook", fleet.kind, "the same id again", time.time() - at, 0, repeats))


def test_a_slow_receiver_delays_no_other_and_no_email(
    fleet: Fleet, customer: Customer, receiver: HttpsServer, tell: Callable[[Line], None]
) -> None:
    release = threading.Event()
    receiver.handler = hang(release)
    slow = [order(customer, receiver.url()) for _ in range(6)]
    receiver.wait_requests(2, 60)
    at = time.time()
    with HttpsServer(fleet.outside) as other:
        accepted = order(customer, other.url(host="127.0.0.1"))
        delivered(customer, accepted)
        audit.settle(fleet, customer, customer.order())
        seconds = time.time() - at
        assert len(other.requests) == 1
    release.set()
    receiver.handler = answer()
    for each in slow:
        delivered(customer, each, 120)
    tell(Line("receiver hangs", "webhook", fleet.kind, "another receiver and an e-mail are served", seconds))


def test_a_broker_that_loses_the_message(
    fleet: Fleet, customer: Customer, receiver: HttpsServer, tell: Callable[[Line], None]
) -> None:
    operator = OperatorServiceStub(customer._channels[0])
    operator.PauseQueue(operator_pb.PauseQueueRequest(queue="webhook"), timeout=10)
    try:
        time.sleep(1)
        accepted = order(customer, receiver.url())
        eventually(lambda: event(customer, accepted), 60)
        at = time.time()
        with redis.Redis.from_url(fleet.valkey.url) as client:
            client.flushall()
    finally:
        operator.ResumeQueue(operator_pb.ResumeQueueRequest(queue="webhook"), timeout=10)
    delivered(customer, accepted)
    check(customer, receiver)
    assert len(receiver.requests) == 1
    tell(Line("broker loses everything", "a webhook waits", fleet.kind, "1 copy", time.time() - at))


def test_a_private_address_gets_nothing_and_operators_see_why(
    fleet: Fleet, customer: Customer, receiver: HttpsServer, tell: Callable[[Line], None]
) -> None:
    # As a name would that leads inside: the gateway refuses the address itself.
    accepted = order(customer, receiver.url())
    delivered(customer, accepted)
    inner = f"https://127.0.0.2:{receiver.port}/"
    with HttpsServer(fleet.outside, address="127.0.0.2", port=receiver.port) as hidden:
        with fleet.database.write() as session:
            found = event(customer, accepted)
            assert found
            session.execute(update(WebhookEvent).where(WebhookEvent.url == receiver.url()).values(url=inner))
        operator = OperatorServiceStub(customer._channels[0])
        again = operator_pb.ResendWebhookEventsRequest(event_ids=[found.event.event_id])
        assert operator.ResendWebhookEvents(again, timeout=10).resent == 1
        tried(customer, accepted, "is not public")
        assert hidden.connections == 0
    with fleet.database.write() as session:
        session.execute(update(WebhookEvent).where(WebhookEvent.url == inner).values(url=receiver.url()))
    delivered(customer, accepted)
    assert len(receiver.requests) == 2
    tell(Line("webhook at a private address", "webhook", fleet.kind, "no connection; operators see why", 0.0))


def test_a_worker_that_is_killed_while_it_fetches_a_source(
    fleet: Fleet, customer: Customer, receiver: HttpsServer, tell: Callable[[Line], None]
) -> None:
    name, data = next(iter(SAMPLES.items()))
    release = threading.Event()

    def half(_request: HttpRequest, connection: ssl.SSLSocket) -> None:
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data[: len(data) // 2])
        release.wait(60)

    receiver.handler = half
    source = pb.InputImage(source=pb.Source(url=receiver.url(f"/{name}")))
    accepted = order(customer, "", source)
    receiver.wait_requests(1, 60)
    at = time.time()
    for record in fleet.records("blur_worker"):
        kill_service(record.pid)
    receiver.handler = answer(body=data)
    release.set()
    settled, (image,) = audit.ended(customer, accepted, 120)
    assert settled.state == OrderState.ORDER_STATE_SUCCEEDED
    assert image.output_sha256.hex() == customer.reference[name]
    tell(Line("kill -9 blur_worker", "fetching a source", fleet.kind, "fetched again", time.time() - at))


def test_a_source_s_server_that_is_down_costs_one_image(
    fleet: Fleet, customer: Customer, receiver: HttpsServer, tell: Callable[[Line], None]
) -> None:
    name, data = next(iter(SAMPLES.items()))
    at = time.time()
    with HttpsServer(fleet.outside, handler=answer("404 Not Found")) as other:
        receiver.handler = answer(body=data)
        images = [pb.InputImage(source=pb.Source(url=server.url(f"/{name}"))) for server in (receiver, other)]
        accepted = order(customer, "", *images)
        settled, (good, bad) = audit.ended(customer, accepted)
    assert settled.state == OrderState.ORDER_STATE_PARTIALLY_FAILED
    assert (good.state, bad.state) == (ImageState.IMAGE_STATE_SUCCEEDED, ImageState.IMAGE_STATE_FAILED)
    assert "HTTP 404" in bad.failure.message
    tell(Line("source answers 404", "fetching", fleet.kind, bad.failure.message, time.time() - at))


def test_nothing_is_left(fleet: Fleet, customer: Customer) -> None:
    leak_checks.calm(fleet, customer)
