"""How a kill surely hits the stage that it is meant for."""

import os
import signal
import threading
import time
from dataclasses import dataclass

from imageblur.v1.order_pb2 import DeliveryState, ImageState
from sqlalchemy import func, select

from services.common.db.models import UnownedBlobs
from tests.faults import audit
from tests.faults.fleet import Fleet, kill_service, lives
from tests.faults.recording_client import Accepted, Customer
from tests.faults.stages import Reached
from tests.support.smtp import HANG
from tests.support.waiting import eventually


@dataclass(frozen=True)
class Kill:
    """Who is killed while an order is where. hold: the stage at which it is held meanwhile."""

    victim: str
    stage: str
    hold: str
    repeats: int = 0
    """E-mails that may come twice."""

    def __str__(self) -> str:
        return f"{self.victim}, {self.stage}"


@dataclass(frozen=True)
class Struck:
    """A kill that has happened: to which order, when, and what proves the stage."""

    accepted: Accepted
    at: float
    seen: str


def strike(fleet: Fleet, customer: Customer, kill: Kill) -> Struck:
    """Bring an order to the stage and kill; returns before all has recovered, if the kill hit the order's own work."""
    match kill.hold:
        case "upload":
            return _in_upload(fleet, customer, kill)
        case "gateway-commit" | "gateway-blur_image":
            return _in_gateway(fleet, customer, kill)
        case "mailer-hangs":
            return _in_smtp(fleet, customer)
        case "scheduler-blur_image":
            return _in_scheduler(fleet, customer, kill)
        case _:
            return _in_work(fleet, customer, kill)


def _in_upload(fleet: Fleet, customer: Customer, kill: Kill) -> Struck:
    """Half of the upload is there, and a row leads to it."""
    gate, before = threading.Event(), _uploads(fleet)
    future = customer.order_soon(first=0, gate=gate)
    eventually(lambda: _uploads(fleet) > before, within=30)
    seen = "half of the stream sent"
    assert not future.done()
    at = time.time()
    kill_service(fleet.pid("gateway-1") if kill.victim == "gateway" else fleet.one(kill.victim))
    gate.set()
    accepted = future.result(60)
    audit.settle(fleet, customer, accepted)  # or the next kill would hit this order as well
    return Struck(accepted, at, seen)


def _uploads(fleet: Fleet) -> int:
    with fleet.database.read() as session:
        query = select(func.count()).select_from(UnownedBlobs)
        return session.scalar(query) or 0


def _in_gateway(fleet: Fleet, customer: Customer, kill: Kill) -> Struck:
    fleet.stages.arm(kill.hold)
    future = customer.order_soon()
    reached = fleet.stages.wait_reached(kill.hold)
    assert not future.done()
    at = kill_there(fleet, reached)
    return Struck(future.result(60), at, "held there, no answer yet")


def _in_work(fleet: Fleet, customer: Customer, kill: Kill) -> Struck:
    accepted, reached = held(fleet, customer, kill.hold)
    seen = state(customer, accepted)
    match kill.victim:
        case "blur child":
            at = kill_there(fleet, reached, only=reached.pid)
        case "main of blur_worker":
            at = kill_there(fleet, reached, only=os.getpgid(reached.pid))
        case _ if kill.hold.startswith(("worker", "child")) and kill.victim == "blur_worker":
            at = kill_there(fleet, reached)
        case _ if kill.hold.startswith("mailer") and kill.victim == "mailer":
            at = kill_there(fleet, reached)
        case _:
            assert lives(reached.pid)
            at = time.time()
            kill_service(fleet.one(kill.victim))
            assert lives(reached.pid), "the fault hit somebody else"
            fleet.stages.disarm(kill.hold)
            audit.settle(fleet, customer, accepted)
    return Struck(accepted, at, seen)


def held(fleet: Fleet, customer: Customer, hold: str) -> tuple[Accepted, Reached]:
    """An order that is held at a stage: not one that recovers from another kill and happens to come by."""
    while True:
        fleet.stages.arm(hold)
        accepted = customer.order()
        reached = fleet.stages.wait_reached(hold)
        _, images = customer.status(accepted.order_id)
        if any(name in reached.work for name in (accepted.order_id, accepted.address, *(i.image_id for i in images))):
            return accepted, reached
        fleet.stages.disarm(hold)
        audit.ended(customer, accepted)  # or its images would come by next time


def kill_there(fleet: Fleet, reached: Reached, *, only: int | None = None) -> float:
    """Kill the service that is at the stage, or one process of it; the time."""
    assert lives(reached.pid), "it did not wait to be killed"
    assert fleet.stages.reached(reached.stage) == reached
    at = time.time()
    if only:
        os.kill(only, signal.SIGKILL)
    else:
        kill_service(reached.pid)
    eventually(lambda: not lives(reached.pid))
    fleet.stages.disarm(reached.stage)
    return at


def _in_smtp(fleet: Fleet, customer: Customer) -> Struck:
    """The whole e-mail is with the server, which does not answer."""
    while True:
        fleet.stages.arm("mailer-smtp")
        address = f"hang{time.monotonic_ns()}@example.org"
        fleet.sink.reply_to(address, HANG)
        accepted = customer.order(address=address)
        reached = fleet.stages.wait_reached("mailer-smtp")
        fleet.stages.disarm("mailer-smtp")
        if address in reached.work:
            break
    eventually(lambda: fleet.sink.answers(address) == [HANG])
    seen = state(customer, accepted)
    assert lives(reached.pid)
    at = time.time()
    kill_service(reached.pid)
    return Struck(accepted, at, seen)


def _in_scheduler(fleet: Fleet, customer: Customer, kill: Kill) -> Struck:
    """The image of a killed worker, taken back by a scheduler that is killed in turn."""
    accepted, reached = held(fleet, customer, "worker-claimed")
    kill_there(fleet, reached)
    while True:
        fleet.stages.arm(kill.hold)
        taken = fleet.stages.wait_reached(kill.hold, within=60)
        _, images = customer.status(accepted.order_id)
        if any(image.image_id in taken.work for image in images):
            break
        fleet.stages.disarm(kill.hold)
    return Struck(accepted, kill_there(fleet, taken), state(customer, accepted))


def state(customer: Customer, accepted: Accepted) -> str:
    """What Status says right before the kill."""
    order, images = customer.status(accepted.order_id)
    states = [ImageState.Name(image.state).removeprefix("IMAGE_STATE_") for image in images]
    deliveries = [DeliveryState.Name(d.state).removeprefix("DELIVERY_STATE_") for d in order.deliveries]
    told = [f"{states.count(state)} {state}" for state in sorted(set(states))]
    return ", ".join([*told, *(f"mail {state}" for state in deliveries if state != "WAITING")])
