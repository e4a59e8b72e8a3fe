"""Queues, workers and statistics for operators, over a socket, on both databases."""

from uuid import UUID, uuid4

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from imageblur.v1 import blur_service_pb2 as blur
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1 import order_pb2
from imageblur.v1.operator_service_pb2_grpc import OperatorServiceStub
from sqlalchemy import select, update

from services.common.db.access import audit
from services.common.db.access.audit import AuditContext
from services.common.db.engine import Database
from services.common.db.models import Email, Image, Order, Subscriber
from services.common.db.orders import image_claims
from services.common.db.queues import workers
from tests.integration.gateway.conftest import Gateway
from tests.integration.gateway.operator.operating import TOOK, UNLUCKY, audited, ended, image_ids, queue, status
from tests.integration.gateway.test_orders import order, refused
from tests.support.valkey import ValkeyServer


def test_queues_tell_how_much_there_is_to_do(
    gateway: Gateway, operator: OperatorServiceStub, database: Database, valkey_server: ValkeyServer
) -> None:
    placed = order(gateway, notify=True)
    first, _ = image_ids(gateway, placed.order_id)
    with database.write() as session:
        assert image_claims.claim(session, UUID(first), lease_seconds=60)
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
