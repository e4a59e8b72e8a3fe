"""The personal data of an address: exported, erased, and its suppression lifted."""

import json

import pytest
from sqlalchemy import select

from services.common.db.access.audit import AuditContext
from services.common.db.engine import Database
from services.common.db.mail import subscribers
from services.common.db.models import AuditEntry, Email, Order, Subscriber
from services.common.domain.mail import SubscriberState
from services.common.domain.orders import result_key
from services.common.infra.blobs import BlobStore, MissingBlob
from services.common.infra.broker import Broker
from services.gateway.operator.personal_data import PersonalData
from services.gateway.orders.use_cases import UseCases
from tests.support.mail_factories import make_order, make_subscriber

AUTHOR = AuditContext("admin", "Erase")


@pytest.fixture
def personal_data(database: Database, blobs: BlobStore, queues: Broker) -> PersonalData:
    return PersonalData(database, UseCases(database, blobs, queues, window=1))


def test_the_data_of_an_address_is_exported_and_erased(
    personal_data: PersonalData, database: Database, blobs: BlobStore
) -> None:
    make_subscriber(database, "ann@example.org")
    make_subscriber(database, "bob@example.org")
    made = make_order(database, blobs, [b"one"], email="Ann@example.org")
    other = make_order(database, blobs, [b"two"], email="bob@example.org")
    records = [json.loads(line) for line in personal_data.export(AUTHOR, "ann@example.org")]
    assert [record["type"] for record in records] == ["subscription", "order", "image", "delivery", "email"]
    subscription, order, image, delivery, _ = records
    assert subscription["state"] == SubscriberState.CONFIRMED
    assert (order["id"], order["email"]) == (str(made.order_id), "Ann@example.org")
    assert image["filename"] == "secret 1.png"
    assert delivery["requested_at"].endswith("+00:00")
    assert personal_data.erase(AUTHOR, "ann@example.org") == 1
    with database.read() as session:
        assert list(session.scalars(select(Subscriber.email))) == ["bob@example.org"]
        assert list(session.scalars(select(Order.id))) == [other.order_id]
        assert len(session.scalars(select(Email)).all()) == 1
    with pytest.raises(MissingBlob):
        blobs.get(result_key(made.order_id, 1))
    assert blobs.get(result_key(other.order_id, 1)) == b"two"
    assert list(personal_data.export(AUTHOR, "ann@example.org")) == []


def test_a_suppression_is_lifted_once(personal_data: PersonalData, database: Database) -> None:
    subscriber_id = make_subscriber(database, "ann@example.org")
    with database.write() as session:
        subscribers.suppress(session, subscriber_id, "550 5.1.1 unknown")
    assert personal_data.lift_suppression(AUTHOR, "ann@example.org")
    assert not personal_data.lift_suppression(AUTHOR, "ann@example.org")
    with database.read() as session:
        subscriber = subscribers.get(session, subscriber_id)
        assert subscriber
        assert subscriber.state == SubscriberState.UNSUBSCRIBED
        assert len(session.scalars(select(AuditEntry.id)).all()) == 1
