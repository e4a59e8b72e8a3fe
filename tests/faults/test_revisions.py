"""kill -9 of a child, or of its worker, in a revision: a result is the former one or the new one, no mixture."""

import hashlib
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1.order_pb2 import BlurSpec, Gaussian, ImageState, OrderState, Solid

from services.blur_worker.engine import Limits, blur
from services.common.domain import spec as domain
from tests.faults import audit, leak_checks
from tests.faults.fleet import Fleet
from tests.faults.kill_at_stage import kill_there
from tests.faults.recording_client import ANSWER_SECONDS, Accepted, Customer
from tests.faults.samples import SAMPLES

FIRST, SECOND = BlurSpec(gaussian=Gaussian(sigma_px=3)), BlurSpec(solid=Solid(color="#204060"))
FILES = dict(list(SAMPLES.items())[:3])
KILLS = [
    ("blur child", "child-blurring"),
    ("blur_worker", "child-blurring"),
    ("blur_worker", "worker-storing"),
    ("blur_worker", "worker-finish"),
]


def results_of(effect: domain.Effect) -> list[str]:
    """The SHA-256 of each file's result."""
    spec = domain.BlurSpec(effect)
    return [hashlib.sha256(blur(data, spec, Limits(max_pixels=1 << 24)).data).hexdigest() for data in FILES.values()]


def place(customer: Customer) -> Accepted:
    """An order that keeps its originals, also if the clock is set an hour ahead; finished."""
    header = pb.OrderHeader(
        email="reviser@example.org", spec=FIRST, request_id=str(uuid4()), keep_originals_for=Duration(seconds=7200)
    )
    images = [pb.InputImage(filename=name, data=data) for name, data in FILES.items()]
    request = pb.BlurOrderRequest(order=header, images=images)
    order = customer.call(lambda stub: stub.BlurOrder(request, timeout=ANSWER_SECONDS)).order
    accepted = Accepted(order.order_id, header.email, tuple(FILES), 0, 0.0)
    audit.ended(customer, accepted)
    return accepted


def revise(customer: Customer, accepted: Accepted, spec: BlurSpec) -> None:
    request = pb.ReviseImagesRequest(order_id=accepted.order_id, request_id=str(uuid4()), spec=spec)
    customer.call(lambda stub: stub.ReviseImages(request, timeout=ANSWER_SECONDS))


def downloaded(customer: Customer, accepted: Accepted) -> list[str]:
    _, images = customer.status(accepted.order_id)
    while True:
        try:
            files = customer.download(accepted.order_id)
        except grpc.RpcError as error:
            # A result was replaced under the download: it is to be asked for again (ADR 32).
            if error.code() != grpc.StatusCode.NOT_FOUND:
                raise
        else:
            break
    return [hashlib.sha256(files[image.image_id]).hexdigest() for image in images]


@pytest.mark.parametrize(("victim", "hold"), KILLS, ids=str)
def test_a_kill_in_a_revision_leaves_no_mixture(fleet: Fleet, customer: Customer, *, victim: str, hold: str) -> None:
    former, new = results_of(domain.Gaussian(3)), results_of(domain.Solid("#204060"))
    accepted = place(customer)
    assert downloaded(customer, accepted) == former
    fleet.stages.arm(hold)
    revise(customer, accepted, SECOND)
    reached = fleet.stages.wait_reached(hold)
    kill_there(fleet, reached, only=reached.pid if victim == "blur child" else None)
    seen: list[Any] = []
    order, _ = customer.status(accepted.order_id)
    while order.state == OrderState.ORDER_STATE_RUNNING:
        seen.append(downloaded(customer, accepted))
        order, _ = customer.status(accepted.order_id)
    for results in [*seen, downloaded(customer, accepted)]:
        assert all(result in pair for result, pair in zip(results, zip(former, new, strict=True), strict=True)), results
    order, images = audit.ended(customer, accepted)
    assert [image.state for image in images] == [ImageState.IMAGE_STATE_SUCCEEDED] * len(FILES)
    assert downloaded(customer, accepted) == new
    revise(customer, accepted, FIRST)
    audit.ended(customer, accepted)
    assert downloaded(customer, accepted) == former
    customer.call(lambda stub: stub.DeleteOrder(pb.DeleteOrderRequest(order_id=accepted.order_id), timeout=15))


def test_nothing_is_left(fleet: Fleet, customer: Customer) -> None:
    leak_checks.calm(fleet, customer)
