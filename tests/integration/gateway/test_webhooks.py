"""Webhooks over a real socket: who may name which address, whose secret it is, and what operators see and do."""

from collections.abc import Callable
from uuid import UUID, uuid4

import grpc
import pytest
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import operator_service_pb2 as operator_pb
from imageblur.v1 import order_pb2
from imageblur.v1.operator_pb2 import (
    FAILURE_CAUSE_RECIPIENT,
    FAILURE_CAUSE_SERVICE,
    FAILURE_KIND_IMAGE,
    FAILURE_KIND_WEBHOOK,
    TRACE_KIND_WEBHOOK,
    FailureEntry,
    FailureFilter,
)
from imageblur.v1.operator_service_pb2_grpc import OperatorServiceStub
from sqlalchemy import select, update

from services.common.db.access import api_keys
from services.common.db.access.audit import AuditContext
from services.common.db.engine import Database
from services.common.db.models import AuditEntry, Order, WebhookEvent
from services.common.domain.api_keys import Role
from services.common.infra.messaging.broker import Broker
from services.common.infra.messaging.messages import WEBHOOK_QUEUE
from services.common.infra.signing.webhook_secrets import WebhookSecrets
from services.gateway.rpc import key_cache
from services.gateway.settings import GatewaySettings
from tests.integration.gateway.conftest import SECRET, Gateway, running
from tests.integration.gateway.operator.test_keys import known
from tests.integration.gateway.test_orders import PICTURE, fields, order, refused

URL = "https://hooks.example.org/imageblur?token=secret"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_cache, "REFRESH_SECONDS", 0.05)


def placed(url: str) -> pb.BlurOrderRequest:
    return pb.BlurOrderRequest(order=pb.OrderHeader(webhook_url=url), images=[PICTURE])


def test_a_cancelled_order_has_an_event_that_status_shows_without_its_address(
    gateway: Gateway, database: Database, queues: Broker
) -> None:
    order_id = order(gateway, webhook_url=URL).order_id
    cancelled = gateway.blur.CancelOrder(pb.CancelOrderRequest(order_id=order_id)).order
    (event,) = cancelled.webhook_events
    assert (event.type, event.state, event.host) == (
        "order.cancelled",
        order_pb2.WEBHOOK_STATE_QUEUED,
        "hooks.example.org",
    )
    assert "token" not in str(cancelled)
    assert queues.subjects(WEBHOOK_QUEUE) == [event.event_id]
    with database.read() as session:
        assert session.scalars(select(Order.webhook_url)).one() == URL


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://example.org/", "must begin with https://"),
        ("https://a:b@example.org/", "must not contain a user name or password"),
        ("https://2130706433/", "has a number as its host"),
        ("https://127.0.0.1:8443/", "is not public"),
        ("https://[::ffff:10.0.0.1]/", "is not public"),
        ("https://169.254.169.254/latest/meta-data/", "is not public"),
        ("https://localhost/", "is not public"),
    ],
)
def test_other_addresses_are_refused_with_the_field(gateway: Gateway, url: str, message: str) -> None:
    error = refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.BlurOrder, placed(url))
    assert message in fields(error)["order.webhook_url"]
    assert not gateway.files()


def test_an_upload_that_goes_on_may_have_a_webhook(gateway: Gateway, database: Database) -> None:
    start = pb.ImageStart(filename="a.jpg", size_bytes=3)

    def create(url: str) -> pb.CreateUploadRequest:
        return pb.CreateUploadRequest(order=pb.OrderHeader(webhook_url=url), images=[start])

    refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.CreateUpload, create("https://10.0.0.1/"))
    upload = gateway.blur.CreateUpload(create(URL)).upload
    parts = [
        pb.AppendUploadRequest(start=pb.AppendStart(upload_id=upload.upload_id, offset=0)),
        pb.AppendUploadRequest(chunk=b"abc"),
    ]
    gateway.blur.AppendUpload(iter(parts))
    gateway.blur.CompleteUpload(pb.CompleteUploadRequest(upload_id=upload.upload_id))
    with database.read() as session:
        assert session.scalars(select(Order.webhook_url)).one() == URL


def test_an_operator_can_allow_networks_and_forbid_addresses(settings: GatewaySettings) -> None:
    with running(settings.model_copy(update={"allowed_networks": "10.1.0.0/16"})) as gateway:
        assert order(gateway, webhook_url="https://10.1.2.3/").order_id
        refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.BlurOrder, placed("https://10.2.2.3/"))
    with running(settings.model_copy(update={"allow_urls": False})) as gateway:
        error = refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.BlurOrder, placed(URL))
        assert "is not allowed by the operator" in fields(error)["order.webhook_url"]


def test_a_repeated_request_with_another_webhook_is_another_request(gateway: Gateway) -> None:
    request_id = str(uuid4())
    assert order(gateway, webhook_url=URL, request_id=request_id) == order(
        gateway, webhook_url=URL, request_id=request_id
    )
    request = pb.BlurOrderRequest(
        order=pb.OrderHeader(email="ann@example.org", webhook_url=URL + "2", request_id=request_id),
        images=[PICTURE, PICTURE],
    )
    refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.BlurOrder, request)


def test_the_secret_is_that_of_the_key_and_can_be_replaced(settings: GatewaySettings, database: Database) -> None:
    with running(settings.model_copy(update={"require_keys": True})) as gateway:
        made = []
        for _ in range(2):
            with database.write() as session:
                made.append(
                    api_keys.create(session, AuditContext("test", "Test"), name="x", role=Role.CLIENT, seconds=None)
                )
            known(gateway, made[-1].key)
        metadata = [(("authorization", f"Bearer {each.key}"),) for each in made]

        def get(metadata: tuple[tuple[str, str], ...]) -> str:
            return gateway.blur.GetWebhookSecret(pb.GetWebhookSecretRequest(), metadata=metadata).secret

        first, other = map(get, metadata)
        secrets = WebhookSecrets(SECRET)
        assert first == secrets.secret(f"key:{made[0].row.id}", 1)
        assert first != other
        rotated = gateway.blur.RotateWebhookSecret(pb.RotateWebhookSecretRequest(), metadata=metadata[0]).secret
        assert get(metadata[0]) == rotated == secrets.secret(f"key:{made[0].row.id}", 2)
        assert get(metadata[1]) == other


def test_callers_without_a_key_on_a_public_address_have_no_webhooks(settings: GatewaySettings) -> None:
    public = settings.model_copy(update={"allow_anonymous": True, "gateway_address": "0.0.0.0:0"})
    with running(public) as gateway:
        for call, request in (
            (gateway.blur.BlurOrder, placed(URL)),
            (gateway.blur.GetWebhookSecret, pb.GetWebhookSecretRequest()),
            (gateway.blur.RotateWebhookSecret, pb.RotateWebhookSecretRequest()),
        ):
            error = refused(grpc.StatusCode.PERMISSION_DENIED, call, request)
            assert "needs an API key" in (error.details() or "")
        assert order(gateway).order_id


@pytest.fixture
def cancel(gateway: Gateway) -> Callable[[], tuple[str, str]]:
    def cancel() -> tuple[str, str]:
        order_id = order(gateway, webhook_url=URL).order_id
        cancelled = gateway.blur.CancelOrder(pb.CancelOrderRequest(order_id=order_id)).order
        return order_id, cancelled.webhook_events[0].event_id

    return cancel


def test_operators_list_and_resend_events(
    gateway: Gateway, database: Database, queues: Broker, cancel: Callable[[], tuple[str, str]]
) -> None:
    operator = OperatorServiceStub(gateway.channel)
    made = [cancel() for _ in range(3)]
    with database.write() as session:
        for (_, event_id), state in zip(made, ("DELIVERED", "FAILED", "FAILED"), strict=True):
            session.execute(
                update(WebhookEvent)
                .where(WebhookEvent.id == UUID(event_id))
                .values(state=state, attempts=7, message="HTTP 500", finished_at=WebhookEvent.created_at)
            )
    queues.client.flushall()
    page = operator.ListWebhookEvents(operator_pb.ListWebhookEventsRequest(page_size=2))
    rest = operator.ListWebhookEvents(
        operator_pb.ListWebhookEventsRequest(page_size=2, page_token=page.next_page_token)
    )
    assert [entry.order_id for entry in [*page.events, *rest.events]] == [made[n][0] for n in (2, 1, 0)]
    assert not rest.next_page_token
    entry = page.events[0]
    assert (entry.event.attempts, entry.event.message, entry.principal) == (7, "HTTP 500", "anonymous")
    by_order = operator.ListWebhookEvents(operator_pb.ListWebhookEventsRequest(order_id=made[0][0]))
    assert [entry.event.event_id for entry in by_order.events] == [made[0][1]]
    delivered = operator_pb.ListWebhookEventsRequest(state=order_pb2.WEBHOOK_STATE_DELIVERED)
    assert len(operator.ListWebhookEvents(delivered).events) == 1

    outcome = operator.ResendWebhookEvents(operator_pb.ResendWebhookEventsRequest(event_ids=[made[0][1]]))
    assert outcome.resent == 1
    outcome = operator.ResendWebhookEvents(operator_pb.ResendWebhookEventsRequest(all_failed=True))
    assert (outcome.resent, outcome.remaining) == (2, 0)
    assert sorted(queues.subjects(WEBHOOK_QUEUE)) == sorted(event_id for _, event_id in made)
    with database.read() as session:
        rows = session.scalars(select(WebhookEvent)).all()
        assert {(row.state, row.attempts, row.finished_at) for row in rows} == {("QUEUED", 0, None)}
        resources = session.scalars(select(AuditEntry.subject).where(AuditEntry.action == "ResendWebhookEvents")).all()
    assert sorted(resources) == sorted(f"webhookEvents/{event_id}" for _, event_id in made)


@pytest.mark.parametrize(
    "request_",
    [
        operator_pb.ResendWebhookEventsRequest(),
        operator_pb.ResendWebhookEventsRequest(event_ids=["x"], all_failed=True),
        operator_pb.ResendWebhookEventsRequest(event_ids=["x"]),
        operator_pb.ResendWebhookEventsRequest(event_ids=[str(UUID(int=n)) for n in range(1001)]),
    ],
)
def test_requests_to_resend_are_checked(gateway: Gateway, request_: operator_pb.ResendWebhookEventsRequest) -> None:
    operator = OperatorServiceStub(gateway.channel)
    refused(grpc.StatusCode.INVALID_ARGUMENT, operator.ResendWebhookEvents, request_)


def test_the_queue_is_listed_paused_and_purged(
    gateway: Gateway, database: Database, cancel: Callable[[], tuple[str, str]]
) -> None:
    operator = OperatorServiceStub(gateway.channel)
    cancel()
    queues = {queue.name: queue for queue in operator.ListQueues(operator_pb.ListQueuesRequest()).queues}
    assert queues["webhook"].waiting == 1
    assert operator.PauseQueue(operator_pb.PauseQueueRequest(queue="webhook")).queue.paused
    assert operator.PurgeQueue(operator_pb.PurgeQueueRequest(queue="webhook")).cancelled == 1
    with database.read() as session:
        assert session.scalars(select(WebhookEvent.state)).all() == ["FAILED"]


def test_events_that_were_given_up_are_failures_in_the_trace_and_can_be_retried_or_dismissed(
    gateway: Gateway, database: Database, queues: Broker, cancel: Callable[[], tuple[str, str]]
) -> None:
    operator = OperatorServiceStub(gateway.channel)
    made = [cancel() for _ in range(3)]
    with database.write() as session:
        session.execute(
            update(WebhookEvent)
            .where(WebhookEvent.id.in_([UUID(event_id) for _, event_id in made]))
            .values(state="FAILED", attempts=30, message="HTTP 500", finished_at=WebhookEvent.created_at)
        )
    queues.client.flushall()
    found: list[FailureEntry] = []
    token = ""
    while True:
        page = operator.ListFailures(operator_pb.ListFailuresRequest(page_size=2, page_token=token))
        found += page.failures
        if not (token := page.next_page_token):
            break
    assert {(entry.failure_id, entry.order_id) for entry in found} == {(event, order_id) for order_id, event in made}
    shown = {(entry.kind, entry.failure.reason, entry.failure.message, entry.retryable) for entry in found}
    assert shown == {(FAILURE_KIND_WEBHOOK, order_pb2.FAILURE_REASON_WEBHOOK_REFUSED, "HTTP 500", True)}
    (group,) = operator.ListFailures(operator_pb.ListFailuresRequest()).groups
    assert (group.kind, group.count, group.retryable) == (FAILURE_KIND_WEBHOOK, 3, 3)
    assert group.cause == FAILURE_CAUSE_RECIPIENT
    for which, number in [
        (FailureFilter(kind=FAILURE_KIND_WEBHOOK), 3),
        (FailureFilter(kind=FAILURE_KIND_IMAGE), 0),
        (FailureFilter(reason=order_pb2.FAILURE_REASON_WEBHOOK_REFUSED, order_id=made[0][0]), 1),
        (FailureFilter(cause=FAILURE_CAUSE_RECIPIENT), 3),
        (FailureFilter(cause=FAILURE_CAUSE_SERVICE), 0),
        (FailureFilter(reason=order_pb2.FAILURE_REASON_CORRUPT), 0),
    ]:
        assert len(operator.ListFailures(operator_pb.ListFailuresRequest(filter=which)).failures) == number
    trace = operator.GetOrderTrace(operator_pb.GetOrderTraceRequest(order_id=made[0][0]))
    (step,) = [step for step in trace.steps if step.kind == TRACE_KIND_WEBHOOK]
    assert (step.id, step.state, step.attempts, step.message) == (made[0][1], "FAILED", 30, "order.cancelled: HTTP 500")
    assert [event.event_id for event in trace.order.order.webhook_events] == [made[0][1]]

    retry = operator_pb.RetryFailuresRequest(all=True, filter=FailureFilter(order_id=made[0][0]))
    assert operator.RetryFailures(retry).retried == 1
    assert queues.subjects(WEBHOOK_QUEUE) == [made[0][1]]
    assert operator.RetryFailures(operator_pb.RetryFailuresRequest(failure_ids=[made[0][1]])).retried == 0
    assert operator.DismissFailures(operator_pb.DismissFailuresRequest(failure_ids=[made[1][1]])).dismissed == 1
    assert [entry.failure_id for entry in operator.ListFailures(operator_pb.ListFailuresRequest()).failures] == [
        made[2][1]
    ]
    webhooks = {queue.name: queue for queue in operator.ListQueues(operator_pb.ListQueuesRequest()).queues}["webhook"]
    assert (webhooks.failed, webhooks.failed_by_service, webhooks.waiting) == (1, 0, 1)
    outcome = operator.ResendWebhookEvents(operator_pb.ResendWebhookEventsRequest(all_failed=True))
    assert (outcome.resent, outcome.remaining) == (1, 0)
    with database.read() as session:
        states = dict(session.execute(select(WebhookEvent.id, WebhookEvent.state)).all())
        done = session.execute(select(AuditEntry.action, AuditEntry.subject).order_by(AuditEntry.id)).all()
    assert [states[UUID(event_id)] for _, event_id in made] == ["QUEUED", "FAILED", "QUEUED"]
    assert ("RetryFailures", f"webhookEvents/{made[0][1]}") in done
    assert ("DismissFailures", f"webhookEvents/{made[1][1]}") in done
