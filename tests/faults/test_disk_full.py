"""The disk of the database, the blobs and the temporary files is full for a while."""

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
def test_a_full_disk_loses_nothing(fleet: Fleet, customer: Customer, tell: Callable[[Line], None]) -> None:
    if not fleet.small_disk:
        assert os.environ.get("CI") != "true"
        pytest.skip("only root can make a disk that may be filled")
    accepted, _ = held(fleet, customer, "child-blurring")
    seen = state(customer, accepted)
    refusals = len(customer.refusals)
    at = time.time()
    with outages.disk_full(fleet):
        assert shutil.disk_usage(fleet.stack.data_folder.root).free == 0
        fleet.stages.disarm("child-blurring")
        meanwhile = customer.order_soon(many(6))
        eventually(lambda: customer.refused(refusals), within=60)
        kill_service(fleet.pid("mailer-2"))  # and is started again, though nothing can be written down
        outages.last(2)
        assert not meanwhile.done()
    kill_service(fleet.pid("mailer-1"))  # the supervisor's next change, which writes down the one before as well
    later = meanwhile.result(120)
    assert customer.refused(refusals) == {"UNAVAILABLE"}
    settled = [audit.settle(fleet, customer, order) for order in (accepted, later)]
    leak_checks.calm(fleet, customer)
    seen = f"{seen}; a new order is UNAVAILABLE, and accepted after {later.at - at:.1f} s"
    tell(Line("disk full, kill -9 mailer", "running", fleet.kind, seen, max(order.at for order in settled) - at))
