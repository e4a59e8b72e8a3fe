"""Personal data: exported record by record, erased with its blobs, a suppression lifted; each change audited."""

import json
from uuid import UUID

import pytest
from imageblur.v1 import blur_service_pb2 as blur_pb
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1.operator_service_pb2_grpc import OperatorServiceStub
from sqlalchemy import select

from services.common.db.engine import Database
from services.common.db.mail import mailboxes, subscribers
from services.common.db.models import Order, Subscriber
from services.common.domain.mailboxes import MailboxHasher
from tests.integration.gateway.conftest import SECRET, Gateway
from tests.integration.gateway.operator.operating import audited
from tests.integration.gateway.test_orders import PICTURE, order

ADDRESS = "Ann@example.org"  # as in test_orders.HEADER, but for its case


@pytest.fixture
def subscriber_id(database: Database) -> UUID:
    with database.write() as session:
        subscribers.subscribe(session, email=ADDRESS, email_key=ADDRESS.casefold(), locale="en", confirm=False)
        subscribers.subscribe(session, email="bob@example.org", email_key="bob@example.org", locale="en", confirm=False)
        return session.scalars(select(Subscriber.id).where(Subscriber.email_key == ADDRESS.casefold())).one()


def export(operator: OperatorServiceStub) -> list[dict[str, object]]:
    request = pb.ExportPersonalDataRequest(email=ADDRESS)
    return [json.loads(record.json) for record in operator.ExportPersonalData(request)]


@pytest.mark.usefixtures("subscriber_id")
def test_it_is_exported_and_erased_and_that_of_others_stays(
    gateway: Gateway, operator: OperatorServiceStub, database: Database
) -> None:
    placed = order(gateway, notify=True)
    with database.write() as session:
        mailboxes.confirm(session, MailboxHasher(SECRET).hash(ADDRESS))
    records = export(operator)
    types = [record["type"] for record in records]
    assert types == ["subscription", "confirmation", "order", "image", "image", "delivery"]
    subscription, _, found, image = records[:4]
    assert (subscription["email"], subscription["state"]) == (ADDRESS, "CONFIRMED")
    assert (found["id"], found["email"]) == (placed.order_id, "ann@example.org")
    assert image["position"] == 1
    assert str(records[-1]["requested_at"]).endswith("+00:00")
    assert not {"owner", "revision", "principal", "token_version", "mailbox"} & set().union(*records)
    erase = pb.ErasePersonalDataRequest(email=ADDRESS)
    assert [operator.ErasePersonalData(erase).orders for _ in range(2)] == [1, 0]
    assert export(operator) == []
    assert not gateway.files()
    with database.read() as session:
        assert list(session.scalars(select(Order.id))) == []
        assert list(session.scalars(select(Subscriber.email))) == ["bob@example.org"]
    assert [action for _, action, _ in audited(database)] == [
        "ExportPersonalData",
        "ErasePersonalData",
        "ErasePersonalData",
        "ExportPersonalData",
    ]


def test_an_address_that_an_order_got_later_is_erased_with_it(gateway: Gateway, operator: OperatorServiceStub) -> None:
    placed = gateway.blur.BlurOrder(blur_pb.BlurOrderRequest(images=[PICTURE])).order
    assert export(operator) == []
    send = blur_pb.SendImagesRequest(order_id=placed.order_id, email=ADDRESS, when_ready=True)
    gateway.blur.SendImages(send)
    records = export(operator)
    assert [record["type"] for record in records] == ["order", "image", "delivery"]
    assert "email_principal" not in records[0]
    assert operator.ErasePersonalData(pb.ErasePersonalDataRequest(email=ADDRESS)).orders == 1
    assert not gateway.files()


def test_a_suppression_is_lifted_once(operator: OperatorServiceStub, database: Database, subscriber_id: UUID) -> None:
    with database.write() as session:
        subscribers.suppress(session, subscriber_id, "550 5.1.1 unknown")
    assert export(operator)[0]["reason"] == "550 5.1.1 unknown"
    request = pb.LiftSuppressionRequest(email=ADDRESS)
    assert [operator.LiftSuppression(request).lifted for _ in range(2)] == [True, False]
    with database.read() as session:
        assert session.get_one(Subscriber, subscriber_id).state == "UNSUBSCRIBED"


def test_unfinished_uploads_are_exported_and_erased(gateway: Gateway, operator: OperatorServiceStub) -> None:
    image = blur_pb.ImageStart(filename="a.jpg", size_bytes=5)
    for address in (ADDRESS, "bob@example.org"):
        request = blur_pb.CreateUploadRequest(order=blur_pb.OrderHeader(email=address), images=[image])
        gateway.blur.CreateUpload(request)
    records = export(operator)
    assert [(record["type"], record["size"]) for record in records] == [("upload", 5)]
    assert not {"mailbox", "caller", "principal", "owner", "parts"} & records[0].keys()
    operator.ErasePersonalData(pb.ErasePersonalDataRequest(email=ADDRESS))
    assert export(operator) == []
    assert len(gateway.files()) == 1
