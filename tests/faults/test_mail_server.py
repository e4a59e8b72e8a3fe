"""A mail server that puts e-mails off, refuses them, falls silent, or cuts the line with the e-mail taken."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from imageblur.v1.order_pb2 import DeliveryState, FailureReason

from tests.faults import audit, leak_checks
from tests.faults.fleet import Fleet
from tests.faults.recording_client import Customer
from tests.faults.report import Line
from tests.support.smtp import HANG, KEPT
from tests.support.waiting import eventually


@dataclass(frozen=True)
class Trouble:
    """What the server does to the first e-mail. repeats: it has the e-mail, and the sender does not know."""

    name: str
    replies: tuple[str | None, ...]
    repeats: int = 0


TROUBLES = [
    Trouble("mail server answers 451", ("451 4.3.0 try later", "451 4.3.0 and later")),
    Trouble("mail server does not answer", (HANG,)),
    Trouble("mail server takes the e-mail and cuts the line", (None,), repeats=1),
]
REFUSED = "550 5.7.1 not from you"


def test_each_email_comes_or_is_said_not_to(fleet: Fleet, customer: Customer, tell: Callable[[Line], None]) -> None:
    at = time.time()
    for trouble in TROUBLES:
        fleet.sink.reply_to(_address(fleet, trouble.name), *trouble.replies)
    fleet.sink.reply_to(_address(fleet, REFUSED), REFUSED)
    orders = [customer.order(address=_address(fleet, trouble.name)) for trouble in TROUBLES]
    refused = customer.order(address=_address(fleet, REFUSED))
    for trouble, order in zip(TROUBLES, orders, strict=True):
        settled = audit.settle(fleet, customer, order, repeats=trouble.repeats)
        answers = fleet.sink.answers(order.address)
        assert answers == [*trouble.replies, KEPT]
        seen = ", ".join(_words(answer) for answer in answers)
        tell(Line(trouble.name, "mailing", fleet.kind, seen, settled.at - at, repeats=settled.repeats))

    eventually(lambda: customer.status(refused.order_id)[0].deliveries[0].state == DeliveryState.DELIVERY_STATE_FAILED)
    (delivery,) = customer.status(refused.order_id)[0].deliveries
    assert delivery.failure.reason == FailureReason.FAILURE_REASON_MAIL_REFUSED
    assert delivery.failure.message == REFUSED
    assert fleet.sink.answers(refused.address) == [REFUSED]
    leak_checks.calm(fleet, customer)
    tell(Line("mail server answers 550", "mailing", fleet.kind, "reported by Status with the server's reply", 0.0))


def _address(fleet: Fleet, name: str) -> str:
    return f"{fleet.kind}.{'-'.join(name.split())}@example.org"


def _words(answer: str | None) -> str:
    return {None: "taken, cut", HANG: "silence"}.get(answer, answer[:3] if answer else "")
