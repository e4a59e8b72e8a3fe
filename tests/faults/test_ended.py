"""Orders that are cancelled or deleted in the middle of their work, and workers killed on top of it."""

import shutil
import time
from collections.abc import Callable

import grpc
import pytest
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1.order_pb2 import DeliveryState, ImageState, OrderState

from tests.faults import audit, leak_checks
from tests.faults.fleet import Fleet, kill_service, lives
from tests.faults.kill_at_stage import held, state
from tests.faults.recording_client import Accepted, Customer
from tests.faults.report import Line
from tests.support.waiting import eventually

HOLDS = {"child-blurring": "running", "worker-storing": "storing", "worker-finish": "stored, before the finish"}


@pytest.mark.parametrize("killed", [False, True], ids=["goes on", "killed"])
@pytest.mark.parametrize("hold", HOLDS)
def test_a_cancelled_order_stays_cancelled(
    fleet: Fleet, customer: Customer, hold: str, killed: bool, tell: Callable[[Line], None]
) -> None:
    accepted, reached = held(fleet, customer, hold)
    seen = state(customer, accepted)
    assert lives(reached.pid)
    at = time.time()
    customer.call(lambda stub: stub.CancelOrder(pb.CancelOrderRequest(order_id=accepted.order_id)))
    if killed:
        kill_service(reached.pid)
    fleet.stages.disarm(hold)
    order, images = audit.ended(customer, accepted)
    done = time.time()
    assert order.state == OrderState.ORDER_STATE_CANCELLED
    assert {image.state for image in images} <= {ImageState.IMAGE_STATE_CANCELLED, ImageState.IMAGE_STATE_SUCCEEDED}
    assert [delivery.state for delivery in order.deliveries] == [DeliveryState.DELIVERY_STATE_CANCELLED]
    assert not fleet.sink.to(accepted.address)
    tell(Line(f"CancelOrder{' and kill -9 blur_worker' if killed else ''}", HOLDS[hold], fleet.kind, seen, done - at))


@pytest.mark.parametrize("killed", [False, True], ids=["goes on", "killed"])
@pytest.mark.parametrize("hold", HOLDS)
def test_a_deleted_order_leaves_nothing(
    fleet: Fleet, customer: Customer, hold: str, killed: bool, tell: Callable[[Line], None]
) -> None:
    accepted, reached = held(fleet, customer, hold)
    seen = state(customer, accepted)
    assert lives(reached.pid)
    at = time.time()
    customer.call(lambda stub: stub.DeleteOrder(pb.DeleteOrderRequest(order_id=accepted.order_id)))
    if killed:
        kill_service(reached.pid)
    fleet.stages.disarm(hold)
    # The worker's other image may have been stored after the delete, and nobody left to notice: see below.
    kinds = "source" if killed else "*"
    eventually(lambda: not list((fleet.blobs / "orders").glob(f"{accepted.order_id}/{kinds}/*")))
    done = time.time()
    leak_checks.check_blobs(fleet)
    shutil.rmtree(fleet.blobs / "orders" / accepted.order_id, ignore_errors=True)
    for gateway in (0, 1):
        assert _unknown(customer, accepted, gateway)
    assert not fleet.sink.to(accepted.address)
    tell(Line(f"DeleteOrder{' and kill -9 blur_worker' if killed else ''}", HOLDS[hold], fleet.kind, seen, done - at))


def test_a_result_that_comes_after_the_delete_is_owned(fleet: Fleet, customer: Customer) -> None:
    accepted, _ = held(fleet, customer, "worker-storing")
    customer.call(lambda stub: stub.DeleteOrder(pb.DeleteOrderRequest(order_id=accepted.order_id)))
    fleet.stages.arm("worker-finish")
    fleet.stages.disarm("worker-storing")
    late = fleet.stages.wait_reached("worker-finish")
    assert accepted.order_id in late.work
    kill_service(late.pid)
    fleet.stages.disarm("worker-finish")
    try:
        leak_checks.check_blobs(fleet)
    finally:
        shutil.rmtree(fleet.blobs / "orders" / accepted.order_id, ignore_errors=True)


def _unknown(customer: Customer, accepted: Accepted, gateway: int) -> bool:
    with pytest.raises(grpc.RpcError) as caught:
        customer.status(accepted.order_id, first=gateway)
    return bool(caught.value.code() == grpc.StatusCode.NOT_FOUND)
