"""Holds what clients were promised in a chaos against what became of it."""

from collections.abc import Callable, Sequence

import grpc
from imageblur.v1.order_pb2 import DeliveryState, ImageState

from services.mailer.smtp.envelope import UNANSWERED
from tests.faults import audit, leak_checks
from tests.faults.fleet import Fleet
from tests.faults.random_clients import POISONS, Wish
from tests.faults.recording_client import Customer
from tests.faults.samples import sample_of
from tests.support.smtp import KEPT
from tests.support.waiting import eventually

PATIENCE = 240.0
"""An image that was hit often waits a minute for its next attempt."""
_MAY_REPEAT = {
    "kill -9, mailer",
    "kill -9 of one process, mailer",
    "mail server away",
    "mail server's line stalled",
    "database's clock a minute ahead",
    "SQLite locked",
    "disk full",
    "disk read-only",
    "PostgreSQL stopped",
    "PostgreSQL killed",
    "PostgreSQL read-only",
    "PostgreSQL cut off",
    "PostgreSQL's line stalled",
}
"""Faults that may keep a mailer from learning, or from recording, that an e-mail was accepted."""
_WAY = 2.0
"""Seconds that an e-mail may be under way before and after."""
_MAIL_ENDED = {
    DeliveryState.DELIVERY_STATE_SENT,
    DeliveryState.DELIVERY_STATE_FAILED,
    DeliveryState.DELIVERY_STATE_CANCELLED,
}


class Verdict:
    """Counts, and what is not as promised."""

    def __init__(
        self, fleet: Fleet, customer: Customer, violations: list[str], mishaps: Sequence[tuple[str, float, float]]
    ) -> None:
        """mishaps: what was done, from when to when."""
        self.violations = violations
        self._unrecorded = [(begin, end) for what, begin, end in mishaps if what in _MAY_REPEAT]
        self._fleet = fleet
        self._customer = customer
        self._orders = self._deleted = self._images = self._emails = self._repeats = self._given_up = 0

    def judge(self, wishes: Sequence[Wish]) -> None:
        """Wait for every order's end and judge it, then what is left over all."""
        for wish in wishes:
            self._try(f"order {wish.accepted.order_id}", lambda wish=wish: self._order(wish))  # type: ignore[misc]
        # Whether an original outlives its image is left open: a worker may have been killed right between the two.
        self._customer.loose |= {wish.accepted.order_id for wish in wishes if not wish.deleted}
        self._try("what is left", lambda: leak_checks.calm(self._fleet, self._customer))

    def summary(self) -> str:
        """For the terminal."""
        return (
            f"{self._orders} orders accepted and ended, {self._deleted} of them deleted; {self._images} images; "
            f"{self._emails} emails, {self._repeats} of them repeats, {self._given_up} given up after three "
            f"attempts without an answer; {len(self.violations)} violations"
        )

    def _try(self, what: str, judge: Callable[[], None]) -> None:
        try:
            judge()
        except (AssertionError, grpc.RpcError) as error:
            self.violations.append(f"{what}: {error}")

    def _order(self, wish: Wish) -> None:
        self._orders += 1
        if wish.deleted:
            self._deleted += 1
            try:
                self._customer.status(wish.accepted.order_id)
            except grpc.RpcError as error:
                if error.code() == grpc.StatusCode.NOT_FOUND:
                    return
                raise
            raise AssertionError("it was deleted and is there again")
        _, images = audit.ended(self._customer, wish.accepted, PATIENCE)
        self._images += len(images)
        audit.check_results(self._customer, wish.accepted, images)
        for image in images:
            expected = {ImageState.IMAGE_STATE_CANCELLED} if wish.cancelled else set()
            bad = sample_of(image.filename) in POISONS
            expected.add(ImageState.IMAGE_STATE_FAILED if bad else ImageState.IMAGE_STATE_SUCCEEDED)
            assert image.state in expected, f"{image.filename} is {ImageState.Name(image.state)}: {image.failure}"
        self._mail(wish)

    def _mail(self, wish: Wish) -> None:
        address = wish.accepted.address

        def over() -> bool:
            order, _ = self._customer.status(wish.accepted.order_id)
            return {delivery.state for delivery in order.deliveries} <= _MAIL_ENDED

        eventually(over, PATIENCE, every=0.2)
        order, _ = self._customer.status(wish.accepted.order_id)
        deliveries = {delivery.delivery_id: delivery.state for delivery in order.deliveries}
        assert wish.deliveries <= deliveries.keys(), "a delivery that was promised is unknown"
        assert len(deliveries) >= wish.accepted.emails, "the mail that was ordered is unknown"
        if not wish.cancelled:
            lost = [each for each in order.deliveries if each.state != DeliveryState.DELIVERY_STATE_SENT]
            # Three attempts whose end the mail server left open are the most (ADR 37).
            assert all(UNANSWERED in each.server_reply for each in lost), order.deliveries
            self._given_up += len(lost)
        received = self._fleet.sink.to(address)
        ids = [str(email.message["Message-ID"]) for email in received]
        sent = sum(state == DeliveryState.DELIVERY_STATE_SENT for state in deliveries.values())
        assert sent <= len(set(ids)) <= len(deliveries), f"{sent} e-mails were sent, these came: {ids}"
        if set(self._fleet.sink.answers(address)) == {KEPT}:
            for index, email in enumerate(received):
                if ids[index] in ids[index + 1 :]:
                    assert self._may_repeat(email.at), f"{address}: an e-mail was repeated without a reason"
        self._emails += len(ids)
        self._repeats += len(ids) - len(set(ids))

    def _may_repeat(self, at: float) -> bool:
        """Whether an e-mail that came then may come again: it could not be recorded that it had."""
        return any(begin - _WAY < at < end + _WAY for begin, end in self._unrecorded)
