"""Failures that operators list, retry and dismiss."""

from uuid import UUID, uuid4

import redis
from imageblur.v1 import blur_service_pb2 as blur
from imageblur.v1 import operator_pb2, order_pb2
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1.operator_service_pb2_grpc import OperatorServiceStub
from sqlalchemy import select

from services.common.db.engine import Database
from services.common.db.mail import deliveries, emails
from services.common.db.models import Delivery
from services.common.db.orders import expiry
from services.common.domain.orders import DeliveryState
from tests.integration.gateway.conftest import Gateway
from tests.integration.gateway.operator.operating import (
    HOPELESS,
    TOOK,
    UNLUCKY,
    Failures,
    audited,
    ended,
    image_ids,
    queue,
    refuse_mail,
    status,
    work,
)
from tests.integration.gateway.test_orders import order
from tests.support.factories import end_retention


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
        end_retention(session, UUID(expired))
        expiry.expire(session, UUID(expired))
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


def test_dismissed_failures_are_off_the_list_and_their_originals_gone(
    gateway: Gateway, operator: OperatorServiceStub, database: Database
) -> None:
    order_id = ended(gateway, database, UNLUCKY, UNLUCKY)
    email_id = refuse_mail(gateway, database, order_id)
    first, _ = image_ids(gateway, order_id)
    # No worker has removed anything here: the originals are there.
    assert len(gateway.files()) == 2
    assert operator.DismissFailures(pb.DismissFailuresRequest(failure_ids=[first])).dismissed == 1
    assert len(gateway.files()) == 1
    assert operator.DismissFailures(pb.DismissFailuresRequest(all=True)).dismissed == 2
    assert gateway.files() == []
    assert not operator.ListFailures(pb.ListFailuresRequest()).failures
    outcome = operator.RetryFailures(pb.RetryFailuresRequest(failure_ids=[first, str(email_id)]))
    assert (outcome.retried, len(outcome.skipped)) == (0, 2)
    assert status(gateway, order_id).counts.failed == 2
