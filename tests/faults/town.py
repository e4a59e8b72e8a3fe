"""Clients of one machine that never pause, and what they hold it to."""

import itertools
import random
import threading
from collections.abc import Callable, Sequence
from typing import Self
from uuid import uuid4

import grpc
from imageblur.v1.operator_service_pb2 import RunMailingRequest
from imageblur.v1.operator_service_pb2_grpc import OperatorServiceStub
from imageblur.v1.order_pb2 import DeliveryState, ImageState

from services.common.domain import spec as domain
from tests.faults import audit
from tests.faults.recording_client import Accepted, Customer, asks_again
from tests.faults.samples import many
from tests.faults.stack_on_lossy_disk import Machine
from tests.faults.test_revisions import SECOND, downloaded, place, results_of, revise
from tests.faults.test_uploads import Sender
from tests.support.waiting import eventually

PAUSE = 0.2
"""Seconds between what a client does: less would only fill the queues."""
JUST_BEFORE = 2.0
"""Seconds: an e-mail that the mailbox took so long before a cut may come again, as its mailer could not record it."""


class Town:
    """Clients that never pause, each with a list of what they were told."""

    def __init__(self, machine: Machine, customer: Customer) -> None:
        self.machine = machine
        self.customer = customer
        self.orders: list[Accepted] = []
        self.revised: list[Accepted] = []
        self.mailings = 0
        self.told: dict[tuple[str, str], bytes] = {}
        """Results of which Status has said that they are there."""
        self.sent: set[tuple[str, str]] = set()
        """Orders and deliveries of which Status has said that they are sent."""
        self.failures: list[BaseException] = []
        self._over = threading.Event()
        acts = (self._order, self._order, self._upload, self._revise, self._mail, self.ask)
        self._threads = [threading.Thread(target=self._repeat, args=(act,)) for act in acts]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, act: Callable[[], None]) -> None:
        try:
            while not self._over.wait(PAUSE):
                act()
        except BaseException as error:
            self.failures.append(error)

    def _order(self) -> None:
        self.orders.append(self.customer.order(many(random.randint(1, 4)), streamed=random.random() < 0.5))

    def _upload(self) -> None:
        self.orders.append(Sender(self.customer, many(6)).run())

    def _revise(self) -> None:
        accepted = place(self.customer)
        revise(self.customer, accepted, SECOND)
        audit.ended(self.customer, accepted)
        self.revised.append(accepted)

    def _mail(self) -> None:
        """Send the newsletter, again and again until that is accepted."""
        request = RunMailingRequest(request_id=str(uuid4()))

        def accepted() -> bool:
            with grpc.insecure_channel(self.machine.gateway) as channel:
                try:
                    return bool(OperatorServiceStub(channel).RunMailing(request, timeout=15))
                except grpc.RpcError as error:
                    if not asks_again(error):
                        raise
                    return False

        eventually(accepted, within=90, every=0.1)
        self.mailings += 1
        self._over.wait(2.0)

    def ask(self) -> None:
        for accepted in random.sample(orders := list(self.orders), min(8, len(orders))):
            order, images = self.customer.status(accepted.order_id)
            self.told |= {
                (accepted.order_id, image.image_id): image.output_sha256
                for image in images
                if image.state == ImageState.IMAGE_STATE_SUCCEEDED
            }
            self.sent |= {
                (accepted.order_id, each.delivery_id)
                for each in order.deliveries
                if each.state == DeliveryState.DELIVERY_STATE_SENT
            }

    def check_told(self) -> None:
        """Hold Status against what it has said before."""
        told, sent = dict(self.told), set(self.sent)
        for order_id in {order_id for order_id, _ in told} | {order_id for order_id, _ in sent}:
            order, images = self.customer.status(order_id)
            now = {(order_id, image.image_id): image.output_sha256 for image in images}
            then = {key: digest for key, digest in told.items() if key[0] == order_id}
            assert then.items() <= now.items(), "a result that was there is gone"
            states = {each.delivery_id: each.state for each in order.deliveries}
            for delivery_id in (delivery_id for owner, delivery_id in sent if owner == order_id):
                assert states[delivery_id] == DeliveryState.DELIVERY_STATE_SENT

    def check_all(self, readers: Sequence[str], cuts: Sequence[tuple[float, float]] = ()) -> int:
        """Wait until everything has ended, as it should; return how many e-mails were repeated after a cut."""
        assert not self.failures, self.failures
        for accepted in self.orders:
            _, images = audit.ended(self.customer, accepted)
            audit.check_results(self.customer, accepted, images)
            assert {image.state for image in images} == {ImageState.IMAGE_STATE_SUCCEEDED}, images
        for accepted in self.revised:
            assert downloaded(self.customer, accepted) == results_of(domain.Solid("#204060"))
        expected = {order.address: 1 for order in self.orders} | dict.fromkeys(readers, self.mailings)
        return eventually(lambda: [count_repeats(self.machine, expected, cuts)], within=90, every=0.5)[0]


def count_repeats(machine: Machine, expected: dict[str, int], cuts: Sequence[tuple[float, float]]) -> int:
    """Hold the mailbox against what was asked for, by address: each e-mail once, or again after a cut right then."""
    emails, repeats = machine.emails(), 0
    for address, count in expected.items():
        copies = sorted(emails[address])
        assert len({message_id for message_id, _ in copies}) == count, f"{address}: {count} expected, not {copies}"
        for (one, at), (other, _) in itertools.pairwise(copies):
            if one == other:
                assert any(begun - JUST_BEFORE < at <= cut for begun, cut in cuts), (
                    f"{address}: repeated without a cut: {copies}"
                )
                repeats += 1
    return repeats
