"""What the services rely on is away for a while, with orders at work; one more order comes meanwhile."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import pytest

from tests.faults import audit, leak_checks, outages
from tests.faults.fleet import Fleet
from tests.faults.kill_at_stage import state
from tests.faults.recording_client import Accepted, Customer
from tests.faults.report import Line
from tests.faults.samples import many

Begin = Callable[[Fleet], AbstractContextManager[None]]
PACE = 0.3
"""Seconds that each image takes longer, so that orders are at work when the fault comes."""


@dataclass(frozen=True)
class Outage:
    """One fault and how long it lasts."""

    name: str
    begin: Begin
    seconds: float
    database: str = ""
    """Only on this one; empty: on both."""


def _database_cut(fleet: Fleet) -> AbstractContextManager[None]:
    assert fleet.database_line
    return outages.line_cut(fleet.database_line)


OUTAGES = [
    Outage("Valkey killed, back with its data", outages.valkey_away, 1, "sqlite"),
    Outage("Valkey killed, back without its data", outages.valkey_robbed, 1, "postgresql"),
    Outage("Valkey stalled (SIGSTOP)", outages.valkey_stalled, 12, "postgresql"),
    Outage("Valkey read-only (READONLY)", lambda fleet: outages.valkey_refusing_writes(fleet, "READONLY"), 4, "sqlite"),
    Outage("Valkey cannot save (MISCONF)", lambda fleet: outages.valkey_refusing_writes(fleet, "MISCONF"), 4, "sqlite"),
    Outage("Valkey without memory (OOM)", lambda fleet: outages.valkey_refusing_writes(fleet, "OOM"), 4, "sqlite"),
    Outage("workers cut off from Valkey", lambda fleet: outages.line_cut(fleet.worker_broker), 3, "sqlite"),
    Outage("line of workers to Valkey stalled", lambda fleet: outages.line_stalled(fleet.worker_broker), 3, "sqlite"),
    Outage("line of workers to Valkey slow (0.2 s)", lambda fleet: outages.line_slow(fleet.worker_broker), 3, "sqlite"),
    Outage("mail server away", lambda fleet: outages.line_cut(fleet.smtp), 4, "sqlite"),
    Outage("PostgreSQL stopped", outages.postgres_away, 1, "postgresql"),
    Outage("PostgreSQL killed", outages.postgres_killed, 1, "postgresql"),
    Outage("PostgreSQL read-only, as in recovery", outages.postgres_read_only, 4, "postgresql"),
    Outage("gateways without descriptors", outages.descriptors_exhausted, 4),
    Outage("all cut off from PostgreSQL", _database_cut, 3, "postgresql"),
    Outage("SQLite locked by another process", outages.sqlite_locked, 12, "sqlite"),
]
CASES = [
    pytest.param(outage, id=outage.name, marks=pytest.mark.on(outage.database) if outage.database else ())
    for outage in OUTAGES
]


@pytest.fixture
def at_work(fleet: Fleet, customer: Customer) -> Iterator[list[Accepted]]:
    """Two orders, one image of which is being blurred, and all others of which come after it."""
    fleet.stages.pace(PACE)
    fleet.stages.arm_all("child-blurring")
    orders = [customer.order(many(6)) for _ in range(2)]
    fleet.stages.wait_reached("child-blurring")
    fleet.stages.disarm("child-blurring")
    yield orders
    fleet.stages.pace(0)


@pytest.mark.parametrize("outage", CASES)
def test_an_outage_loses_nothing(
    fleet: Fleet, customer: Customer, outage: Outage, at_work: list[Accepted], tell: Callable[[Line], None]
) -> None:
    seen = state(customer, at_work[0])
    at = time.time()
    with outage.begin(fleet):
        meanwhile = customer.order_soon()
        outages.last(outage.seconds)
    later = meanwhile.result(120)
    settled = [audit.settle(fleet, customer, order) for order in (*at_work, later)]
    leak_checks.calm(fleet, customer)
    tell(
        Line(
            f"{outage.name}, {outage.seconds:g} s",
            "running",
            fleet.kind,
            f"{seen}; a new order is accepted after {later.at - at:.1f} s",
            max(order.at for order in settled) - at,
            repeats=sum(order.repeats for order in settled),
        )
    )
