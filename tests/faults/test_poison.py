"""Images that crash, hang or exhaust their child, beside good ones in the same order."""

import time
from collections.abc import Callable

import pytest
from imageblur.v1.order_pb2 import FailureReason, ImageState, OrderState

from tests.faults import audit, leak_checks, poison
from tests.faults.fleet import Fleet
from tests.faults.recording_client import Customer
from tests.faults.report import Line
from tests.faults.samples import SAMPLES

POISONS = {
    "segfault": (poison.SEGFAULT, "CRASHED"),
    "hang": (poison.HANG, "TIMED_OUT"),
    "grow": (poison.GROW, "TOO_LARGE"),
    "text": (b"not an image at all", "NOT_AN_IMAGE"),
}


@pytest.mark.on("postgresql")
def test_a_bad_image_fails_alone(fleet: Fleet, customer: Customer, tell: Callable[[Line], None]) -> None:
    at = time.time()
    bad = customer.order({name: data for name, (data, _) in POISONS.items()} | SAMPLES)
    good = customer.order()
    settled = audit.settle(fleet, customer, good)
    order, images = audit.ended(customer, bad)
    assert order.state == OrderState.ORDER_STATE_PARTIALLY_FAILED
    audit.check_results(customer, bad, images)
    reasons = {
        image.filename: FailureReason.Name(image.failure.reason).removeprefix("FAILURE_REASON_")
        for image in images
        if image.state == ImageState.IMAGE_STATE_FAILED
    }
    assert reasons == {name: reason for name, (_, reason) in POISONS.items()}
    audit.wait_for_emails(fleet, customer, bad)
    leak_checks.calm(fleet, customer)
    seen = ", ".join(f"{name} {reason}" for name, reason in reasons.items())
    seconds = order.finish_time.ToNanoseconds() / 1e9 - at
    tell(Line("images that kill, hang or exhaust their child", "running", fleet.kind, seen, seconds))
    tell(Line("the same", "a good order beside it", fleet.kind, "all SUCCEEDED", settled.at - at))
