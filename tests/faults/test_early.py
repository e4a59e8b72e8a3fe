"""Images are blurred while their order is uploaded, and the gateway, the worker or its child is killed."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest
from sqlalchemy import select

from services.common.db.models import UnownedBlobs
from tests.faults import audit, remains
from tests.faults.customer import Accepted, Customer
from tests.faults.fleet import Fleet, kill_service
from tests.faults.report import Line
from tests.faults.samples import many
from tests.faults.strikes import kill_there
from tests.support.blob_keys import blob_keys
from tests.support.waiting import eventually

STAGES = {"worker-claimed": "taken", "child-blurring": "running", "worker-storing": "storing"}


@pytest.fixture(autouse=True)
def early(fleet: Fleet) -> Iterator[None]:
    fleet.stages.early(True)
    yield
    fleet.stages.early(False)


class Upload:
    """An order of which half is sent."""

    def __init__(self, fleet: Fleet, customer: Customer) -> None:
        self.fleet, self.gate = fleet, threading.Event()
        before = self._unowned()
        self.accepted: Future[Accepted] = customer.order_soon(many(6), first=0, gate=self.gate)
        self.order_id = eventually(lambda: next(iter(self._unowned() - before), None), within=30)

    def results(self) -> list[str]:
        """Keys of results that were stored before the order."""
        return [key for key in blob_keys(self.fleet.store) if f"{self.order_id}/result/" in key]

    def _unowned(self) -> set[str]:
        with self.fleet.database.read() as session:
            return {str(order_id) for order_id in session.scalars(select(UnownedBlobs.order_id))}


def test_the_gateway_is_killed(fleet: Fleet, customer: Customer, tell: Callable[[Line], None]) -> None:
    upload = Upload(fleet, customer)
    eventually(upload.results, within=30)
    assert not upload.accepted.done()
    at = time.time()
    kill_service(fleet.pid("gateway-1"))
    upload.gate.set()
    accepted = upload.accepted.result(60)
    assert accepted.order_id != upload.order_id, "the other gateway has got all of it"
    settled = audit.settle(fleet, customer, accepted)
    tell(Line("kill -9 gateway", "upload, some images blurred", fleet.kind, "results stored", settled.at - at))
    eventually(lambda: len(fleet.records("gateway")) == 2, within=30)


@pytest.mark.parametrize("stage", STAGES, ids=str)
def test_the_worker_is_killed(fleet: Fleet, customer: Customer, stage: str, tell: Callable[[Line], None]) -> None:
    fleet.stages.arm(stage)
    upload = Upload(fleet, customer)
    reached = fleet.stages.wait_reached(stage)
    assert not upload.accepted.done()
    at = kill_there(fleet, reached)
    upload.gate.set()
    settled = audit.settle(fleet, customer, upload.accepted.result(60))
    seen = "half of the stream sent"
    tell(Line("kill -9 blur_worker", f"upload, an image {STAGES[stage]}", fleet.kind, seen, max(0.0, settled.at - at)))


def test_nothing_is_left(fleet: Fleet, customer: Customer) -> None:
    remains.calm(fleet, customer)
