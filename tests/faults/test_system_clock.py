"""The system's clock is set, forward by hours and days, and back: of the whole machine, or of one machine of two."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from uuid import uuid4

import pytest
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1.operator_service_pb2 import RunMailingRequest
from imageblur.v1.operator_service_pb2_grpc import OperatorServiceStub
from imageblur_client import verify_webhook
from sqlalchemy import ColumnElement, func, select

from services.common.db.engine import Database
from services.common.db.models import Mailing
from services.common.domain.mail import MailingState
from tests.faults import audit, leak_checks, test_webhooks
from tests.faults.fleet import Fleet
from tests.faults.launching import running_fleet
from tests.faults.recording_client import Customer
from tests.faults.report import Line
from tests.faults.samples import SAMPLES
from tests.faults.stack_on_lossy_disk import Machine
from tests.faults.test_uploads import Sender
from tests.faults.town import Town
from tests.support.https import HttpsServer
from tests.support.postgres import PostgresServer
from tests.support.system_clock import NoSystemClock, SystemClock
from tests.support.waiting import eventually

HOUR, DAY = 3600, 86_400
READERS = 20
SOON = 60.0
"""Seconds: nothing waits until the clock is again where it was."""


@pytest.fixture
def clock(tmp_path: Path) -> SystemClock:
    try:
        return SystemClock(tmp_path)
    except NoSystemClock as error:
        pytest.skip(str(error))


def test_the_clock_of_a_machine_is_set(clock: SystemClock, tmp_path: Path, tell: Callable[[Line], None]) -> None:
    """Database, broker and services share it. Forward by an hour, back, and back by a day."""
    machine = Machine(tmp_path / "machine", environment=dict(clock.environment))
    machine.folder.mkdir()
    readers = [f"reader{number}@example.org" for number in range(READERS)]
    with machine.running(), Customer((machine.gateway, machine.gateway)) as customer:
        _, images = audit.ended(customer, customer.order())
        customer.reference.update({image.filename: image.output_sha256.hex() for image in images})
        for reader in readers:
            customer.subscribe(reader)
        with Town(machine, customer) as town:
            for ahead in (HOUR, 0, -DAY):
                busy = len(town.told)
                eventually(lambda busy=busy: len(town.told) > busy, SOON)  # type: ignore[misc]
                at = time.time()
                clock.set(ahead)
                assert abs(clock.read() - time.time() - ahead) < 60
                town.check_told()
                audit.ended(customer, customer.order(notify=False), SOON)
                blur_now(customer)
        assert town.check_all(readers) == 0
        with closing(Database(f"sqlite:///{machine.data}/imageblur.db")) as database:
            # The scheduler ends them: it does not wait until the clock is again where it was.
            eventually(lambda: not _mailings(database, Mailing.state == MailingState.SENDING), SOON)
    seen = f"{len(town.orders)} orders, {len(town.told)} results reported and {town.mailings} mailings during 3 jumps"
    tell(Line("a machine's clock is set an hour ahead, back, a day back", "all", "sqlite", seen, time.time() - at))


@pytest.fixture
def uneven(
    clock: SystemClock, tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer
) -> Iterator[Fleet]:
    """A fleet of which the second of each service has a clock of its own, on a database whose clock is right."""
    with running_fleet("postgresql", tmp_path_factory.mktemp("uneven"), postgres_server, second_clock=clock) as fleet:
        yield fleet


@pytest.mark.parametrize("jumps", [(HOUR, -DAY, 7 * DAY)])
def test_one_machine_of_two_has_a_wrong_clock(
    uneven: Fleet, clock: SystemClock, jumps: tuple[int, ...], tell: Callable[[Line], None]
) -> None:
    """Nothing is sent or expires too early, no event has a time that receivers refuse, and no machine works alone."""
    readers = [f"reader{number}@example.org" for number in range(READERS)]
    with ExitStack() as ends:
        customer = ends.enter_context(Customer(uneven.gateways))
        receiver = ends.enter_context(HttpsServer(uneven.outside))
        _, images = audit.ended(customer, customer.order())
        customer.reference.update({image.filename: image.output_sha256.hex() for image in images})
        for reader in readers:
            customer.subscribe(reader)
        secret = customer.call(lambda stub: stub.GetWebhookSecret(pb.GetWebhookSecretRequest(), timeout=10)).secret
        at = time.time()
        for count, ahead in enumerate(jumps, 1):
            orders = [customer.order(first=gateway) for gateway in (0, 1)]  # under way at the jump
            clock.set(ahead)
            orders += [
                customer.order(first=gateway, streamed=streamed) for gateway in (0, 1) for streamed in (False, True)
            ]
            orders.append(Sender(customer, SAMPLES).run())
            events = [test_webhooks.order(customer, receiver.url("/hook")) for _ in range(4)]
            operator = OperatorServiceStub(customer._channels[count % 2])
            operator.RunMailing(RunMailingRequest(request_id=str(uuid4())), timeout=15)
            blur_now(customer)
            for accepted in orders:
                audit.settle(uneven, customer, accepted, within=SOON)
            for accepted in events:
                assert test_webhooks.delivered(customer, accepted).event.attempts == 1
            for reader in readers:
                _wait_for_emails(uneven, reader, count)
        leak_checks.calm(uneven, customer)
        for request in receiver.requests:
            assert verify_webhook(secret, request.headers, request.body)["type"] == "order.finished"
        assert [len(uneven.sink.to(reader)) for reader in readers] == [len(jumps)] * READERS
        assert not _mailings(uneven.database, Mailing.period.not_like("manual:%")), "sent too early"
    seen = f"{len(customer.accepted)} orders and {len(jumps)} mailings during {len(jumps)} jumps"
    fault = "one machine's clock is an hour ahead, a day behind, a week ahead"
    tell(Line(fault, "all", uneven.kind, seen, time.time() - at))


def _mailings(database: Database, which: ColumnElement[bool]) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).where(which)) or 0


def _wait_for_emails(fleet: Fleet, reader: str, count: int) -> None:
    eventually(lambda: len(fleet.sink.to(reader)) >= count, SOON)


def blur_now(customer: Customer) -> None:
    """Blur an image at once, at each gateway."""
    name, data = next(iter(SAMPLES.items()))
    request = pb.BlurImageRequest(image=pb.InputImage(filename=name, data=data))
    for gateway in (0, 1):
        assert customer.call(lambda stub: stub.BlurImage(request, timeout=30).data, first=gateway)
