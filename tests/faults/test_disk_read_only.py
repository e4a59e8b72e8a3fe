"""The disk of the blobs turns read-only for a while, as Linux does after errors of a disk."""

import os
import time
from collections.abc import Callable

import pytest

from tests.faults import audit, leak_checks, outages
from tests.faults.fleet import Fleet
from tests.faults.kill_at_stage import held, state
from tests.faults.recording_client import Customer
from tests.faults.report import Line
from tests.faults.samples import many
from tests.support.waiting import eventually


@pytest.mark.on("sqlite")
def test_a_read_only_disk_loses_nothing(fleet: Fleet, customer: Customer, tell: Callable[[Line], None]) -> None:
    if not fleet.small_disk:
        assert os.environ.get("CI") != "true"
        pytest.skip("only root can make a disk read-only")
    accepted, _ = held(fleet, customer, "child-blurring")
    seen = state(customer, accepted)
    refusals = len(customer.refusals)
    at = time.time()
    with outages.disk_read_only(fleet):
        with pytest.raises(OSError, match="Read-only"):
            (fleet.blobs / "new").write_bytes(b"")
        fleet.stages.disarm("child-blurring")
        meanwhile = customer.order_soon(many(6))
        eventually(lambda: customer.refused(refusals), within=60)
        outages.last(2)
        assert not meanwhile.done()
        assert state(customer, accepted) != "3 SUCCEEDED"
    later = meanwhile.result(120)
    assert customer.refused(refusals) == {"UNAVAILABLE"}
    # An original that could not be removed is left to the sweep, which removes it in ten minutes.
    customer.loose |= {order.order_id for order in customer.accepted}
    settled = [audit.settle(fleet, customer, order) for order in (accepted, later)]
    leak_checks.calm(fleet, customer)
    seen = f"{seen}; a new order is UNAVAILABLE, and accepted after {later.at - at:.1f} s"
    tell(Line("disk of the blobs read-only", "running", fleet.kind, seen, max(order.at for order in settled) - at))
