"""Orders and their images, driven by any sequence of what clients, workers, the sweep and bad luck may do."""

import sys
from dataclasses import replace
from typing import cast
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import update

from services.common.db.engine import Database
from services.common.db.models import Email, Image, Order
from services.common.db.orders import image_claims, image_outcomes, orders
from services.common.db.orders.image_claims import ImageClaim
from services.common.db.orders.image_outcomes import Failure, Success
from services.common.domain.errors import Reason
from services.common.domain.follow_up import EnqueuedImage
from services.common.domain.orders import ImageQueue
from services.common.domain.retries import MAX_ATTEMPTS
from services.common.infra.blobs import BlobStore
from services.common.infra.messaging.broker import Broker
from services.common.infra.messaging.messages import image_message, send_email
from services.common.use_cases.order_lifecycle import OrderLifecycle, make_lifecycle
from services.gateway.orders.delivery_requests import RequestDelivery
from services.scheduler.expired_leases import ExpiredLeases
from services.scheduler.sweep import Sweep
from tests.integration.db.states.frail_broker import FrailBroker
from tests.integration.db.states.invariants import IMAGE as IMAGE_ARROWS
from tests.integration.db.states.invariants import ORDER as ORDER_ARROWS
from tests.integration.db.states.invariants import check_moment, check_step, in_flight, open_in, starved
from tests.integration.db.states.known import Known
from tests.integration.db.states.picking import nth, which
from tests.integration.db.states.rows import Rows, empty, read_rows
from tests.support.factories import new_images, place_order
from tests.support.mail_factories import ANYONE

SUCCESS = Success(size=7, sha256="00" * 32, width=1, height=2, format="JPEG")
FAILURE = Failure(Reason.CORRUPT, "the file ends early")
LEASE = 3600.0
"""Longer than any test: time passes only where a rule says so."""
PAST, FUTURE = 1, 1 << 60


class OrderMachine(RuleBasedStateMachine):
    """Rules about orders and images."""

    def __init__(self, database: Database, blobs: BlobStore) -> None:
        super().__init__()
        empty(database)
        self.database = database
        self.blobs = blobs
        self.broker = FrailBroker()
        self.window = 1
        self.known: dict[UUID, Known] = {}
        self.orders: list[UUID] = []
        self.claims: list[ImageClaim] = []
        self.rows = read_rows(database)

    @property
    def lifecycle(self) -> OrderLifecycle:
        return make_lifecycle(self.database, self.blobs, cast("Broker", self.broker), window=self.window)

    @property
    def request_delivery(self) -> RequestDelivery:
        return RequestDelivery(self.database, self.lifecycle.after_commit, 0.0, ANYONE)

    @property
    def sweep(self) -> Sweep:
        return Sweep(
            self.database, self.blobs, cast("Broker", self.broker), self.window, expired_leases=ExpiredLeases(0)
        )

    @initialize(window=st.integers(1, 3))
    def choose(self, window: int) -> None:
        self.window = window

    @rule(queues=st.lists(st.sampled_from(ImageQueue), min_size=1, max_size=5), notify=st.booleans())
    def place(self, queues: list[ImageQueue], notify: bool) -> None:
        new = zip(new_images(count=len(queues)), queues, strict=True)
        order = place_order(
            self.database, [replace(image, queue=queue) for image, queue in new], window=self.window, notify=notify
        )
        of = dict(zip(order.image_ids, queues, strict=True))
        self.broker.send(image_message(EnqueuedImage(image_id, of[image_id])) for image_id in order.enqueued_ids)
        self.orders.append(order.id)
        self.known |= {image_id: Known(order.id) for image_id in order.image_ids}

    @precondition(lambda self: self.broker.images)
    @rule(index=which, twice=st.booleans())
    def deliver_image(self, index: int, twice: bool) -> None:
        queue, image_id = nth(self.broker.images, index)
        if not twice:
            self.broker.queues[queue].remove(image_id)
        self._claim(image_id, queue)

    @precondition(lambda self: self.known)
    @rule(index=which, queue=st.sampled_from(ImageQueue))
    def deliver_stray_image(self, index: int, queue: ImageQueue) -> None:
        """A message that was sent long ago, to whatever queue, for whatever has become of its image."""
        self._claim(nth(list(self.known), index), queue)

    @precondition(lambda self: self.claims)
    @rule(index=which, success=st.booleans(), goes_on=st.booleans())
    def finish(self, index: int, success: bool, goes_on: bool = False) -> None:
        claim = nth(self.claims, index)
        known = self._held(claim)
        outcome, lease = SUCCESS if success else FAILURE, LEASE if goes_on else None
        others = [row for row in self.rows.images.values() if row.order_id != claim.order_id]
        others_wait = any(row.state == "QUEUED" and in_flight(row) for row in others if row.queue == claim.queue)
        with self.database.write() as session:
            ended = image_outcomes.finish(session, claim, outcome, window=self.window, next_lease=lease, most_next=3)
        self._follow(known, ended)
        if known:
            known.ended("SUCCEEDED" if success else "FAILED")
        if ended and ended.next_claims:
            assert goes_on, "an image is claimed for nobody"
            assert not others_wait, "an order goes on while another one waits"
        for next_claim in ended.next_claims if ended else ():
            assert next_claim.queue == claim.queue, "a time slice leaves its queue"
            self.known[next_claim.image_id].claimed(next_claim.owner)
            self.claims.append(next_claim)

    @precondition(lambda self: self.claims)
    @rule(index=which, crashed=st.booleans())
    def release(self, index: int, crashed: bool) -> None:
        claim = nth(self.claims, index)
        known = self._held(claim)
        with self.database.write() as session:
            ended = image_outcomes.release(session, claim, crashed=crashed, window=self.window)
        self._follow(known, ended)
        if known:
            known.put_back(crashed=crashed)

    @precondition(lambda self: self.claims)
    @rule(index=which, sweeps=st.booleans())
    def lease_runs_out(self, index: int, sweeps: bool) -> None:
        """The worker is slow or dead; the sweep notices now or later."""
        owner = nth(self.claims, index).owner
        with self.database.write() as session:
            session.execute(update(Image).where(Image.owner == owner).values(lease_until=PAST))
        if sweeps:
            self.sweep_images()

    @precondition(lambda self: self.claims)
    @rule(index=which, finishes=st.booleans())
    def another_takes_over(self, index: int, finishes: bool) -> None:
        """The usual way to a stale claim, which takes long to come about by chance; its owner may yet finish."""
        claim = nth(self.claims, index)
        self.lease_runs_out(index, sweeps=True)
        self.all_is_well()
        self.time_passes()
        self.sweep_images()
        self.all_is_well()
        self._claim(claim.image_id, claim.queue)
        self.all_is_well()
        if finishes:
            self.finish(self.claims[::-1].index(claim), success=True)

    @precondition(lambda self: self.claims)
    @rule(index=which)
    def take_back(self, index: int) -> None:
        """A sweep that read of a lapsed lease a moment ago, when it was true or not."""
        claim = nth(self.claims, index)
        known = self._held(claim)
        lapsed = known and self.rows.images[claim.image_id].lease_until == PAST
        with self.database.write() as session:
            follow_up = image_outcomes.release_expired(session, claim, window=self.window)
        self._follow(known if lapsed else None, follow_up)
        if known and lapsed:
            known.put_back(crashed=False)

    @precondition(lambda self: self.claims)
    @rule(index=which)
    def renew(self, index: int) -> None:
        claim = nth(self.claims, index)
        known = self._held(claim)
        with self.database.write() as session:
            image_claims.renew_claims(session, [claim.owner], lease_seconds=LEASE)
        rows = read_rows(self.database)
        assert rows == self.rows or (known and rows.images[claim.image_id].lease_until > PAST)

    @precondition(lambda self: self.known)
    @rule(index=which)
    def wear_out(self, index: int) -> None:
        """An image that has used up all attempts but one, which takes long to come about by chance."""
        image_id = nth(list(self.known), index)
        known = self.known[image_id]
        if known.holder or known.end:
            return
        known.attempts = MAX_ATTEMPTS - 1
        with self.database.write() as session:
            session.execute(update(Image).where(Image.id == image_id).values(attempts=known.attempts))
        self.rows = read_rows(self.database)

    @precondition(lambda self: self.orders)
    @rule(index=which)
    def cancel(self, index: int) -> None:
        order_id = nth(self.orders, index)
        self.lifecycle.cancel(order_id)
        for known in self.known.values():
            if known.order_id == order_id and not known.end:
                known.ended("CANCELLED")

    @precondition(lambda self: self.orders)
    @rule(index=which)
    def delete(self, index: int) -> None:
        order_id = nth(self.orders, index)
        self.lifecycle.delete(order_id)
        self.orders.remove(order_id)
        self.known = {image_id: known for image_id, known in self.known.items() if known.order_id != order_id}

    @precondition(lambda self: self.orders)
    @rule(index=which)
    def expire(self, index: int) -> None:
        """An order comes to its time, which it may only do once it has ended."""
        order_id = nth(self.orders, index)
        with self.database.write() as session:
            session.execute(update(Order).where(Order.id == order_id).values(expires_at=PAST))
        self.rows = read_rows(self.database)
        self.sweep.expired()
        with self.database.read() as session:
            ended = not open_in(ORDER_ARROWS, self.rows.orders[order_id])
            assert orders.owns_blobs(session, order_id) != ended

    @rule()
    def lose_messages(self) -> None:
        self.broker.flush()

    @rule()
    def time_passes(self) -> None:
        """Nothing has been heard of what is in the broker, and every delay is over."""
        with self.database.write() as session:
            for model in (Image, Email):
                session.execute(update(model).where(model.enqueued_at.is_not(None)).values(enqueued_at=PAST))
                session.execute(update(model).where(model.not_before > PAST).values(not_before=PAST))

    @rule()
    def sweep_images(self) -> None:
        before = read_rows(self.database)
        self.sweep.images()
        for image_id, row in before.images.items():
            if row.state == "RUNNING" and row.lease_until == PAST:
                self.known[image_id].put_back(crashed=False)
        after = read_rows(self.database)
        for order_id in after.orders:
            assert not starved(after.images_of(order_id), now=PAST), "the sweep leaves images waiting"

    @invariant()
    def all_is_well(self) -> None:
        before, self.rows = self.rows, self._stopping_the_clock()
        check_moment(self.rows, window=self.window)
        check_step(before, self.rows)
        assert self.rows.images.keys() == self.known.keys(), "an image is lost"
        for image_id, known in self.known.items():
            image = self.rows.images[image_id]
            ended = None if open_in(IMAGE_ARROWS, image) else image.state
            assert (image.attempts, image.crashes, image.owner, ended) == (
                known.attempts,
                known.crashes,
                known.holder,
                known.end,
            )

    def teardown(self) -> None:
        """Whatever has happened: with workers that work, all that was accepted comes to its end."""
        if sys.exception():
            return  # a step has failed, and is to be told of
        with self.database.write() as session:
            for model in (Image, Email):
                session.execute(update(model).where(model.owner.is_not(None)).values(lease_until=PAST))
        for _ in range(3):
            self.work_once()
        self.check_the_end()

    def work_once(self) -> None:
        """What the sweep and workers do with all that there is."""
        self.time_passes()
        self.sweep_images()
        self.work_off_images()

    def work_off_images(self) -> None:
        self.all_is_well()
        while self.broker.images:
            self.deliver_image(0, twice=False)
            self.all_is_well()
            if self.claims:
                self.finish(0, success=True)
                self.all_is_well()

    def check_the_end(self) -> None:
        assert all(known.end for known in self.known.values()), "an image never ends"

    def _claim(self, image_id: UUID, queue: ImageQueue) -> None:
        row = self.rows.images.get(image_id)
        sent = row is not None and row.state == "QUEUED" and in_flight(row) and row.queue == queue
        with self.database.write() as session:
            claim = image_claims.claim(session, image_id, lease_seconds=LEASE, queue=queue)
        assert (claim is not None) == sent
        if claim:
            self.known[image_id].claimed(claim.owner)
            for late in [earlier for earlier in self.claims if earlier.image_id == image_id]:
                with self.database.write() as session:
                    assert image_outcomes.finish(session, late, SUCCESS, window=self.window) is None, (
                        "a lost claim finishes"
                    )
            self.claims.append(claim)

    def _held(self, claim: ImageClaim) -> Known | None:
        known = self.known.get(claim.image_id)
        return known if known and known.holder == claim.owner else None

    def _follow(self, known: Known | None, ended: image_outcomes.EndedClaim | None) -> None:
        assert (ended is not None) == (known is not None)
        if ended is None:
            assert read_rows(self.database) == self.rows, "a stale claim has changed something"
            return
        follow_up = ended.follow_up
        self.broker.send([*map(image_message, follow_up.images), *map(send_email, follow_up.email_ids)])

    def _stopping_the_clock(self) -> Rows:
        """The rows; what is to wait waits until a rule says that time has passed, however slow the machine is."""
        with self.database.write() as session:
            for model in (Image, Email):
                session.execute(update(model).where(model.not_before > PAST).values(not_before=FUTURE))
        return read_rows(self.database)
