"""What has to be right after a fault, whatever it was. Each check raises AssertionError with what is wrong."""

import fcntl
import hashlib
import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import redis
from imageblur.v1.order_pb2 import DeliveryState, Image, ImageState, Order, OrderState
from sqlalchemy import select

from services.common.db import models
from services.stack import leftovers
from tests.faults.customer import Accepted, Customer
from tests.faults.fleet import Fleet
from tests.faults.samples import sample_of
from tests.support.waiting import eventually

ENDED = {ImageState.IMAGE_STATE_SUCCEEDED, ImageState.IMAGE_STATE_FAILED, ImageState.IMAGE_STATE_CANCELLED}
OPEN = {OrderState.ORDER_STATE_QUEUED, OrderState.ORDER_STATE_RUNNING}
# A killed worker's message comes back after the broker's heartbeat timeout of 20 s.
CALM_SECONDS = 60.0


@dataclass(frozen=True)
class Settled:
    """An order that has come to its end. at: when its last part did, seconds since 1970."""

    order: Order
    images: list[Image]
    at: float
    letters: int
    repeats: int


def settle(
    fleet: Fleet,
    customer: Customer,
    accepted: Accepted,
    *,
    repeats: int = 0,
    within: float = 90.0,
) -> Settled:
    """Wait until an order has ended and its mail has come; all images succeeded, as in an undisturbed run."""
    order, images = ended(customer, accepted, within)
    assert order.state == OrderState.ORDER_STATE_SUCCEEDED, order
    assert [image.state for image in images] == [ImageState.IMAGE_STATE_SUCCEEDED] * len(accepted.images), images
    check_results(customer, accepted, images)
    wait_for_letters(fleet, customer, accepted)
    more = check_letters(fleet, accepted, repeats=repeats)
    received = fleet.sink.to(accepted.address)
    finished = order.finish_time.ToNanoseconds() / 1e9
    # Of a letter that came twice the second ends the matter.
    return Settled(order, images, max([finished, *(letter.at for letter in received)]), len(received), more)


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


def wait_for_letters(fleet: Fleet, customer: Customer, accepted: Accepted, within: float = 60.0) -> None:
    """Wait until the mail server has what was asked for, and Status says so."""

    def sent() -> bool:
        order, _ = customer.status(accepted.order_id)
        assert len(order.deliveries) == accepted.letters
        assert all(delivery.state == DeliveryState.DELIVERY_STATE_SENT for delivery in order.deliveries)
        return len(fleet.sink.to(accepted.address)) >= accepted.letters

    eventually(sent, within, every=0.1)


def check_letters(fleet: Fleet, accepted: Accepted, *, repeats: int) -> int:
    """A letter for each delivery, repeats only as many as allowed and with the same Message-ID; how many there are."""
    received = fleet.sink.to(accepted.address)
    ids = [str(letter.message["Message-ID"]) for letter in received]
    assert len(set(ids)) == accepted.letters, f"{accepted.letters} letters were asked for, these came: {ids}"
    assert len(ids) <= accepted.letters + repeats, f"letters were repeated: {ids}"
    return len(ids) - len(set(ids))


def calm(fleet: Fleet, customer: Customer) -> None:
    """Wait until nothing is left of what was done."""
    for check in (check_rows, check_broker, check_processes, check_temporary):
        eventually(lambda check=check: _passes(check, fleet), CALM_SECONDS, every=0.2)  # type: ignore[misc]
    eventually(lambda: _passes(check_blobs, fleet, customer.loose), CALM_SECONDS, every=0.2)


def check_rows(fleet: Fleet) -> None:
    """No row says that something is still to be done."""
    with fleet.database.read() as session:
        for table, column, rest in (
            (models.Order, models.Order.state, ("QUEUED", "RUNNING")),
            (models.Image, models.Image.state, ("QUEUED", "RUNNING")),
            (models.Delivery, models.Delivery.state, ("WAITING", "QUEUED", "SENDING")),
            (models.Letter, models.Letter.state, ("QUEUED", "SENDING")),
            (models.Mailing, models.Mailing.state, ("PREPARING", "SENDING")),
        ):
            found = session.execute(select(table.id, column).where(column.in_(rest))).all()
            assert not found, f"{table.__tablename__} not ended: {found}"


def check_blobs(fleet: Fleet, loose: Collection[str] = ()) -> None:
    """Every blob has an owner, every result its blob, and no original outlives its image."""
    there = {path.relative_to(fleet.blobs / "orders").parts: path for path in _files(fleet.blobs)}
    with fleet.database.read() as session:
        unowned = {str(order_id) for order_id in session.scalars(select(models.UnownedBlobs.order_id))}
        open_orders = select(models.Order.id).where(models.Order.state != "EXPIRED")
        owners = {str(order_id) for order_id in session.scalars(open_orders)}
        rows = session.execute(select(models.Image.order_id, models.Image.position, models.Image.state))
        states = {(str(order_id), f"{position:06d}"): state for order_id, position, state in rows}
    for order_id, kind, name in there:
        if order_id in unowned:
            continue
        assert order_id in owners, f"nobody owns {order_id}/{kind}/{name}"
        state = states.get((order_id, name))
        assert state, f"a piece of a blob is left: {order_id}/{kind}/{name}"
        needed = kind == "result" or state in {"QUEUED", "RUNNING"} or order_id in loose
        assert needed, f"the original {order_id}/{name} is left of an image that is {state}"
    for (order_id, name), state in states.items():
        if state == "SUCCEEDED" and order_id in owners:
            assert (order_id, "result", name) in there, f"the result of {order_id}/{name} is gone"


def check_broker(fleet: Fleet) -> None:
    """Neither queue holds anything, nor does a dead worker."""
    with redis.Redis.from_url(fleet.valkey.url) as client:
        left = sorted(key for key in client.keys("dramatiq:*") if not key.endswith(b"__heartbeats__"))
    assert not left, left


def check_processes(fleet: Fleet) -> None:
    """Whatever runs belongs to a service that the supervisor knows."""
    run = leftovers.read(fleet.stack.places.processes)
    assert run, "the stack has ended"
    known = {record.pid for record in run.records}
    assert len(known) == 8, f"not all services run: {[record.name for record in run.records]}"
    strays = [process for process in leftovers.carriers(run.token) if _group(process) not in known]
    assert not strays, strays


def check_temporary(fleet: Fleet) -> None:
    """No temporary file of a dead process is left, and no live one keeps any while it has nothing to do."""
    for path in fleet.temporary.iterdir():
        assert path.name.startswith("imageblur-scratch-"), f"what is {path.name}?"
        assert [file.name for file in path.iterdir()] == ["lock"], f"files are left in {path.name}"
        assert _locked(path / "lock"), f"{path.name} is nobody's"


def _passes(check: Callable[..., None], *arguments: object) -> bool:
    check(*arguments)
    return True


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _group(process: psutil.Process) -> int:
    try:
        return os.getpgid(process.pid)
    except ProcessLookupError:
        return 0


def _locked(path: Path) -> bool:
    with path.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
