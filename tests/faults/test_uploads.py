"""Resumable uploads: the gateway is killed at every stage of them, the database is away; the other gateway goes on."""

import time
from collections.abc import Callable, Iterator, Mapping
from uuid import uuid4

import grpc
import pytest
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1.blur_service_pb2_grpc import BlurServiceStub
from imageblur.v1.order_pb2 import Order
from sqlalchemy import func, select

from services.common.db.models import Upload
from tests.faults import audit, leak_checks, outages
from tests.faults.fleet import Fleet, kill_service
from tests.faults.recording_client import ANSWER_SECONDS, Accepted, Customer
from tests.faults.report import Line
from tests.faults.samples import many
from tests.support.waiting import eventually

STAGES = {
    "gateway-create": "upload created, before the commit",
    "gateway-append": "bytes stored, before they are recorded",
    "gateway-complete": "complete, before the commit",
    "gateway-placed": "order stored, before the upload's parts are removed",
}
CALL_BYTES = 5_000
"""Bytes of one call."""
LEFT_SECONDS = 150.0
"""What a completion leaves is removed after a minute, by a job every half minute."""


class Sender:
    """Sends an upload in small calls, and goes to the other gateway when one does not answer."""

    def __init__(self, customer: Customer, files: Mapping[str, bytes]) -> None:
        self.customer = customer
        self.files = files
        self.whole = b"".join(files.values())
        self.upload_id = ""
        self.sent = 0
        """Bytes, those that were sent again included."""
        self.unanswered = 0
        """Calls after which some bytes may have to be sent again."""
        images = [pb.ImageStart(filename=name, size_bytes=len(data)) for name, data in files.items()]
        self.address = f"upload-{uuid4().hex[:8]}@example.org"
        header = pb.OrderHeader(email=self.address, notify=True, request_id=str(uuid4()))
        self.request = pb.CreateUploadRequest(order=header, images=images)

    def create(self) -> None:
        create = self.customer.call(lambda stub: stub.CreateUpload(self.request, timeout=ANSWER_SECONDS), first=0)
        self.upload_id = create.upload.upload_id

    def append_all(self) -> None:
        while self.customer.call(self._append_some, first=0) < len(self.whole):
            pass

    def complete(self) -> Accepted:
        request = pb.CompleteUploadRequest(upload_id=self.upload_id)

        def ask(stub: BlurServiceStub) -> Order:
            return stub.CompleteUpload(request, timeout=ANSWER_SECONDS).order

        order = self.customer.call(ask, first=0)
        assert order.order_id == self.upload_id
        accepted = Accepted(order.order_id, self.address, tuple(self.files), 1, time.time())
        self.customer.accepted.append(accepted)
        return accepted

    def run(self) -> Accepted:
        self.create()
        self.append_all()
        return self.complete()

    def _append_some(self, stub: BlurServiceStub) -> int:
        """Ask where to go on, and append a few thousand bytes."""
        found = stub.GetUpload(pb.GetUploadRequest(upload_id=self.upload_id), timeout=ANSWER_SECONDS)
        begin = found.upload.received_bytes
        if begin == len(self.whole):
            return begin
        end = min(len(self.whole), begin + CALL_BYTES)

        def parts() -> Iterator[pb.AppendUploadRequest]:
            yield pb.AppendUploadRequest(start=pb.AppendStart(upload_id=self.upload_id, offset=begin))
            self.sent += end - begin
            yield pb.AppendUploadRequest(chunk=self.whole[begin:end])

        try:
            return stub.AppendUpload(parts(), timeout=ANSWER_SECONDS).upload.received_bytes
        except grpc.RpcError:
            self.unanswered += 1
            raise


def nothing_left(fleet: Fleet, customer: Customer) -> None:
    def gone() -> bool:
        with fleet.database.read() as session:
            return session.scalar(select(func.count()).select_from(Upload)) == 0

    eventually(gone, LEFT_SECONDS, every=0.5)
    leak_checks.calm(fleet, customer)


@pytest.mark.parametrize("stage", STAGES, ids=str)
def test_the_other_gateway_goes_on(fleet: Fleet, customer: Customer, stage: str, tell: Callable[[Line], None]) -> None:
    sender = Sender(customer, many(6))
    fleet.stages.arm(stage)
    sending = customer._pool.submit(sender.run)
    reached = fleet.stages.wait_reached(stage)
    at = time.time()
    kill_service(reached.pid)
    accepted = sending.result(120)
    settled = audit.settle(fleet, customer, accepted)
    again = sender.sent - len(sender.whole)
    assert again <= sender.unanswered * CALL_BYTES, "more was sent again than the calls without an answer"
    eventually(lambda: len(fleet.records("gateway")) == 2, within=30)
    seen = f"{again:,} of {len(sender.whole):,} bytes sent again"
    tell(Line("kill -9 gateway", STAGES[stage], fleet.kind, seen, settled.at - at, repeats=settled.repeats))


def test_nothing_is_left(fleet: Fleet, customer: Customer) -> None:
    nothing_left(fleet, customer)


def test_uploads_wait_for_the_database(fleet: Fleet, customer: Customer, tell: Callable[[Line], None]) -> None:
    begin = outages.sqlite_locked if fleet.kind == "sqlite" else outages.postgres_away
    senders = [Sender(customer, many(6)) for _ in range(3)]
    for sender in senders:
        sender.create()
    at = time.time()
    with begin(fleet):
        sending = [customer._pool.submit(sender.append_all) for sender in senders]
        outages.last(3)
    for each in sending:
        each.result(120)
    settled = [audit.settle(fleet, customer, sender.complete()) for sender in senders]
    name = "SQLite locked by another process" if fleet.kind == "sqlite" else "PostgreSQL stopped"
    again = sum(sender.sent - len(sender.whole) for sender in senders)
    seen = f"three uploads went on, {again:,} bytes sent again"
    tell(Line(f"{name}, 3 s", "AppendUpload", fleet.kind, seen, max(order.at for order in settled) - at))
    nothing_left(fleet, customer)
