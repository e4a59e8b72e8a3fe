"""The operator's service over a socket, on both databases."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest
import redis
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from imageblur.v1 import blur_service_pb2 as blur
from imageblur.v1 import operator_pb2, order_pb2
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1.operator_service_pb2_grpc import OperatorServiceStub
from sqlalchemy import select, update

from services.common.db.access import audit
from services.common.db.access.audit import AuditContext
from services.common.db.engine import Database
from services.common.db.mail import deliveries, emails
from services.common.db.models import AuditEntry, Delivery, Email, Image, Order, Subscriber
from services.common.db.orders import images, orders
from services.common.db.orders.images import Failure, Success
from services.common.db.queues import workers
from services.common.domain.api_keys import Role
from services.common.domain.errors import Reason
from services.common.domain.orders import DeliveryState
from services.gateway.rpc import key_cache
from services.gateway.settings import GatewaySettings
from tests.integration.gateway.conftest import Gateway, running
from tests.integration.gateway.test_keys import bearer, known, make, reason, with_key
from tests.integration.gateway.test_orders import HEADER, PICTURE, fields, order, refused
from tests.support.valkey import ValkeyServer

__all__ = ["make"]

Orders: Any = operator_pb2.OrderFilter
Failures: Any = operator_pb2.FailureFilter
TOOK = Success(size=10, sha256="00" * 32, width=4, height=3, format="JPEG", engine="test")
HOPELESS = Failure(Reason.CORRUPT, "the image is damaged")
UNLUCKY = Failure(Reason.TIMED_OUT, "the image took longer than 60 seconds")


@pytest.fixture
def operator(gateway: Gateway) -> OperatorServiceStub:
    return OperatorServiceStub(gateway.channel)


def work(database: Database, image_id: str | UUID, outcome: Success | Failure) -> None:
    """What a worker does with an image that is in the queue."""
    with database.write() as session:
        claim = images.claim(session, UUID(str(image_id)), lease_seconds=60)
    assert claim
    with database.write() as session:
        assert images.finish(session, claim, outcome, window=100)


def image_ids(gateway: Gateway, order_id: str) -> list[str]:
    status = gateway.blur.Status(blur.StatusRequest(order_id=order_id, view=blur.ORDER_VIEW_FULL))
    return [image.image_id for image in status.images]


def ended(gateway: Gateway, database: Database, *outcomes: Success | Failure) -> str:
    """An order of so many images, all of which have ended."""
    request = blur.BlurOrderRequest(order=HEADER, images=[PICTURE] * len(outcomes))
    order_id: str = gateway.blur.BlurOrder(request).order.order_id
    for image_id, outcome in zip(image_ids(gateway, order_id), outcomes, strict=True):
        work(database, image_id, outcome)
    return order_id


def status(gateway: Gateway, order_id: str) -> order_pb2.Order:
    return gateway.blur.Status(blur.StatusRequest(order_id=order_id)).order


def audited(database: Database) -> list[tuple[str, str, str]]:
    with database.read() as session:
        rows = session.scalars(select(AuditEntry).order_by(AuditEntry.created_at))
        return [(row.principal, row.action, row.subject) for row in rows]


def queue(operator: OperatorServiceStub, name: str) -> operator_pb2.Queue:
    (found,) = [q for q in operator.ListQueues(pb.ListQueuesRequest()).queues if q.name == name]
    return found


def test_queues_tell_how_much_there_is_to_do(
    gateway: Gateway, operator: OperatorServiceStub, database: Database, valkey_server: ValkeyServer
) -> None:
    placed = order(gateway, notify=True)
    first, _ = image_ids(gateway, placed.order_id)
    with database.write() as session:
        assert images.claim(session, UUID(first), lease_seconds=60)
    found = queue(operator, "blur")
    assert (found.depth, found.in_flight, found.waiting, found.running, found.failed) == (2, 0, 1, 1, 0)
    assert found.oldest_time == placed.create_time
    assert queue(operator, "mail").waiting == 0
    valkey_server.stop()
    try:
        assert (queue(operator, "blur").depth, queue(operator, "blur").waiting) == (-1, 1)
    finally:
        valkey_server.start()


def test_a_queue_is_paused_and_resumed_once(
    gateway: Gateway, operator: OperatorServiceStub, database: Database
) -> None:
    for _ in range(2):
        paused = operator.PauseQueue(pb.PauseQueueRequest(queue="mail")).queue
        assert (paused.paused, paused.paused_by) == (True, "anonymous")
        assert paused.HasField("pause_time")
    assert not queue(operator, "blur").paused
    for _ in range(2):
        assert not operator.ResumeQueue(pb.ResumeQueueRequest(queue="mail")).queue.paused
    assert audited(database) == [
        ("anonymous", "PauseQueue", "queues/mail"),
        ("anonymous", "ResumeQueue", "queues/mail"),
    ]
    for call, request in (
        (operator.PauseQueue, pb.PauseQueueRequest(queue="nonsense")),
        (operator.ResumeQueue, pb.ResumeQueueRequest()),
        (operator.PurgeQueue, pb.PurgeQueueRequest(queue="nonsense")),
    ):
        refused(grpc.StatusCode.NOT_FOUND, call, request)
    order(gateway)  # is taken whatever is paused


def test_to_purge_the_blur_queue_cancels_what_has_not_ended(
    gateway: Gateway, operator: OperatorServiceStub, database: Database
) -> None:
    done = ended(gateway, database, TOOK)
    waits = order(gateway)
    assert operator.PurgeQueue(pb.PurgeQueueRequest(queue="blur")).cancelled == 1
    assert status(gateway, waits.order_id).state == order_pb2.ORDER_STATE_CANCELLED
    assert status(gateway, done).state == order_pb2.ORDER_STATE_SUCCEEDED
    assert not [path for path in gateway.files() if waits.order_id in str(path)]
    assert audited(database) == [("anonymous", "PurgeQueue", "queues/blur")]


def test_to_purge_the_mail_queue_cancels_emails_that_were_not_sent(
    gateway: Gateway, operator: OperatorServiceStub, database: Database
) -> None:
    from imageblur.v1.subscription_service_pb2 import SubscribeRequest

    order_id = ended(gateway, database, TOOK)
    gateway.blur.SendImages(blur.SendImagesRequest(order_id=order_id))
    gateway.subscription.Subscribe(SubscribeRequest(email="a@example.org"))
    assert operator.PurgeQueue(pb.PurgeQueueRequest(queue="mail")).cancelled == 2
    with database.read() as session:
        assert set(session.scalars(select(Email.state))) == {"CANCELLED"}
        assert session.scalar(select(Subscriber.confirm_sent_at)) is None
    assert status(gateway, order_id).deliveries[0].state == order_pb2.DELIVERY_STATE_CANCELLED


def test_orders_are_listed_newest_first_a_page_at_a_time(gateway: Gateway, operator: OperatorServiceStub) -> None:
    placed = [order(gateway).order_id for _ in range(5)]
    seen: list[str] = []
    token = ""
    while True:
        page = operator.ListOrders(pb.ListOrdersRequest(page_size=2, page_token=token))
        assert 0 < len(page.orders) <= 2
        seen += [entry.order.order_id for entry in page.orders]
        token = page.next_page_token
        if not token:
            break
    assert seen == placed[::-1]
    (first, *_) = operator.ListOrders(pb.ListOrdersRequest()).orders
    assert first.order.email_hint == "a***@example.org"
    assert first.order.counts.queued == 2
    assert first.principal == "anonymous"


def test_orders_are_found_by_state_address_principal_and_time(
    gateway: Gateway, operator: OperatorServiceStub, database: Database
) -> None:
    done, waits = ended(gateway, database, TOOK), order(gateway)
    other = gateway.blur.BlurOrder(
        blur.BlurOrderRequest(order=blur.OrderHeader(email="bob@example.org"), images=[PICTURE])
    ).order

    def found(**which: Any) -> set[str]:
        request = pb.ListOrdersRequest(filter=Orders(**which))
        return {entry.order.order_id for entry in operator.ListOrders(request).orders}

    assert found(states=[order_pb2.ORDER_STATE_SUCCEEDED, order_pb2.ORDER_STATE_FAILED]) == {done}
    assert found(email="bob@EXAMPLE.org") == {other.order_id}
    assert found(email="nobody@example.org") == set()
    assert found(principal="anonymous") == {done, waits.order_id, other.order_id}
    assert found(principal="key:x") == set()
    assert found(from_time=other.create_time) == {other.order_id}
    assert found(to_time=waits.create_time) == {done}


@pytest.mark.parametrize(
    ("call", "request_", "wrong"),
    [
        ("ListOrders", pb.ListOrdersRequest(page_size=-1), {"page_size"}),
        ("ListOrders", pb.ListOrdersRequest(page_token="x"), {"page_token"}),
        ("ListOrders", pb.ListOrdersRequest(page_token="WzEsMl0"), {"page_token"}),
        (
            "ListOrders",
            pb.ListOrdersRequest(filter=Orders(states=[99], email="x")),
            {"filter.states[0]", "filter.email"},
        ),
        ("ListOrders", pb.ListOrdersRequest(filter=Orders(from_time=Timestamp(seconds=2**62))), {"filter.from_time"}),
        ("GetOrderTrace", pb.GetOrderTraceRequest(order_id="x"), {"order_id"}),
        ("ListFailures", pb.ListFailuresRequest(filter=Failures(kind=9)), {"filter.kind"}),
        ("ListFailures", pb.ListFailuresRequest(filter=Failures(reason=99)), {"filter.reason"}),
        ("ListFailures", pb.ListFailuresRequest(filter=Failures(order_id="x")), {"filter.order_id"}),
        ("ListFailures", pb.ListFailuresRequest(page_token="WzEsMl0"), {"page_token"}),
        ("RetryFailures", pb.RetryFailuresRequest(), {"failure_ids"}),
        ("RetryFailures", pb.RetryFailuresRequest(all=True, failure_ids=[str(uuid4())]), {"failure_ids"}),
        ("RetryFailures", pb.RetryFailuresRequest(failure_ids=["x"]), {"failure_ids[0]"}),
        ("DropFailures", pb.DropFailuresRequest(failure_ids=[str(uuid4())] * 1001), {"failure_ids"}),
        ("GetStatistics", pb.GetStatisticsRequest(span=Duration(seconds=0)), {"span"}),
        ("GetStatistics", pb.GetStatisticsRequest(span=Duration(seconds=9000), step=Duration(seconds=1)), {"step"}),
        ("CreateApiKey", pb.CreateApiKeyRequest(), {"role"}),
        ("CreateApiKey", pb.CreateApiKeyRequest(role=1, name="x" * 201), {"name"}),  # type: ignore[arg-type]
        ("CreateApiKey", pb.CreateApiKeyRequest(role=1, lifetime=Duration(seconds=-1)), {"lifetime"}),  # type: ignore[arg-type]
        ("RotateApiKey", pb.RotateApiKeyRequest(api_key_id="x"), {"api_key_id"}),
        ("RevokeApiKey", pb.RevokeApiKeyRequest(api_key_id="x"), {"api_key_id"}),
    ],
)
def test_what_is_wrong_is_named(operator: OperatorServiceStub, call: str, request_: Any, wrong: set[str]) -> None:
    error = refused(grpc.StatusCode.INVALID_ARGUMENT, getattr(operator, call), request_)
    assert set(fields(error)) == wrong


def test_what_is_not_there_is_not_found(operator: OperatorServiceStub) -> None:
    nobody = str(uuid4())
    for call, request in (
        (operator.GetOrderTrace, pb.GetOrderTraceRequest(order_id=nobody)),
        (operator.RotateApiKey, pb.RotateApiKeyRequest(api_key_id=nobody)),
        (operator.RevokeApiKey, pb.RevokeApiKeyRequest(api_key_id=nobody)),
    ):
        refused(grpc.StatusCode.NOT_FOUND, call, request)


def test_a_trace_leads_from_the_upload_to_the_email(
    gateway: Gateway, operator: OperatorServiceStub, database: Database
) -> None:
    order_id = ended(gateway, database, TOOK, UNLUCKY)
    gateway.blur.SendImages(blur.SendImagesRequest(order_id=order_id))
    with database.read() as session:
        email_id = session.scalars(select(Email.id)).one()
    with database.write() as session:
        claim = emails.claim_email(session, email_id, lease_seconds=60)
    assert claim
    with database.write() as session:
        assert emails.finish_sent(session, claim, smtp_reply="250 queued for ann@example.org")
    trace = operator.GetOrderTrace(pb.GetOrderTraceRequest(order_id=order_id))
    kinds = [operator_pb2.TraceKind.Name(step.kind).removeprefix("TRACE_KIND_") for step in trace.steps]
    assert sorted(kinds) == sorted(
        ["UPLOAD", "ORDER", "IMAGE_QUEUED", "IMAGE_QUEUED", "IMAGE", "IMAGE", "DELIVERY", "EMAIL"]
    )
    begins = [step.start_time.ToNanoseconds() for step in trace.steps]
    assert begins == sorted(begins)
    for step in trace.steps:
        took = step.end_time.ToNanoseconds() - step.start_time.ToNanoseconds()
        assert took == step.duration.ToNanoseconds() >= 0
    by_kind = dict(zip(kinds, trace.steps, strict=True))
    assert by_kind["UPLOAD"].end_time == trace.order.order.create_time == by_kind["ORDER"].start_time
    assert by_kind["EMAIL"].message == "250 queued for a***@example.org"
    assert by_kind["IMAGE"].message == UNLUCKY.message
    assert by_kind["ORDER"].state == "PARTIALLY_FAILED"
    assert trace.omitted_images == 0


def test_failures_are_listed_and_grouped_by_reason(
    gateway: Gateway, operator: OperatorServiceStub, database: Database
) -> None:
    order_id = ended(gateway, database, TOOK, HOPELESS, UNLUCKY, HOPELESS)
    refuse_mail(gateway, database, order_id)
    found = operator.ListFailures(pb.ListFailuresRequest())
    shown = [(entry.kind, entry.failure.reason, entry.position, entry.retryable) for entry in found.failures]
    image, email = operator_pb2.FAILURE_KIND_IMAGE, operator_pb2.FAILURE_KIND_EMAIL
    assert shown == [
        (image, order_pb2.FAILURE_REASON_CORRUPT, 4, False),
        (image, order_pb2.FAILURE_REASON_TIMED_OUT, 3, True),
        (image, order_pb2.FAILURE_REASON_CORRUPT, 2, False),
        (email, order_pb2.FAILURE_REASON_MAIL_REFUSED, 1, True),
    ]
    assert found.failures[-1].failure.message == "550 5.7.1 <a***@example.org>: against our policy"
    assert {(group.kind, group.reason, group.count) for group in found.groups} == {
        (image, order_pb2.FAILURE_REASON_CORRUPT, 2),
        (image, order_pb2.FAILURE_REASON_TIMED_OUT, 1),
        (email, order_pb2.FAILURE_REASON_MAIL_REFUSED, 1),
    }
    paged: list[str] = []
    token = ""
    while True:
        page = operator.ListFailures(pb.ListFailuresRequest(page_size=1, page_token=token))
        paged += [entry.failure_id for entry in page.failures]
        token = page.next_page_token
        if not token:
            break
    assert paged == [entry.failure_id for entry in found.failures]
    for which, count in (
        ({"kind": email}, 1),
        ({"reason": order_pb2.FAILURE_REASON_CORRUPT}, 2),
        ({"reason": order_pb2.FAILURE_REASON_MAIL_REFUSED}, 1),
        ({"order_id": order_id, "kind": image}, 3),
        ({"order_id": str(uuid4())}, 0),
    ):
        request = pb.ListFailuresRequest(filter=Failures(**which))
        assert len(operator.ListFailures(request).failures) == count
    assert queue(operator, "blur").failed == 3
    assert queue(operator, "mail").failed == 1


def refuse_mail(
    gateway: Gateway, database: Database, order_id: str, words: str = "550 5.7.1 <ann@example.org>: against our policy"
) -> UUID:
    """Asks for the mail, which the mail server refuses; the e-mail."""
    gateway.blur.SendImages(blur.SendImagesRequest(order_id=order_id))
    with database.read() as session:
        email_id = session.scalars(select(Email.id).where(Email.state == "QUEUED")).one()
    with database.write() as session:
        claim = emails.claim_email(session, email_id, lease_seconds=60)
    assert claim
    with database.write() as session:
        assert emails.finish_failed(session, claim, reason=Reason.MAIL_REFUSED, message=words)
    return email_id


def test_a_retried_image_really_runs_again(
    gateway: Gateway, operator: OperatorServiceStub, database: Database, valkey: redis.Redis
) -> None:
    order_id = ended(gateway, database, TOOK, UNLUCKY, HOPELESS)
    before = status(gateway, order_id)
    _, unlucky, hopeless = image_ids(gateway, order_id)
    valkey.flushall()
    stranger = str(uuid4())
    outcome = operator.RetryFailures(pb.RetryFailuresRequest(failure_ids=[unlucky, hopeless, stranger]))
    assert outcome.retried == 1
    assert {skipped.failure_id for skipped in outcome.skipped} == {hopeless, stranger}
    again = status(gateway, order_id)
    assert again.state == order_pb2.ORDER_STATE_RUNNING
    assert (again.counts.succeeded, again.counts.failed, again.counts.queued) == (1, 1, 1)
    assert not again.HasField("finish_time")
    assert again.revision > before.revision
    assert valkey.llen("dramatiq:blur") == 1
    work(database, unlucky, TOOK)
    after = status(gateway, order_id)
    assert after.state == order_pb2.ORDER_STATE_PARTIALLY_FAILED
    assert (after.counts.succeeded, after.counts.failed) == (2, 1)
    # It is kept as long after its second end as after its first one.
    kept = [o.expire_time.ToNanoseconds() - o.finish_time.ToNanoseconds() for o in (before, after)]
    assert abs(kept[0] - kept[1]) < 1_000_000
    assert audited(database) == [("anonymous", "RetryFailures", f"images/{unlucky}")]


def test_an_image_without_its_original_is_not_retried(
    gateway: Gateway, operator: OperatorServiceStub, database: Database
) -> None:
    order_id = ended(gateway, database, UNLUCKY)
    for path in gateway.files():
        path.unlink()
    outcome = operator.RetryFailures(pb.RetryFailuresRequest(all=True))
    assert (outcome.retried, [skipped.message for skipped in outcome.skipped]) == (0, ["the original was removed"])
    assert status(gateway, order_id).state == order_pb2.ORDER_STATE_FAILED
    assert audited(database) == []


def test_an_image_of_an_order_that_goes_on_may_be_retried(
    gateway: Gateway, operator: OperatorServiceStub, database: Database
) -> None:
    placed = order(gateway)
    first, second = image_ids(gateway, placed.order_id)
    work(database, first, UNLUCKY)
    assert operator.RetryFailures(pb.RetryFailuresRequest(failure_ids=[first])).retried == 1
    for image_id in (first, second):
        work(database, image_id, TOOK)
    assert status(gateway, placed.order_id).state == order_pb2.ORDER_STATE_SUCCEEDED


def test_images_of_cancelled_and_expired_orders_are_left_alone(
    gateway: Gateway, operator: OperatorServiceStub, database: Database
) -> None:
    cancelled, expired = order(gateway), ended(gateway, database, UNLUCKY)
    first, _ = image_ids(gateway, cancelled.order_id)
    work(database, first, UNLUCKY)
    gateway.blur.CancelOrder(blur.CancelOrderRequest(order_id=cancelled.order_id))
    with database.write() as session:
        orders.expire(session, UUID(expired))
    outcome = operator.RetryFailures(pb.RetryFailuresRequest(all=True))
    assert outcome.retried == 0
    assert sorted(skipped.message for skipped in outcome.skipped) == ["the order is CANCELLED", "the order is EXPIRED"]


def test_a_retried_email_goes_out_and_its_delivery_with_it(
    gateway: Gateway, operator: OperatorServiceStub, database: Database, valkey: redis.Redis
) -> None:
    order_id = ended(gateway, database, TOOK)
    email_id = refuse_mail(gateway, database, order_id)
    assert status(gateway, order_id).deliveries[0].state == order_pb2.DELIVERY_STATE_FAILED
    valkey.flushall()
    assert operator.RetryFailures(pb.RetryFailuresRequest(all=True)).retried == 1
    assert status(gateway, order_id).deliveries[0].state == order_pb2.DELIVERY_STATE_SENDING
    assert valkey.llen("dramatiq:mail") == 1
    with database.write() as session:
        claim = emails.claim_email(session, email_id, lease_seconds=60)
        assert claim
        assert emails.finish_sent(session, claim, smtp_reply="250 ok")
    delivery = status(gateway, order_id).deliveries[0]
    assert (delivery.state, delivery.failure.message) == (order_pb2.DELIVERY_STATE_SENT, "")
    assert operator.RetryFailures(pb.RetryFailuresRequest(failure_ids=[str(email_id)])).retried == 0


def test_a_delivery_that_failed_stays_so_while_another_one_is_open(
    gateway: Gateway, operator: OperatorServiceStub, database: Database
) -> None:
    order_id = ended(gateway, database, TOOK)
    email_id = refuse_mail(gateway, database, order_id)
    with database.write() as session:
        deliveries.insert_delivery(session, UUID(order_id), DeliveryState.QUEUED)
    outcome = operator.RetryFailures(pb.RetryFailuresRequest(failure_ids=[str(email_id)]))
    assert [skipped.message for skipped in outcome.skipped] == ["the order is being mailed already"]
    with database.read() as session:
        assert set(session.scalars(select(Delivery.state))) == {"FAILED", "QUEUED"}


def test_dropped_failures_are_off_the_list_and_their_originals_gone(
    gateway: Gateway, operator: OperatorServiceStub, database: Database
) -> None:
    order_id = ended(gateway, database, UNLUCKY, UNLUCKY)
    email_id = refuse_mail(gateway, database, order_id)
    first, _ = image_ids(gateway, order_id)
    # No worker has removed anything here: the originals are there.
    assert len(gateway.files()) == 2
    assert operator.DropFailures(pb.DropFailuresRequest(failure_ids=[first])).dropped == 1
    assert len(gateway.files()) == 1
    assert operator.DropFailures(pb.DropFailuresRequest(all=True)).dropped == 2
    assert gateway.files() == []
    assert not operator.ListFailures(pb.ListFailuresRequest()).failures
    outcome = operator.RetryFailures(pb.RetryFailuresRequest(failure_ids=[first, str(email_id)]))
    assert (outcome.retried, len(outcome.skipped)) == (0, 2)
    assert status(gateway, order_id).counts.failed == 2


def test_statistics_count_and_time_what_was_done(
    gateway: Gateway, operator: OperatorServiceStub, database: Database
) -> None:
    order_id = ended(gateway, database, *[TOOK] * 4, UNLUCKY)
    with database.write() as session:
        finished = session.scalar(select(Order.finished_at).where(Order.id == UUID(order_id)))
        assert finished
        for position, seconds in enumerate((1, 2, 3, 40), start=1):
            session.execute(
                update(Image)
                .where(Image.order_id == UUID(order_id), Image.position == position)
                .values(started_at=finished - seconds * 1_000_000, finished_at=finished)
            )
        session.execute(update(Order).values(created_at=finished - 50_000_000))
    points = operator.GetStatistics(
        pb.GetStatisticsRequest(span=Duration(seconds=600), step=Duration(seconds=60))
    ).points
    assert 10 <= len(points) <= 12
    assert sum(point.orders for point in points) == 1
    assert sum(point.images_succeeded for point in points) == 4
    assert sum(point.images_failed for point in points) == 1
    (busy,) = [point for point in points if point.images_succeeded]
    assert (busy.work_p50.seconds, busy.work_p95.seconds) == (2, 40)
    assert busy.wait_p50.seconds == 48


def test_keys_are_made_listed_rotated_and_revoked(
    operator: OperatorServiceStub,
) -> None:
    made = [
        operator.CreateApiKey(pb.CreateApiKeyRequest(name=f"key {number}", role=operator_pb2.API_KEY_ROLE_VIEWER))
        for number in range(3)
    ]
    assert len({answer.key for answer in made}) == 3
    first = made[0].api_key
    assert made[0].key.startswith(first.hint)
    assert first.created_by == "anonymous"
    seen: set[str] = set()
    token = ""
    while True:
        page = operator.ListApiKeys(pb.ListApiKeysRequest(page_size=2, page_token=token))
        seen |= {key.api_key_id for key in page.api_keys}
        token = page.next_page_token
        if not token:
            break
    assert seen == {answer.api_key.api_key_id for answer in made}
    rotated = operator.RotateApiKey(pb.RotateApiKeyRequest(api_key_id=first.api_key_id))
    assert rotated.key != made[0].key
    assert rotated.api_key.api_key_id == first.api_key_id
    for _ in range(2):
        revoked = operator.RevokeApiKey(pb.RevokeApiKeyRequest(api_key_id=first.api_key_id)).api_key
        assert revoked.HasField("revoke_time")
    refused(
        grpc.StatusCode.FAILED_PRECONDITION,
        operator.RotateApiKey,
        pb.RotateApiKeyRequest(api_key_id=first.api_key_id),
    )
    assert len(operator.ListApiKeys(pb.ListApiKeysRequest()).api_keys) == 2
    assert len(operator.ListApiKeys(pb.ListApiKeysRequest(include_inactive=True)).api_keys) == 3
    entries = operator.ListAuditEntries(pb.ListAuditEntriesRequest(action="CreateApiKey", page_size=2))
    assert len(entries.entries) == 2
    assert entries.next_page_token
    assert all(answer.key not in str(entries) for answer in made)


def test_a_viewer_looks_and_an_administrator_acts(
    settings: GatewaySettings,
    make: Callable[..., str],
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(key_cache, "REFRESH_SECONDS", 0.05)
    looks: list[tuple[str, Any]] = [
        ("ListQueues", pb.ListQueuesRequest()),
        ("ListWorkers", pb.ListWorkersRequest()),
        ("ListOrders", pb.ListOrdersRequest()),
        ("ListFailures", pb.ListFailuresRequest()),
        ("GetStatistics", pb.GetStatisticsRequest()),
        ("ListAuditEntries", pb.ListAuditEntriesRequest()),
    ]
    acts: list[tuple[str, Any]] = [
        ("PauseQueue", pb.PauseQueueRequest(queue="blur")),
        ("ResumeQueue", pb.ResumeQueueRequest(queue="blur")),
        ("PurgeQueue", pb.PurgeQueueRequest(queue="mail")),
        ("RetryFailures", pb.RetryFailuresRequest(all=True)),
        ("DropFailures", pb.DropFailuresRequest(all=True)),
        ("CreateApiKey", pb.CreateApiKeyRequest(role=operator_pb2.API_KEY_ROLE_CLIENT)),
        ("ListApiKeys", pb.ListApiKeysRequest()),
    ]
    with running(settings.model_copy(update={"require_keys": True})) as gateway:
        operator = OperatorServiceStub(gateway.channel)
        client, viewer, admin = make(Role.CLIENT), make(Role.VIEWER), make(Role.ADMIN)
        for key in (client, viewer, admin):
            known(gateway, key)
        before = audited(database)
        for name, request in (*looks, *acts):
            call = getattr(operator, name)
            refused(grpc.StatusCode.UNAUTHENTICATED, call, request)
            error = refused(grpc.StatusCode.PERMISSION_DENIED, with_key(call, client), request)
            assert reason(error) == "ROLE_NOT_ALLOWED"
        for name, request in acts:
            refused(grpc.StatusCode.PERMISSION_DENIED, with_key(getattr(operator, name), viewer), request)
        asks = pb.ListOrdersRequest(filter=Orders(email="ann@example.org"))
        refused(grpc.StatusCode.PERMISSION_DENIED, with_key(operator.ListOrders, viewer), asks)
        assert audited(database) == before
        for name, request in looks:
            getattr(operator, name)(request, metadata=bearer(viewer))
        for name, request in (*looks, *acts):
            getattr(operator, name)(request, metadata=bearer(admin))
        assert {principal for principal, _, _ in audited(database)[len(before) :]} == {f"key:{key_of(database, admin)}"}


def key_of(database: Database, key: str) -> UUID:
    from tests.integration.gateway.test_keys import key_id

    return key_id(database, key)


def test_without_keys_on_another_address_strangers_are_no_operators(settings: GatewaySettings) -> None:
    open_to_all = GatewaySettings.model_validate(
        {**settings.model_dump(), "allow_anonymous": True, "gateway_address": "0.0.0.0:0"}
    )
    with running(open_to_all) as gateway:
        order(gateway)
        operator = OperatorServiceStub(gateway.channel)
        error = refused(grpc.StatusCode.PERMISSION_DENIED, operator.ListQueues, pb.ListQueuesRequest())
        assert reason(error) == "ROLE_NOT_ALLOWED"


def test_what_was_not_done_is_not_recorded(database: Database) -> None:
    def fail() -> None:
        with database.write() as session:
            assert workers.pause(session, "blur", "x")
            audit.record(session, AuditContext("x", "PauseQueue"), "queues/blur")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert audited(database) == []


def test_workers_tell_what_their_settings_lack(operator: OperatorServiceStub, database: Database) -> None:
    with database.write() as session:
        for queue, warnings in (
            ("mail", '[["no_public_url", "", "IMAGEBLUR_PUBLIC_URL: not set"]]'),
            ("mailing", None),
        ):
            workers.insert_worker(session, uuid4(), queue, host="h", pid=1, version="1", slots=1, warnings=warnings)
    mail, mailing = operator.ListWorkers(pb.ListWorkersRequest()).workers
    assert [(it.code, it.message) for it in mail.warnings] == [("no_public_url", "IMAGEBLUR_PUBLIC_URL: not set")]
    assert not mailing.warnings
