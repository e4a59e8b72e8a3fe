"""kill -9 of every service at every stage of an order: each hits an order of its own, and they recover side by side."""

from collections.abc import Callable, Mapping

import pytest

from tests.faults import audit, leak_checks
from tests.faults.fleet import SERVICES, Fleet
from tests.faults.kill_at_stage import Kill, Struck, strike
from tests.faults.recording_client import Customer
from tests.faults.report import Line

HOLDS = {"queued": "worker-fetched", "running": "child-blurring", "storing": "worker-storing", "mailing": "mailer-smtp"}
KILLS = [
    *(Kill(service, "upload", "upload") for service in SERVICES),
    *(Kill(service, stage, hold) for stage, hold in HOLDS.items() for service in SERVICES),
    Kill("gateway", "before the commit", "gateway-commit"),
    Kill("gateway", "after the commit, before the message", "gateway-blur_image"),
    Kill("blur_worker", "claimed", "worker-claimed"),
    Kill("main of blur_worker", "running", "child-blurring"),
    Kill("blur child", "running", "child-blurring"),
    Kill("blur_worker", "stored, before the finish", "worker-finish"),
    Kill("blur_worker", "finished, before the original is removed", "worker-tidy"),
    Kill("mailer", "claimed", "mailer-claimed"),
    Kill("mailer", "in SMTP, the server does not answer", "mailer-hangs"),
    Kill("mailer", "after the server's 250, before the commit", "mailer-sent", repeats=1),
    Kill("scheduler", "taken back, before the message", "scheduler-blur_image"),
]


@pytest.fixture(scope="module")
def struck(fleet: Fleet, customer: Customer) -> dict[Kill, Struck]:
    """All kills, one after the other; none waits for what the one before needs to recover."""
    return {kill: strike(fleet, customer, kill) for kill in KILLS}


@pytest.mark.parametrize("kill", KILLS, ids=str)
def test_nothing_is_lost(
    kill: Kill, fleet: Fleet, customer: Customer, struck: Mapping[Kill, Struck], tell: Callable[[Line], None]
) -> None:
    hit = struck[kill]
    mailers_killed = [other.at for kill, other in struck.items() if kill.victim == "mailer"]
    settled = audit.settle(fleet, customer, hit.accepted, repeats=kill.repeats, mailers_killed=mailers_killed)
    tell(
        Line(
            f"kill -9 {kill.victim}",
            kill.stage,
            fleet.kind,
            hit.seen,
            max(0.0, settled.at - hit.at),
            repeats=settled.repeats,
        )
    )


def test_nothing_is_left(fleet: Fleet, customer: Customer, struck: Mapping[Kill, Struck]) -> None:
    # A worker that is killed between its commit and the removal leaves the original to the order's expiry.
    customer.loose |= {hit.accepted.order_id for kill, hit in struck.items() if kill.victim == "blur_worker"}
    leak_checks.calm(fleet, customer)
