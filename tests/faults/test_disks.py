"""A disk that accepts nothing for a while: full, or read-only, as Linux makes it after errors."""

import os
import shutil
import time
from collections.abc import Callable

import pytest

from tests.faults import audit, leak_checks, outages
from tests.faults.fleet import Fleet, kill_service
from tests.faults.kill_at_stage import held, state
from tests.faults.recording_client import Customer
from tests.faults.report import Line
from tests.faults.samples import many
from tests.support.waiting import eventually


@pytest.mark.on("sqlite")
@pytest.mark.parametrize("full", [True, False], ids=["full", "read-only"])
def test_a_disk_that_accepts_nothing_loses_nothing(
    fleet: Fleet, customer: Customer, tell: Callable[[Line], None], *, full: bool
) -> None:
    if not fleet.small_disk:
        assert os.environ.get("CI") != "true"
        pytest.skip("only root can make a disk that may be filled, or read-only")
    accepted, _ = held(fleet, customer, "child-blurring")
    seen = state(customer, accepted)
    refusals = len(customer.refusals)
    at = time.time()
    # Full is the disk of the database, the blobs and the temporary files, read-only that of the blobs.
    with outages.disk_full(fleet) if full else outages.disk_read_only(fleet):
        if full:
            assert shutil.disk_usage(fleet.stack.data_folder.root).free == 0
        else:
            with pytest.raises(OSError, match="Read-only"):
                (fleet.blobs / "new").write_bytes(b"")
        fleet.stages.disarm("child-blurring")
        meanwhile = customer.order_soon(many(6))
        eventually(lambda: customer.refused(refusals), within=60)
        if full:
            kill_service(fleet.pid("mailer-2"))  # and is started again, though nothing can be written down
        outages.last(2)
        assert not meanwhile.done()
        assert full or state(customer, accepted) != "3 SUCCEEDED"
    if full:
        kill_service(fleet.pid("mailer-1"))  # the supervisor's next change, which writes down the one before as well
    later = meanwhile.result(120)
    assert customer.refused(refusals) == {"UNAVAILABLE"}
    if not full:  # an original that could not be removed is left to the sweep, which removes it in ten minutes
        customer.loose |= {order.order_id for order in customer.accepted}
    settled = [audit.settle(fleet, customer, order) for order in (accepted, later)]
    leak_checks.calm(fleet, customer)
    seen = f"{seen}; a new order is UNAVAILABLE, and accepted after {later.at - at:.1f} s"
    fault = "disk full, kill -9 mailer" if full else "disk of the blobs read-only"
    tell(Line(fault, "running", fleet.kind, seen, max(order.at for order in settled) - at))
