"""An order placed at one gateway and watched at the other, which is killed in the middle."""

import time
from collections.abc import Callable, Iterator

import grpc
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1.order_pb2 import ImageState

from tests.faults import audit
from tests.faults.fleet import Fleet, kill_service
from tests.faults.recording_client import Customer
from tests.faults.report import Line
from tests.faults.samples import many
from tests.support.waiting import eventually

COUNT = 8


def test_a_watch_goes_on_at_the_other_gateway(fleet: Fleet, customer: Customer, tell: Callable[[Line], None]) -> None:
    # One image stays with one worker, the other has all others: the order ends when it is let go.
    fleet.stages.arm("worker-finish")
    accepted = customer.order(many(COUNT), first=0)
    seen: dict[str, ImageState.ValueType] = {}
    revision = 0
    watch = customer.stubs[1].WatchStatus(pb.WatchStatusRequest(order_id=accepted.order_id), timeout=60)
    for change in watch:
        revision = max(revision, change.order.revision)
        seen |= {image.filename: image.state for image in change.changed_images}
        if change.order.counts.succeeded >= 2:
            break
    counts = change.order.counts
    at = time.time()
    kill_service(fleet.pid("gateway-2"))
    assert _code_at_its_end(watch) == grpc.StatusCode.UNAVAILABLE
    fleet.stages.disarm("worker-finish")

    request = pb.WatchStatusRequest(order_id=accepted.order_id, after_revision=revision)
    for change in customer.stubs[0].WatchStatus(request, timeout=60):
        seen |= {image.filename: image.state for image in change.changed_images}
    assert set(seen.values()) == {ImageState.IMAGE_STATE_SUCCEEDED}
    assert len(seen) == COUNT
    settled = audit.settle(fleet, customer, accepted)
    eventually(lambda: fleet.records("gateway-2"), within=30)
    state = f"{counts.succeeded} of {counts.total} served, the rest by the other gateway"
    tell(Line("kill -9 gateway", "watching", fleet.kind, state, settled.at - at))


def _code_at_its_end(watch: Iterator[pb.WatchStatusResponse]) -> grpc.StatusCode:
    try:
        for _ in watch:
            pass
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK
