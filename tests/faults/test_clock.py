"""Clocks that jump over leases, and over the weekly hour; two schedulers at once, one that is killed."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select

from services.common.db.models import Mailing
from tests.faults import audit, leak_checks, outages
from tests.faults.fleet import Fleet, kill_service, lives
from tests.faults.kill_at_stage import state
from tests.faults.recording_client import Customer
from tests.faults.report import Line
from tests.faults.samples import many
from tests.support.waiting import eventually

WEEK = timedelta(days=7)


def test_one_mailing_a_week_whatever_the_clocks_do(
    fleet: Fleet, customer: Customer, tell: Callable[[Line], None]
) -> None:
    subscribers = [f"reader{number}.{fleet.kind}@example.org" for number in range(3)]
    for address in subscribers:
        customer.subscribe(address)
    monday = _next_monday()
    assert _mailings(fleet) == 0

    at = time.time()
    _jump(fleet, monday)
    eventually(lambda: _mailings(fleet) == 1)
    _wait_for_emails(fleet, subscribers, 1)
    tell(Line("clocks jump over the weekly hour", "two schedulers at once", fleet.kind, "1 mailing", time.time() - at))

    for moment in (monday - timedelta(days=2), monday + timedelta(days=1), monday):
        _jump(fleet, moment)
        _jump(fleet, moment)  # at its second check each has done with the first
        assert _mailings(fleet) == 1
    tell(Line("clocks jump back, and again over it", "two schedulers at once", fleet.kind, "still 1 mailing", 0.0))

    at = time.time()
    fleet.stages.arm("scheduler-send_mailing")
    _jump(fleet, monday + WEEK)
    reached = fleet.stages.wait_reached("scheduler-send_mailing")
    assert _mailings(fleet) == 2
    assert lives(reached.pid)
    kill_service(reached.pid)
    fleet.stages.disarm("scheduler-send_mailing")
    _wait_for_emails(fleet, subscribers, 2)
    leak_checks.calm(fleet, customer)
    _wait_for_emails(fleet, subscribers, 2)
    seen = "the row is there, no e-mail yet"
    tell(Line("kill -9 scheduler", "mailing inserted, before the message", fleet.kind, seen, time.time() - at))
    fleet.stages.move_clock(0)


def test_a_jump_of_the_databases_clock_loses_nothing(
    fleet: Fleet, customer: Customer, tell: Callable[[Line], None]
) -> None:
    """All leases have ended then, though their owners are at work."""
    fleet.stages.pace(0.3)
    orders = [customer.order(many(6)) for _ in range(2)]
    eventually(lambda: any(customer.status(order.order_id)[0].counts.running for order in orders))
    seen = state(customer, orders[0])
    at = time.time()
    with outages.database_clock_ahead(fleet):
        orders.append(customer.order())
        outages.last(4)
    for order in orders:
        audit.settle(fleet, customer, order)
    fleet.stages.pace(0)
    tell(Line("the database's clock jumps a minute ahead, and back", "running", fleet.kind, seen, time.time() - at))
    leak_checks.calm(fleet, customer)


def _next_monday() -> datetime:
    """A moment after the weekly hour to come."""
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=30, microsecond=0)
    return noon + timedelta(days=7 - noon.weekday())


def _jump(fleet: Fleet, moment: datetime) -> None:
    """Move the clocks of both schedulers while both are about to ask whether a mailing is due, and let them ask."""
    pids = eventually(lambda: _pids(fleet) if len(_pids(fleet)) == 2 else None, within=30)
    assert pids
    fleet.stages.arm_all("scheduler-weekly")
    for pid in pids:
        fleet.stages.wait_reached("scheduler-weekly", pid=pid)
    fleet.stages.move_clock((moment - datetime.now(UTC)).total_seconds())
    fleet.stages.disarm("scheduler-weekly")


def _pids(fleet: Fleet) -> list[int]:
    return [record.pid for record in fleet.records("scheduler")]


def _mailings(fleet: Fleet) -> int:
    with fleet.database.read() as session:
        weekly = Mailing.period.not_like("manual:%")
        return session.scalar(select(func.count()).where(weekly)) or 0


def _wait_for_emails(fleet: Fleet, subscribers: list[str], count: int) -> None:
    """Every subscriber has had so many, no more, and each of another mailing."""
    eventually(lambda: all(len(fleet.sink.to(address)) >= count for address in subscribers), within=40)
    for address in subscribers:
        assert len({str(email.message["Message-ID"]) for email in fleet.sink.to(address)}) == count
        assert len(fleet.sink.to(address)) == count
