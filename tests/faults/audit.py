"""What has to be right of an order after a fault, whatever it was. Each check raises AssertionError."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass

from imageblur.v1.order_pb2 import DeliveryState, Image, ImageState, Order, OrderState

from tests.faults.fleet import Fleet
from tests.faults.recording_client import Accepted, Customer
from tests.faults.samples import sample_of
from tests.support.waiting import eventually

ENDED = {ImageState.IMAGE_STATE_SUCCEEDED, ImageState.IMAGE_STATE_FAILED, ImageState.IMAGE_STATE_CANCELLED}
OPEN = {OrderState.ORDER_STATE_QUEUED, OrderState.ORDER_STATE_RUNNING}


@dataclass(frozen=True)
class Settled:
    """An order that has come to its end. at: when its last part did, seconds since 1970."""

    order: Order
    images: list[Image]
    at: float
    emails: int
    repeats: int


def settle(
    fleet: Fleet,
    customer: Customer,
    accepted: Accepted,
    *,
    repeats: int = 0,
    mailers_killed: Collection[float] = (),
    within: float = 90.0,
) -> Settled:
    """Wait until an order has ended and its mail has come; all images succeeded, as in an undisturbed run."""
    order, images = ended(customer, accepted, within)
    assert order.state == OrderState.ORDER_STATE_SUCCEEDED, order
    assert [image.state for image in images] == [ImageState.IMAGE_STATE_SUCCEEDED] * len(accepted.images), images
    check_results(customer, accepted, images)
    wait_for_emails(fleet, customer, accepted)
    more = check_emails(fleet, accepted, repeats=repeats, mailers_killed=mailers_killed)
    received = fleet.sink.to(accepted.address)
    finished = order.finish_time.ToNanoseconds() / 1e9
    # Of an e-mail that came twice the second ends the matter.
    return Settled(order, images, max([finished, *(email.at for email in received)]), len(received), more)


def ended(customer: Customer, accepted: Accepted, within: float = 90.0) -> tuple[Order, list[Image]]:
    """Wait until every image that was accepted has ended, and ask the other gateway as well."""

    def over() -> tuple[Order, list[Image]] | None:
        order, images = customer.status(accepted.order_id)
        done = order.state not in OPEN and {image.state for image in images} <= ENDED
        return (order, images) if done else None

    found = eventually(over, within, every=0.1)
    assert found
    order, images = found
    assert len(images) == len(accepted.images), "images are missing"
    for gateway in (0, 1):
        again, same = customer.status(accepted.order_id, first=gateway)
        assert (again.state, same) == (order.state, images)
    return order, images


def check_results(customer: Customer, accepted: Accepted, images: Collection[Image]) -> None:
    """What can be downloaded is what Status names, and what the same files gave before any fault."""
    results = customer.download(accepted.order_id)
    succeeded = [image for image in images if image.state == ImageState.IMAGE_STATE_SUCCEEDED]
    assert results.keys() == {image.image_id for image in succeeded}
    for image in succeeded:
        digest = hashlib.sha256(results[image.image_id]).hexdigest()
        assert digest == image.output_sha256.hex(), f"{image.filename} is not what Status names"
        assert digest == customer.reference[sample_of(image.filename)], (
            f"{image.filename} is not what it is without faults"
        )


def wait_for_emails(fleet: Fleet, customer: Customer, accepted: Accepted, within: float = 60.0) -> None:
    """Wait until the mail server has what was asked for, and Status says so."""

    def sent() -> bool:
        order, _ = customer.status(accepted.order_id)
        assert len(order.deliveries) == accepted.emails
        assert all(delivery.state == DeliveryState.DELIVERY_STATE_SENT for delivery in order.deliveries)
        return len(fleet.sink.to(accepted.address)) >= accepted.emails

    eventually(sent, within, every=0.1)


def check_emails(fleet: Fleet, accepted: Accepted, *, repeats: int, mailers_killed: Collection[float] = ()) -> int:
    """An e-mail for each delivery, repeats only as many as allowed and with the same Message-ID; how many there are.

    Allowed are also those of e-mails that came right before a mailer was killed, at one of these times, for another
    order's sake: it had no time to record them.
    """
    received = fleet.sink.to(accepted.address)
    hit = sum(any(-0.5 < at - email.at < 1 for email in received) for at in mailers_killed)
    repeats = max(repeats, hit)
    ids = [str(email.message["Message-ID"]) for email in received]
    assert len(set(ids)) == accepted.emails, f"{accepted.emails} e-mails were asked for, these came: {ids}"
    assert len(ids) <= accepted.emails + repeats, f"e-mails were repeated: {ids}"
    return len(ids) - len(set(ids))
