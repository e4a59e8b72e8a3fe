"""Random clients: each places orders in both ways, repeats its calls, watches, cancels, deletes, asks for mail."""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import uuid4

import grpc
from imageblur.v1 import blur_service_pb2 as pb

from tests.faults import poison
from tests.faults.fleet import Fleet
from tests.faults.recording_client import ANSWER_SECONDS, Accepted, Customer, asks_again
from tests.faults.samples import many
from tests.support.smtp import HANG

POISONS = {"segfault": poison.SEGFAULT, "grow": poison.GROW}
TROUBLES = ((HANG,), (None,), ("451 4.3.0 later", "451 4.3.0 later"))
PATIENCE = 180.0


@dataclass
class Wish:
    """An order and what was asked for it since, all of it answered."""

    accepted: Accepted
    cancelled: bool = False
    deleted: bool = False
    deliveries: set[str] = field(default_factory=set)


class Crowd:
    """So many clients, each in a thread of its own."""

    def __init__(self, fleet: Fleet, customer: Customer, seed: int, clients: int) -> None:
        self.wishes: list[Wish] = []
        self.violations: list[str] = []
        self._fleet = fleet
        self._customer = customer
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._live, args=(random.Random(f"client {n} {seed}"),)) for n in range(clients)
        ]

    def start(self) -> None:
        """Begin to order."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Place no more orders, and wait for the answers to those under way."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _live(self, choice: random.Random) -> None:
        acts = (self._watch, self._cancel, self._delete, self._send, self._send, self._leave, self._leave)
        while not self._over.wait(choice.uniform(0.0, 0.6)):
            try:
                wish = self._order(choice)
                self.wishes.append(wish)
                act: Callable[[Wish], None] = choice.choice(acts)
                act(wish)
            except (grpc.RpcError, AssertionError) as error:
                self.violations.append(f"a client was answered: {error}")

    def _order(self, choice: random.Random) -> Wish:
        files = many(choice.randint(1, 6))
        if choice.random() < 0.05:
            name = choice.choice(list(POISONS))
            files[f"{len(files) + 1} {name}"] = POISONS[name]
        address = f"{uuid4()}@example.org"
        if choice.random() < 0.1:
            self._fleet.sink.reply_to(address, *choice.choice(TROUBLES))
        notify, streamed, request_id = choice.random() < 0.5, choice.random() < 0.5, str(uuid4())

        def order() -> Accepted:
            return self._customer.order(
                files, notify=notify, streamed=streamed, address=address, request_id=request_id, within=PATIENCE
            )

        accepted = order()
        if choice.random() < 0.3:
            again = order()
            assert again.order_id == accepted.order_id, "a repeated request made another order"
        return Wish(accepted)

    def _watch(self, wish: Wish) -> None:
        request = pb.WatchStatusRequest(order_id=wish.accepted.order_id)
        try:
            for _ in self._customer.stubs[0].WatchStatus(request, timeout=5):
                pass
        except grpc.RpcError as error:
            if not asks_again(error):
                raise

    def _cancel(self, wish: Wish) -> None:
        request = pb.CancelOrderRequest(order_id=wish.accepted.order_id)
        wish.cancelled = True
        self._customer.call(lambda stub: stub.CancelOrder(request, timeout=ANSWER_SECONDS), within=PATIENCE)

    def _delete(self, wish: Wish) -> None:
        request = pb.DeleteOrderRequest(order_id=wish.accepted.order_id)
        wish.deleted = True
        try:
            self._customer.call(lambda stub: stub.DeleteOrder(request, timeout=ANSWER_SECONDS), within=PATIENCE)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.NOT_FOUND:  # a call that broke had deleted it
                raise

    def _send(self, wish: Wish) -> None:
        request = pb.SendImagesRequest(order_id=wish.accepted.order_id, when_ready=True, request_id=str(uuid4()))
        for _ in range(2):
            answer = self._customer.call(lambda stub: stub.SendImages(request, timeout=ANSWER_SECONDS), within=PATIENCE)
            wish.deliveries.add(answer.delivery.delivery_id)
        assert len(wish.deliveries) == 1, "a repeated request made another delivery"

    def _leave(self, wish: Wish) -> None:
        """Rely on what was promised."""
