"""A mail server that is slow at every step, a slow line to it, and a DNS server that hangs: one copy of each e-mail."""

import time
from collections.abc import Callable

import pytest

from tests.faults import audit, leak_checks, outages
from tests.faults.fleet import SMTP_SECONDS, Fleet
from tests.faults.recording_client import Customer
from tests.faults.report import Line
from tests.support.smtp import KEPT
from tests.support.waiting import eventually

STEP = 0.6 * SMTP_SECONDS
"""Less than a step may take; two of them are more than that."""


@pytest.mark.parametrize(
    ("name", "delays"),
    [
        ("slow at EHLO, MAIL, RCPT and the end", {"EHLO": STEP, "MAIL": STEP, "RCPT": STEP, "DOT": STEP}),
        ("thinks after the end", {"DOT": 0.9 * SMTP_SECONDS}),
    ],
)
def test_a_slow_mail_server_gets_one_copy(
    fleet: Fleet, customer: Customer, tell: Callable[[Line], None], name: str, delays: dict[str, float]
) -> None:
    at = time.time()
    fleet.sink.delay(**delays)
    order = customer.order(address=f"{fleet.kind}.slow{time.monotonic_ns()}@example.org")
    settled = audit.settle(fleet, customer, order)
    fleet.sink.delay()
    assert fleet.sink.answers(order.address) == [KEPT]
    leak_checks.calm(fleet, customer)
    tell(Line(f"mail server {name}", "mailing", fleet.kind, "1 copy", settled.at - at, repeats=settled.repeats))


def test_a_slow_line_to_the_mail_server_carries_one_copy(
    fleet: Fleet, customer: Customer, tell: Callable[[Line], None]
) -> None:
    at = time.time()
    with outages.line_slow(fleet.smtp):
        order = customer.order(address=f"{fleet.kind}.line{time.monotonic_ns()}@example.org")
        settled = audit.settle(fleet, customer, order)
    assert fleet.sink.answers(order.address) == [KEPT]
    tell(Line("line to the mail server slow (0.2 s)", "mailing", fleet.kind, "1 copy", settled.at - at))


def test_a_dns_server_that_hangs_loses_no_email(fleet: Fleet, customer: Customer, tell: Callable[[Line], None]) -> None:
    at = time.time()
    fleet.stages.arm_all("mailer-lookup")
    order = customer.order(address=f"{fleet.kind}.dns{time.monotonic_ns()}@example.org")
    fleet.stages.wait_reached("mailer-lookup")

    def said() -> bool:
        (delivery,) = customer.status(order.order_id)[0].deliveries
        return "was not resolved" in delivery.server_reply

    eventually(said, within=4 * SMTP_SECONDS)
    fleet.stages.disarm("mailer-lookup")
    settled = audit.settle(fleet, customer, order)
    assert fleet.sink.answers(order.address) == [KEPT]
    leak_checks.calm(fleet, customer)
    tell(Line("DNS server hangs", "mailing", fleet.kind, "reported by Status, then 1 copy", settled.at - at))
