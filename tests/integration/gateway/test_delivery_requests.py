"""E-mails with results, asked for by SendImages or with the order: when, how often, and to which address."""

from uuid import uuid4

import grpc
import redis
from google.rpc import error_details_pb2
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import order_pb2
from sqlalchemy import delete, select, update

from services.common.db.engine import Database
from services.common.db.models import Delivery, Email, Order
from services.common.domain.mailboxes import MailboxHasher
from tests.integration.gateway.conftest import SECRET, Gateway
from tests.integration.gateway.test_orders import PICTURE, details, order, refused


def test_mail_asked_for_too_early_says_how_far_it_is(gateway: Gateway) -> None:
    request = pb.SendImagesRequest(order_id=order(gateway).order_id)
    error = refused(grpc.StatusCode.FAILED_PRECONDITION, gateway.blur.SendImages, request)
    violations = details(error, error_details_pb2.PreconditionFailure).violations  # type: ignore[attr-defined]
    assert [violation.type for violation in violations] == ["ORDER_NOT_FINISHED"]
    assert "0 of 2 images" in violations[0].description


def test_mail_when_ready_waits_and_is_asked_for_once(gateway: Gateway) -> None:
    request = pb.SendImagesRequest(order_id=order(gateway).order_id, when_ready=True)
    first, second = gateway.blur.SendImages(request).delivery, gateway.blur.SendImages(request).delivery
    assert first.state == order_pb2.DELIVERY_STATE_WAITING
    assert first.delivery_id == second.delivery_id


def test_mail_of_a_finished_order_is_queued(gateway: Gateway, database: Database, valkey: redis.Redis) -> None:
    accepted = order(gateway)
    with database.write() as session:
        session.execute(update(Order).values(state="SUCCEEDED", succeeded=2))
    request_id = str(uuid4())
    request = pb.SendImagesRequest(order_id=accepted.order_id, request_id=request_id)
    first, second = gateway.blur.SendImages(request).delivery, gateway.blur.SendImages(request).delivery
    assert (first.state, first.emails, second) == (order_pb2.DELIVERY_STATE_QUEUED, 1, first)
    assert valkey.llen("dramatiq:mail") == 1


def test_mail_asked_for_again_at_once_is_told_to_wait(gateway: Gateway, database: Database) -> None:
    accepted = order(gateway)
    with database.write() as session:
        session.execute(update(Order).values(state="SUCCEEDED", succeeded=2))
    request = pb.SendImagesRequest(order_id=accepted.order_id, request_id=str(uuid4()))
    first = gateway.blur.SendImages(request).delivery
    words = "250 2.0.0 queued as 4F1"
    with database.write() as session:
        session.execute(update(Delivery).values(state="SENT", message=words, finished_at=1))
    again = pb.SendImagesRequest(order_id=accepted.order_id)
    error = refused(grpc.StatusCode.RESOURCE_EXHAUSTED, gateway.blur.SendImages, again)
    info = details(error, error_details_pb2.ErrorInfo)
    assert info.reason == "MAIL_COOLDOWN"  # type: ignore[attr-defined]
    retry = details(error, error_details_pb2.RetryInfo).retry_delay  # type: ignore[attr-defined]
    assert 0 < retry.seconds <= 60
    repeat = gateway.blur.SendImages(request).delivery
    assert (repeat.delivery_id, repeat.server_reply) == (first.delivery_id, words), "a repeat is answered, and told"
    with database.write() as session:
        session.execute(update(Delivery).values(state="FAILED", reason="MAIL_REFUSED"))
    gateway.blur.SendImages(again)
    with database.write() as session:
        session.execute(
            update(Delivery).values(state="SENT", finished_at=1, requested_at=Delivery.requested_at - 61_000_000)
        )
    gateway.blur.SendImages(again)


def preconditions(error: grpc.RpcError) -> list[str]:
    violations = details(error, error_details_pb2.PreconditionFailure).violations  # type: ignore[attr-defined]
    return [violation.type for violation in violations]


def test_an_order_without_an_address_gets_one_with_its_first_email(gateway: Gateway, database: Database) -> None:
    placed = gateway.blur.BlurOrder(pb.BlurOrderRequest(images=[PICTURE, PICTURE])).order
    assert (placed.email_hint, placed.counts.total) == ("", 2)
    send = gateway.blur.SendImages
    too_early = pb.SendImagesRequest(order_id=placed.order_id, email="ann@example.org")
    assert preconditions(refused(grpc.StatusCode.FAILED_PRECONDITION, send, too_early)) == ["ORDER_NOT_FINISHED"]
    assert gateway.blur.Status(pb.StatusRequest(order_id=placed.order_id)).order.email_hint == "", "nothing was stored"
    with database.write() as session:
        session.execute(update(Order).values(state="SUCCEEDED", succeeded=2))
    bare = pb.SendImagesRequest(order_id=placed.order_id)
    error = refused(grpc.StatusCode.FAILED_PRECONDITION, send, bare)
    assert preconditions(error) == ["EMAIL_REQUIRED"]
    assert "set email" in (error.details() or "")
    with database.read() as session:
        assert session.scalars(select(Delivery)).all() == []

    request_id = str(uuid4())
    request = pb.SendImagesRequest(order_id=placed.order_id, email="Ann@example.org", request_id=request_id)
    first, again = send(request).delivery, send(request).delivery
    assert (first.state, again) == (order_pb2.DELIVERY_STATE_QUEUED, first)
    assert gateway.blur.Status(pb.StatusRequest(order_id=placed.order_id)).order.email_hint == "A***@example.org"
    with database.read() as session:
        row = session.scalars(select(Order)).one()
    assert row.mailbox == MailboxHasher(SECRET).hash("ann@example.org"), "its limits are those of the mailbox"
    assert row.email_principal == row.principal
    another = pb.SendImagesRequest(order_id=placed.order_id, email="bob@example.org", request_id=request_id)
    info = details(refused(grpc.StatusCode.INVALID_ARGUMENT, send, another), error_details_pb2.ErrorInfo)
    assert info.reason == "REQUEST_ID_REUSED"  # type: ignore[attr-defined]
    same = pb.SendImagesRequest(order_id=placed.order_id, email="ann@example.org")
    assert send(same).delivery.delivery_id == first.delivery_id


def test_an_address_is_replaced_until_an_email_was_sent_to_it(gateway: Gateway, database: Database) -> None:
    placed = order(gateway)
    request = pb.SendImagesRequest(order_id=placed.order_id, email="ann@exmaple.org")
    with database.write() as session:
        session.execute(update(Order).values(state="SUCCEEDED", succeeded=2))
    gateway.blur.SendImages(request)
    right = pb.SendImagesRequest(order_id=placed.order_id, email="ann@example.com")
    error = refused(grpc.StatusCode.FAILED_PRECONDITION, gateway.blur.SendImages, right)
    assert preconditions(error) == ["EMAIL_ALREADY_USED"], "a delivery is open"
    with database.write() as session:
        session.execute(update(Delivery).values(state="FAILED", reason="MAIL_REFUSED"))
        session.execute(update(Email).values(state="FAILED"))
    gateway.blur.SendImages(right)
    assert gateway.blur.Status(pb.StatusRequest(order_id=placed.order_id)).order.email_hint == "a***@example.com"
    with database.write() as session:
        session.execute(update(Delivery).values(state="SENT"))
        session.execute(update(Email).values(state="SENT", sent_at=1))
    error = refused(grpc.StatusCode.FAILED_PRECONDITION, gateway.blur.SendImages, request)
    assert preconditions(error) == ["EMAIL_ALREADY_USED"]
    with database.write() as session:
        session.execute(delete(Delivery))
        session.execute(update(Order).values(state="EXPIRED", email=None, mailbox=None))
    error = refused(grpc.StatusCode.FAILED_PRECONDITION, gateway.blur.SendImages, right)
    assert preconditions(error) == ["ORDER_EXPIRED"], "it gets no address again"
