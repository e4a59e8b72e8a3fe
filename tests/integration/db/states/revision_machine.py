"""Revisions of images, driven by any sequence of what clients, workers that may be killed, and the sweep may do.

A blob's content is the spec that made it: whatever happens, a result is that of exactly one spec, the last one that
succeeded.
"""

import contextlib
from dataclasses import dataclass
from typing import cast
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import select, update

from services.common.db.engine import Database
from services.common.db.models import Image, Order, has_result
from services.common.db.orders import image_claims, image_outcomes, orders, revisions
from services.common.db.orders.image_claims import ImageClaim
from services.common.db.orders.image_outcomes import Failure, Success
from services.common.domain.errors import FailedPrecondition, Reason
from services.common.domain.orders import original_key, result_key
from services.common.domain.spec import BlurSpec, Gaussian
from services.common.infra.messaging.broker import Broker
from services.common.use_cases.order_lifecycle import OrderLifecycle, make_lifecycle
from services.scheduler.sweep import Sweep
from tests.integration.db.states.frail_broker import FrailBroker
from tests.integration.db.states.picking import nth, which
from tests.integration.db.states.rows import empty
from tests.support.factories import place_order
from tests.support.fakes import FakeBlobs

WINDOW = 10
LEASE = 3600.0
FAILURE = Failure(Reason.CORRUPT, "the file ends early")


@dataclass
class Known:
    """What an image has to be."""

    order_id: UUID
    position: int
    result: str | None = None
    """The spec of its result."""


class RevisionMachine(RuleBasedStateMachine):
    """Rules about orders that keep their originals."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        empty(database)
        self.database = database
        self.blobs = FakeBlobs()
        self.broker = FrailBroker()
        self.known: dict[UUID, Known] = {}
        self.orders: list[UUID] = []
        self.claims: list[ImageClaim] = []
        self.specs = 0

    @property
    def lifecycle(self) -> OrderLifecycle:
        return make_lifecycle(self.database, self.blobs, cast("Broker", self.broker), window=WINDOW)

    @property
    def sweep(self) -> Sweep:
        return Sweep(self.database, self.blobs, cast("Broker", self.broker), WINDOW)

    def new_spec(self) -> str:
        """A spec unlike all others."""
        self.specs += 1
        return BlurSpec(Gaussian(float(self.specs))).to_json()

    @rule(count=st.integers(1, 3))
    def place(self, count: int) -> None:
        order = place_order(self.database, count, window=WINDOW, spec=self.new_spec(), originals_seconds=3600)
        self.orders.append(order.id)
        for position, image_id in enumerate(order.image_ids, 1):
            self.blobs.put(original_key(order.id, position), b"original")
            self.known[image_id] = Known(order.id, position)

    @precondition(lambda self: self.known)
    @rule(index=which)
    def claim(self, index: int) -> None:
        with self.database.write() as session:
            session.execute(update(Image).where(Image.state == "QUEUED").values(enqueued_at=1, not_before=0))
        with self.database.write() as session:
            claim = image_claims.claim(session, nth(list(self.known), index), lease_seconds=LEASE)
        if claim:
            self.claims.append(claim)

    @precondition(lambda self: self.claims)
    @rule(index=which, success=st.booleans(), killed=st.booleans())
    def finish(self, index: int, success: bool, killed: bool) -> None:
        """A worker stores its result and reports it, late or not; it may be killed before it removes what is left."""
        claim = self.claims.pop(self.claims.index(nth(self.claims, index)))
        if success:
            self.blobs.put(result_key(claim.order_id, claim.position, claim.generation), claim.spec.encode())
        with self.database.write() as session:
            result = Success(size=1, sha256="00", width=1, height=1, format="PNG") if success else FAILURE
            ended = image_outcomes.finish(session, claim, result, window=WINDOW)
        if ended and success:
            self.known[claim.image_id].result = claim.spec
        if killed:
            return
        if ended:
            self.blobs.delete(*ended.surplus_keys)
        else:
            self.lifecycle.discard_late_result(claim.order_id, claim.image_id)

    @precondition(lambda self: self.claims)
    @rule(index=which)
    def store(self, index: int) -> None:
        """A worker stores its result and is killed, or slow."""
        claim = nth(self.claims, index)
        self.blobs.put(result_key(claim.order_id, claim.position, claim.generation), claim.spec.encode())

    @precondition(lambda self: self.claims)
    @rule(index=which)
    def lapse(self, index: int) -> None:
        owner = nth(self.claims, index).owner
        with self.database.write() as session:
            session.execute(update(Image).where(Image.owner == owner).values(lease_until=1))
        self.sweep.images()

    @precondition(lambda self: self.known)
    @rule(index=which, whole=st.booleans())
    def revise(self, index: int, whole: bool) -> None:
        image_id = nth(list(self.known), index)
        with contextlib.suppress(FailedPrecondition), self.database.write() as session:
            order = orders.lock(session, self.known[image_id].order_id)
            assert order
            revisions.check_revisable(session, order)
            if whole:
                revisions.revise_all(session, order, self.new_spec())
            else:
                revisions.revise(session, order, {image_id: self.new_spec()})

    @precondition(lambda self: self.known)
    @rule(index=which, stores=st.booleans())
    def revise_and_work(self, index: int, stores: bool) -> None:
        """The usual way to a revision of a revision, which takes long to come about by chance."""
        self.work_off()
        self.revise(index, whole=False)
        self.claim(index)
        if stores and self.claims:
            self.store(0)

    @rule()
    def work_off(self) -> None:
        """Workers do all that there is."""
        for index in range(len(self.known)):
            self.claim(index)
        while self.claims:
            self.finish(0, success=True, killed=False)

    @precondition(lambda self: self.orders)
    @rule(index=which)
    def cancel(self, index: int) -> None:
        self.lifecycle.cancel(nth(self.orders, index))

    @precondition(lambda self: self.orders)
    @rule(index=which)
    def delete_originals(self, index: int) -> None:
        with contextlib.suppress(FailedPrecondition):
            self.lifecycle.delete_originals(nth(self.orders, index))

    @rule()
    def sweep_blobs(self) -> None:
        with self.database.write() as session:
            session.execute(update(Image).where(Image.finished_at.is_not(None)).values(finished_at=1))
        self.sweep.blobs_of_ended_images()

    @invariant()
    def results_are_whole(self) -> None:
        with self.database.read() as session:
            rows = session.scalars(select(Image)).all()
            counted = {order.id: order for order in session.scalars(select(Order))}
        for image in rows:
            known = self.known[image.id]
            assert has_result(image) == (known.result is not None)
            if known.result is not None:
                key = result_key(image.order_id, image.position, image.generation)
                assert self.blobs.get(key).decode() == known.result, "a result is not that of the last success"
                assert (image.revised_spec is not None) or (image.spec or counted[image.order_id].spec) == known.result
            if counted[image.order_id].originals_seconds:
                assert original_key(image.order_id, image.position) in self.blobs.blobs, "an original is gone"
        for order in counted.values():
            states = [image.state for image in rows if image.order_id == order.id]
            assert order.succeeded == states.count("SUCCEEDED")
            assert order.failed == states.count("FAILED")
            assert order.cancelled == states.count("CANCELLED")

    def teardown(self) -> None:
        """All workers end and the sweep comes once more: there is what has to be, and nothing else."""
        while self.claims:
            self.finish(0, success=True, killed=False)
        with self.database.write() as session:
            session.execute(update(Image).values(cleaned_up=False))
        self.sweep_blobs()
        self.results_are_whole()
        expected = set()
        with self.database.read() as session:
            for image, order in session.execute(select(Image, Order).join(Order, Order.id == Image.order_id)):
                if image.finished_at is None:
                    continue
                if order.originals_seconds:
                    expected.add(original_key(order.id, image.position))
                if image.state == "SUCCEEDED":
                    expected.add(result_key(order.id, image.position, image.generation))
            ended = {
                (image.order_id, image.position)
                for image in session.scalars(select(Image).where(Image.finished_at.is_not(None)))
            }
        found = {key for key in self.blobs.blobs if _place(key) in ended}
        assert found == expected


def _place(key: str) -> tuple[UUID, int]:
    _, order_id, _, name = key.split("/")
    return UUID(order_id), int(name.partition("-")[0])
