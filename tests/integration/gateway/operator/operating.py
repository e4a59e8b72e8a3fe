"""Orders as operators find them, and what the tests of OperatorService ask of them."""

from typing import Any
from uuid import UUID

from imageblur.v1 import blur_service_pb2 as blur
from imageblur.v1 import operator_pb2, order_pb2
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1.operator_service_pb2_grpc import OperatorServiceStub
from sqlalchemy import select

from services.common.db.engine import Database
from services.common.db.mail import emails
from services.common.db.models import AuditEntry, Email
from services.common.db.orders import image_claims, image_outcomes
from services.common.db.orders.image_outcomes import Failure, Success
from services.common.domain.errors import Reason
from tests.integration.gateway.conftest import Gateway
from tests.integration.gateway.test_orders import HEADER, PICTURE

Orders: Any = operator_pb2.OrderFilter

Failures: Any = operator_pb2.FailureFilter

TOOK = Success(size=10, sha256="00" * 32, width=4, height=3, format="JPEG", engine="test")

HOPELESS = Failure(Reason.CORRUPT, "the image is damaged")

UNLUCKY = Failure(Reason.TIMED_OUT, "the image took longer than 60 seconds")


def work(database: Database, image_id: str | UUID, outcome: Success | Failure) -> None:
    """What a worker does with an image that is in the queue."""
    with database.write() as session:
        claim = image_claims.claim(session, UUID(str(image_id)), lease_seconds=60)
    assert claim
    with database.write() as session:
        assert image_outcomes.finish(session, claim, outcome, window=100)


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
