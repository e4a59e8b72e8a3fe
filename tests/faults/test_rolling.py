"""Every service restarted by SIGTERM, one after the other, while orders come: nobody notices but by asking again."""

import os
import signal
import threading
import time
from collections.abc import Callable

from tests.faults import audit, leak_checks
from tests.faults.fleet import SERVICES, Fleet, lives
from tests.faults.recording_client import Accepted, Customer
from tests.faults.report import Line
from tests.support.waiting import eventually


def test_rolling_restarts(fleet: Fleet, customer: Customer, tell: Callable[[Line], None]) -> None:
    asked_again = len(customer.refusals)
    at = time.time()
    over = threading.Event()
    orders: list[Accepted] = []

    def keep_ordering() -> None:
        while not over.wait(0.2):
            orders.append(customer.order(streamed=len(orders) % 2 == 0))

    load = threading.Thread(target=keep_ordering)
    load.start()
    try:
        names = [f"{service}-{index}" for service in SERVICES for index in (1, 2)]
        for name in names:
            _restart(fleet, name)
    finally:
        over.set()
        load.join()
    ended = time.time()
    for order in orders:
        audit.settle(fleet, customer, order)
    leak_checks.calm(fleet, customer)
    again = customer.refusals[asked_again:]
    # gRPC of a gateway ends a call as CANCELLED that reaches it in the moment in which it stops.
    assert customer.refused(asked_again) <= {"UNAVAILABLE", "CANCELLED"}, again
    log = fleet.stack.log.read_text(errors="replace")
    assert "did not end by itself" not in log
    seen = f"{len(orders)} orders during {ended - at:.0f} s, {len(again)} calls repeated after UNAVAILABLE"
    tell(Line("SIGTERM to each service in turn", "all", fleet.kind, seen, time.time() - ended))


def _restart(fleet: Fleet, name: str) -> None:
    """Ask a service to end, and wait until another one is in its place."""
    pid = fleet.pid(name)
    os.kill(pid, signal.SIGTERM)
    eventually(lambda: not lives(pid), within=100)  # the supervisor would have killed it long before
    assert f"{name} ended with exit code 0" in eventually(lambda: _said(fleet, name), within=40)
    eventually(lambda: fleet.records(name), within=40)


def _said(fleet: Fleet, name: str) -> str:
    """What the supervisor said last about the end of a service."""
    lines = [line for line in fleet.stack.log.read_text(errors="replace").splitlines() if f"{name} ended" in line]
    return lines[-1] if lines else ""
