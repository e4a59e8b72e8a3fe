"""An image that fails for a temporary reason."""

from uuid import UUID

from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1.operator_service_pb2_grpc import OperatorServiceStub
from imageblur_client import Client
from sqlalchemy import select

from services.common.db.engine import Database
from services.common.db.models import Image
from services.common.db.orders import image_claims, image_outcomes
from services.common.db.orders.image_outcomes import Failure
from services.common.domain.errors import Reason
from services.stack.background import BackgroundStack
from tests.e2e.conftest import PHOTOGRAPHS
from tests.support.waiting import eventually


def crash_image(stack: BackgroundStack, client: Client, operator: OperatorServiceStub, email: str) -> str:
    """Return the id of an order whose only image has crashed too often.

    The queue is paused meanwhile, so that the worker of the stack does not blur the image.
    """
    database = Database(f"sqlite:///{stack.data_folder.database}")
    operator.PauseQueue(pb.PauseQueueRequest(queue="blur"))
    try:
        order_id = eventually(lambda: _crash(database, client, email))
    finally:
        operator.ResumeQueue(pb.ResumeQueueRequest(queue="blur"))
        database.close()
    assert order_id
    return order_id


def _crash(database: Database, client: Client, email: str) -> str | None:
    """Return None if the worker, which notices the pause within half a second, was faster."""
    order_id = client.order(email, [PHOTOGRAPHS / "rocket.jpg"]).order_id
    with database.write() as session:
        image_id = session.scalars(select(Image.id).where(Image.order_id == UUID(order_id))).one()
        claim = image_claims.claim(session, image_id, lease_seconds=60)
        if claim is None:
            return None
        failure = Failure(Reason.CRASHED, "the image ended the process that worked on it, three times")
        assert image_outcomes.finish(session, claim, failure, window=1)
    return order_id
