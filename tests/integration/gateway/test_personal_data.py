"""The personal data of an address: exported, and erased with all blobs."""

import json

import pytest
from sqlalchemy import select

from services.common.db.access.audit import AuditContext
from services.common.db.engine import Database
from services.common.db.models import AuditEntry, Email, Order, Subscriber
from services.common.domain.orders import result_key
from services.common.infra.blobs import BlobStore, MissingBlob
from services.common.infra.broker import Broker
from services.common.use_cases.order_lifecycle import make_lifecycle
from services.gateway.operator.personal_data import PersonalData
from tests.integration.mailer.making import make_order, make_subscriber

CONTEXT = AuditContext("test", "Test")


def test_a_persons_data_is_exported_and_erased(database: Database, blobs: BlobStore, queues: Broker) -> None:
    make_subscriber(database, "ann@example.org")
    make_subscriber(database, "bob@example.org")
    made = make_order(database, blobs, [b"one"], email="Ann@example.org")
    other = make_order(database, blobs, [b"two"], email="bob@example.org")
    people = PersonalData(database, make_lifecycle(database, blobs, queues, window=1))
    records = {record["type"]: record for record in map(json.loads, people.export(CONTEXT, "ann@example.org"))}
    assert records["subscription"]["state"] == "CONFIRMED"
    assert (records["order"]["id"], records["order"]["email"]) == (str(made.order_id), "Ann@example.org")
    assert records["image"]["filename"] == "secret 1.png"
    assert not {"owner", "cleaned_up", "tidied", "revision"} & set(records["image"]), "they are not about a person"
    assert records["delivery"]["requested_at"].endswith("+00:00")
    assert people.erase(CONTEXT, "ann@example.org") == 1
    with database.read() as session:
        assert list(session.scalars(select(Subscriber.email))) == ["bob@example.org"]
        assert list(session.scalars(select(Order.id))) == [other.order_id]
        assert len(session.scalars(select(Email)).all()) == 1
        assert not any(
            "example.org" in f"{entry.subject}{entry.detail}" for entry in session.scalars(select(AuditEntry))
        )
    with pytest.raises(MissingBlob):
        blobs.get(result_key(made.order_id, 1))
    assert blobs.get(result_key(other.order_id, 1)) == b"two"
    assert list(people.export(CONTEXT, "ann@example.org")) == []
