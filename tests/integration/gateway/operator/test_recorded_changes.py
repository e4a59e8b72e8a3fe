"""What customers change of orders is recorded in the audit log: by whom, how, and of which order."""

from collections.abc import Callable

import pytest
from imageblur.v1 import blur_service_pb2 as blur
from imageblur.v1 import order_pb2
from sqlalchemy import select

from services.common.db.engine import Database
from services.common.db.models import AuditEntry
from tests.integration.gateway.conftest import Gateway
from tests.integration.gateway.operator.operating import TOOK, image_ids, work
from tests.integration.gateway.test_orders import HEADER, PICTURE

SPEC = order_pb2.BlurSpec(gaussian=order_pb2.Gaussian(sigma_px=3))
RECORDED_CHANGES: dict[str, Callable[[Gateway, str], object]] = {
    "CancelOrder": lambda gateway, order: gateway.blur.CancelOrder(blur.CancelOrderRequest(order_id=order)),
    "DeleteOrder": lambda gateway, order: gateway.blur.DeleteOrder(blur.DeleteOrderRequest(order_id=order)),
    "DeleteOriginals": lambda gateway, order: gateway.blur.DeleteOriginals(blur.DeleteOriginalsRequest(order_id=order)),
    "ReviseImages": lambda gateway, order: gateway.blur.ReviseImages(
        blur.ReviseImagesRequest(order_id=order, spec=SPEC)
    ),
    "RotateWebhookSecret": lambda gateway, _: gateway.blur.RotateWebhookSecret(blur.RotateWebhookSecretRequest()),
    "SendImages": lambda gateway, order: gateway.blur.SendImages(
        blur.SendImagesRequest(order_id=order, when_ready=True)
    ),
}
"""The RPCs of customers that are recorded."""
SUBJECTS = {"RotateWebhookSecret": "webhookSecrets/anonymous"}
"""Of those that are not about an order."""
OF_FINISHED_ORDERS = {"DeleteOriginals", "ReviseImages"}


@pytest.mark.parametrize("method", RECORDED_CHANGES)
def test_a_change_by_a_customer_is_recorded_once(gateway: Gateway, database: Database, method: str) -> None:
    header = blur.OrderHeader(email=HEADER.email, spec=HEADER.spec)
    header.keep_originals_for.FromSeconds(60)
    order_id = gateway.blur.BlurOrder(blur.BlurOrderRequest(order=header, images=[PICTURE])).order.order_id
    if method in OF_FINISHED_ORDERS:
        work(database, image_ids(gateway, order_id)[0], TOOK)
    RECORDED_CHANGES[method](gateway, order_id)
    if method in {"CancelOrder", "DeleteOriginals"}:  # changes nothing any more
        RECORDED_CHANGES[method](gateway, order_id)
    with database.read() as session:
        entries = session.scalars(select(AuditEntry)).all()
    assert [(entry.principal, entry.action, entry.subject) for entry in entries] == [
        ("anonymous", method, SUBJECTS.get(method, f"orders/{order_id}"))
    ]
    assert HEADER.email not in str([entry.detail for entry in entries])
